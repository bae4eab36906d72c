"""Who may only request lifts no hold that a person set, by whatever way they come."""

import re

import pytest

from certwright.domain.access import Role
from certwright.domain.errors import ConfigurationError, SolverError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.renewal_state import RenewalState
from certwright.domain.validation import Validation
from certwright.engine.bulk import Act, carry_out, preview
from certwright.engine.hold import ask, hold, release
from certwright.engine.managed import Wish, create
from certwright.engine.people import add_person
from certwright.engine.request import request
from certwright.engine.schedule import note_failure
from world.web import Browser, House

REASON = "the shop moves in December"


@pytest.fixture
def shop(house: House) -> ManagedCertificate:
    return house.managed("shop.contoso.com")


@pytest.fixture
def requester(house: House) -> Browser:
    return house.signed_in(Role.REQUESTER)


def described(house: House) -> ManagedCertificate:
    """As the pages describe one: it waits to be requested."""
    return create(
        house.engine,
        Wish(
            names=("new.contoso.com",),
            issuer="le",
            validation=Validation(solver="http_listener", challenge="http-01"),
            waits=True,
        ),
    )


def state(house: House, managed: ManagedCertificate) -> RenewalState:
    with house.engine.store.read() as unit:
        return unit.renewals.get(managed.id)


def test_a_requester_is_told_of_a_hold_and_does_not_lift_it(
    house: House, shop: ManagedCertificate, requester: Browser
) -> None:
    hold(house.engine, shop.id, REASON, None)
    path = f"/certificates/{shop.id}"
    seen = requester.get(path)
    assert REASON in seen.words
    assert f'action="{path}/request"' not in seen.text
    assert f'action="{path}/release"' not in seen.text
    refused = requester.post(f"{path}/request")
    assert (refused.status, REASON in refused.words) == (422, True)
    assert "Who may hold renewals back has to release it first" in refused.words
    assert requester.post(f"{path}/release").status == 403
    kept = state(house, shop)
    assert (kept.hold and kept.hold.reason, kept.wish) == (REASON, None)


def test_who_may_hold_is_told_the_reason_and_releases_it_as_an_act_of_its_own(
    house: House, shop: ManagedCertificate
) -> None:
    hold(house.engine, shop.id, REASON, None)
    operator, path = house.signed_in(Role.OPERATOR), f"/certificates/{shop.id}"
    refused = operator.post(f"{path}/request")
    assert (refused.status, REASON in refused.words) == (422, True)
    assert f'<a href="{path}/renewal" title="certwright certificate release {shop.id}"' in refused.text
    assert state(house, shop).hold
    seen = operator.get(path)
    assert f'action="{path}/release"' in seen.text
    assert operator.post(f"{path}/release").status == 303
    assert state(house, shop).hold is None
    with house.engine.store.read() as unit:
        assert unit.managed.due(house.clock(), 10) == [shop]


def test_what_was_just_described_is_requested_by_who_may_only_request(house: House, requester: Browser) -> None:
    new = described(house)
    path = f"/certificates/{new.id}"
    assert f'action="{path}/request"' in requester.get(path).text
    assert requester.post(f"{path}/request").status == 303
    assert state(house, new).hold is None
    assert "The request is at work" in requester.get(path).words


def test_a_hold_that_a_person_sets_in_place_of_that_one_is_a_persons(house: House, requester: Browser) -> None:
    new = described(house)
    hold(house.engine, new.id, "anna has just described it: preview it, test it, and request it", None)
    assert requester.post(f"/certificates/{new.id}/request").status == 422
    assert state(house, new).hold


def test_the_same_counts_for_several_at_once(house: House, shop: ManagedCertificate) -> None:
    hold(house.engine, shop.id, REASON, None)
    new = described(house)
    requests = house.engine.acting(add_person(house.engine, "anna", Role.REQUESTER, "correct horse battery").caller)
    foreseen = {step.managed.id: step.obstacle for step in preview(requests, Act.REQUEST, [shop.id, new.id])}
    assert (REASON in foreseen[shop.id], foreseen[new.id]) == (True, "")
    carry_out(requests, Act.REQUEST, [shop.id, new.id])
    assert (state(house, shop).hold is None, state(house, new).hold is None) == (False, True)


def test_what_waits_for_its_first_request_is_not_requested_by_being_released(
    house: House, shop: ManagedCertificate
) -> None:
    hold(house.engine, shop.id, REASON, None)
    new, operator = described(house), house.signed_in(Role.OPERATOR)
    picked = {f"pick-{each.id}": "on" for each in (shop, new)}
    foreseen = operator.post("/bulk/release", **picked).words
    assert "Nothing: It waits for its first request: request it." in foreseen
    assert "Do it for 1 certificate" in foreseen
    operator.post("/bulk/release", **picked, sure="yes")
    assert (state(house, shop).hold is None, state(house, new).hold is None) == (True, False)
    path = f"/certificates/{new.id}"
    refused = operator.post(f"{path}/release").words
    assert ("it waits for its first request" in refused, state(house, new).hold is None) == (True, False)
    renewal = operator.get(f"{path}/renewal").text
    assert (f'action="{path}/release"' in renewal, f'action="{path}/hold"' in renewal) == (False, False)


def test_nobody_holds_or_releases_over_a_hold_that_they_have_not_seen(house: House, shop: ManagedCertificate) -> None:
    path = f"/certificates/{shop.id}"
    anna, boris = house.signed_in(Role.OPERATOR), house.signed_in(Role.ADMINISTRATOR)
    (seen,) = set(re.findall(r'name="revision" value="(\d+)"', anna.get(f"{path}/renewal").text))
    assert boris.post(f"{path}/hold", reason="never renew", revision=seen).status == 303
    late = anna.post(f"{path}/hold", reason="until Monday", revision=seen)
    assert (late.status, "never renew (administrator)" in late.words) == (412, True)
    assert 'name="reason" value="until Monday"' in late.text
    kept = state(house, shop).hold
    assert kept
    assert kept.reason == "never renew (administrator)"
    assert anna.post(f"{path}/release", revision=seen).status == 412
    (now,) = set(re.findall(r'name="revision" value="(\d+)"', late.text))
    assert anna.post(f"{path}/hold", reason="until Monday", revision=now).status == 303
    assert boris.post(f"{path}/release", revision=now).status == 412
    assert state(house, shop).hold
    for tab in ("", "/renewal"):
        form = boris.get(path + tab).text.partition(f'action="{path}/release"')[2].partition("</form>")[0]
        assert f'name="revision" value="{int(now) + 1}"' in form


def test_of_what_is_held_no_page_says_that_it_is_requested_by_itself(house: House, shop: ManagedCertificate) -> None:
    operator, new = house.signed_in(Role.OPERATOR), described(house)
    for tab in ("", "/issuer"):
        assert "It is requested by itself soon after." in operator.get(f"/certificates/{shop.id}{tab}").words
    hold(house.engine, shop.id, REASON, None)
    for each in (shop, new):
        for tab in ("", "/issuer"):
            seen = operator.get(f"/certificates/{each.id}{tab}").words
            assert "another certificate. It is held back now: nothing is requested by itself." in seen
            assert "soon after" not in seen


def test_no_force_lifts_a_persons_hold(house: House, shop: ManagedCertificate) -> None:
    hold(house.engine, shop.id, REASON, None)
    with pytest.raises(ConfigurationError, match=REASON) as refused:
        request(house.engine, shop.id, force=True)
    assert refused.value.hint.endswith(f"certwright certificate release {shop.id}")


def test_releasing_keeps_the_pause_after_a_failure(house: House, shop: ManagedCertificate) -> None:
    with house.engine.store.write() as unit:
        note_failure(house.engine, unit, shop, SolverError("The name has no address."))
    hold(house.engine, shop.id, REASON, None)
    release(house.engine, shop.id)
    assert state(house, shop).hold is None
    with house.engine.store.read() as unit:
        assert unit.managed.due(house.clock(), 10) == []
    ask(house.engine, shop.id)
    with house.engine.store.read() as unit:
        assert unit.managed.due(house.clock(), 10) == [shop]
