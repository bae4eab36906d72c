"""What a failed request says on pages: the cause, what to do, and whether anybody has anything to do at all."""

import re
from datetime import timedelta
from html import unescape

import pytest

from certwright.domain import certificates
from certwright.domain.access import Role
from certwright.domain.errors import (
    AuthorityFailed,
    CertwrightError,
    ConfigurationError,
    IssuanceError,
    LimitReached,
    NotProved,
    SolverError,
    Unreachable,
)
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, KeyForm, ManagedCertificate
from certwright.domain.renewal_state import RenewalState
from certwright.engine.issuers import add_issuer
from certwright.engine.request import request
from certwright.engine.schedule import note_failure, reschedule
from certwright.rest.api import Denied
from unit.domain.workshop import Authority, ec_key
from world.site import ISSUER, authority, describe
from world.web import Browser, House, landed

NOTHING = "There is nothing to change"
PLACES = ("/", "/certificates/{id}", "/certificates/{id}/renewal")


def failed(house: House, managed: ManagedCertificate, error: CertwrightError) -> None:
    with house.engine.store.write() as unit:
        note_failure(house.engine, unit, managed, error)
        reschedule(house.engine, unit, managed)


def issued(house: House, name: str) -> ManagedCertificate:
    """One with most of its life left."""
    made, now = house.managed(name), house.clock()
    leaf = Authority("CA").certify(name, ec_key(), start=now - timedelta(days=10), lifetime=timedelta(days=90))
    version = CertificateVersion(
        managed_id=made.id,
        issuer="le",
        chain_pem=certificates.pem([leaf]).decode(),
        key_form=KeyForm.ELSEWHERE,
        fingerprint=made.fingerprint,
        issued_at=now - timedelta(days=10),
    )
    with house.engine.store.write() as unit:
        unit.versions.add(version, None)
        reschedule(house.engine, unit, made)
    return made


def pages(browser: Browser, managed: ManagedCertificate) -> list[str]:
    """What a person reads on the overview, at the certificate's head, and on its tab Renewal."""
    return [unescape(browser.get(place.format(id=managed.id)).words) for place in PLACES]


def test_a_first_request_for_a_name_without_an_address_says_what_to_enter(house: House) -> None:
    browser = house.signed_in(Role.OPERATOR)
    with authority() as ca:
        add_issuer(house.engine, "acme", ISSUER, ca.params, internal_names=True, eab=None)
        seen_there = {"address": "127.0.0.1", "port": ca.http_port}
        made = describe(
            house.engine, ca, "a.contoso.test", validation=ca.validation.model_copy(update={"params": seen_there})
        )
        with pytest.raises(SolverError):
            request(house.engine, made.id)
        _, tested = landed(browser, browser.post(f"/certificates/{made.id}/test"))
    assert "1 of 7 checks failed: mend it first." in tested.words
    for told in pages(browser, made):
        assert "Enter an A or AAAA record for the name in the public DNS" in told
        assert "The name a.contoso.test has no address." in told
        assert "Check via (HOST:PORT) or Check first (off)" in told
        assert "--" not in told
        assert NOTHING not in told
        assert told.count("The name a.contoso.test has no address.") == 1
    overview = browser.get("/")
    assert "attention" in overview.words
    assert f'class="quiet" href="/certificates/{made.id}/validation"' in overview.text
    assert f'id="trouble-{made.id}"' in overview.text
    with house.engine.store.read() as unit:
        (event,) = [event for _, event in unit.events.list(limit=100) if event.kind is EventKind.ISSUANCE_FAILED]
    assert event.hint.startswith("Enter an A or AAAA record")


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (IssuanceError("The authority rejects the identifier.", hint="Leave that name out."), ""),
        (SolverError("CAA does not let Test CA issue.", hint='Enter: contoso.com. CAA 0 issue "ca.test"'), ""),
        (
            Denied(
                "Hetzner does not accept the credential.",
                hint="Store a new one: certwright credential add dns:hetzner mine",
            ),
            "/credentials/add/dns%3Ahetzner?name=mine",
        ),
        (NotProved("The authority did not find the proof.", (), hint="Let port 80 through."), ""),
        (Unreachable("The proxy opens TLS.", hint="Give its root.", retryable=False), ""),
        (ConfigurationError("There is no credential 'x'.", hint="Add it."), ""),
    ],
)
def test_what_only_a_person_can_mend_is_listed_at_once_with_what_to_do(
    house: House, error: CertwrightError, step: str
) -> None:
    browser, made = house.signed_in(), issued(house, "mail.contoso.com")
    assert "trouble-" not in browser.get("/").text
    failed(house, made, error)
    assert f'id="trouble-{made.id}"' in browser.get("/").text
    for told in pages(browser, made):
        assert error.message in told
        assert error.hint.partition(": certwright")[0] in told
        assert "Something has to be changed first." in told
        assert NOTHING not in told
    assert f'class="quiet" href="{step or f"/certificates/{made.id}"}"' in browser.get("/").text


@pytest.mark.parametrize(
    ("command", "label", "roles"),
    [
        ("certificate renew CERT", "Request a new one now", {Role.REQUESTER, Role.OPERATOR}),
        ("certificate tags CERT", "Names", {Role.OPERATOR}),
        ("exchange plan CERT", "Exchange: See what would be done", {Role.REQUESTER, Role.OPERATOR}),
        ("deploy CERT", "Deployment: Run it now", {Role.OPERATOR}),
        ("task change CERT TASK", "Deployment", {Role.OPERATOR}),
        ("certificate log CERT", "Log", {Role.VIEWER, Role.REQUESTER, Role.OPERATOR}),
    ],
)
def test_nobody_is_told_to_press_what_is_not_offered_to_them(
    house: House, command: str, label: str, roles: set[Role]
) -> None:
    made = issued(house, "mail.contoso.com")
    failed(house, made, IssuanceError("The authority rejects it.", hint=f"Go on: certwright {command}"))
    offered = f'aria-label="{label}, mail.contoso.com"'
    for role in (Role.VIEWER, Role.REQUESTER, Role.OPERATOR):
        told = house.signed_in(role).get("/").text
        assert (offered in told, "See to it</a>" in told) == (role in roles, role not in roles), role


@pytest.mark.parametrize(
    "error",
    [
        AuthorityFailed("The authority has a fault of its own.", hint="See its status page."),
        LimitReached("Too many certificates.", retry_after=timedelta(hours=1)),
        SolverError("Hetzner is out of order.", hint="Try again.", retryable=True),
    ],
)
def test_what_the_other_side_has_to_mend_invites_nobody_to_fiddle(house: House, error: CertwrightError) -> None:
    browser, made = house.signed_in(), issued(house, "mail.contoso.com")
    failed(house, made, error)
    _, head, renewal = pages(browser, made)
    assert "trouble-" not in browser.get("/").text
    assert f"{NOTHING}: it is tried again by itself" in head
    assert NOTHING in renewal or "wants to be asked again" in renewal
    never = house.managed("new.contoso.com")
    failed(house, never, error)
    seen = browser.get("/")
    assert f'id="trouble-{never.id}"' in seen.text
    assert f"The first request failed: {error.message} {NOTHING}" in seen.words


def test_no_request_is_offered_before_the_authority_wants_to_be_asked_again(house: House) -> None:
    made, button = issued(house, "mail.contoso.com"), re.compile(r"<button[^>]*disabled>Request a new one now")
    requester, path = house.signed_in(Role.REQUESTER), f"/certificates/{made.id}"
    assert not button.search(requester.get(path).text)
    failed(house, made, LimitReached("Too many certificates.", retry_after=timedelta(hours=1)))
    seen, told = requester.get(path), "The authority wants to be asked again on"
    assert (bool(button.search(seen.text)), told in seen.words) == (True, True)
    refused = requester.post(f"{path}/request")
    assert (refused.status, told in refused.words) == (422, True)


def test_what_is_kept_of_a_failure_has_bounds_and_no_secrets(house: House) -> None:
    made = house.managed("mail.contoso.com")
    causes = [f"host{number} refused token=canary{number} {'x' * 3000}" for number in range(500)]
    record = "Create _acme TXT q8Zr5WmX2bT0nYhV7cLdPf4sJgKaEu1iOo9wRt3BvNk"
    failed(house, made, SolverError("Refused.", causes=causes, hint=record))
    with house.engine.store.read() as unit:
        failure = unit.renewals.get(made.id).failure
    assert failure
    assert len(failure.message) < 60_000
    assert "canary" not in failure.message
    assert failure.advice == record


def test_a_node_of_the_version_before_reads_what_is_kept_of_a_failure(house: House) -> None:
    made = house.managed("mail.contoso.com")
    failed(house, made, SolverError("Refused.", causes=["no address"], hint="Enter one."))
    with house.engine.store.read() as unit:
        failure = unit.renewals.get(made.id).failure
    assert failure
    known = {"cause", "count", "since", "at", "retry_at", "message", "revision", "by_peer"}
    assert failure.model_dump().keys() == known
    before = RenewalState(failure=failure.model_copy(update={"message": "Refused."}))
    assert before.failure
    assert (before.failure.headline, before.failure.advice) == ("Refused.", "")
