"""People sign in by a real OpenID provider (Glewlwyd), as what its claims say."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from certwright.domain.access import Person, Role
from certwright.domain.audit import Action
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.engine.audit import entries
from certwright.engine.openid.providers import providers, put_provider, remove_provider, try_provider
from certwright.engine.people import add_person, admit_person, remove_person, set_password, set_role
from certwright.store.audit import Wanted
from peers.glewlwyd import CLIENT, SECRET, Glewlwyd, glewlwyd
from world.web import PASSWORD, Browser, House, Seen, opened


@pytest.fixture(scope="module")
def provider() -> Iterator[Glewlwyd]:
    with glewlwyd() as server:
        yield server


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def house(pages: House, provider: Glewlwyd) -> House:
    """One in which people sign in by the provider, whose clock is right when the test begins."""
    pages.clock.now = datetime.now(UTC)
    put_provider(pages.engine, "contoso", params(pages, provider), checked=False)
    provider.register(providers(pages.engine)[0].redirect_uri)
    return pages


def params(house: House, provider: Glewlwyd, **other: Any) -> dict[str, Any]:
    return {
        "title": "Contoso",
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "address": f"http://{house.at}",
        "scopes": [],
        "operators": ["certificate team"],
        "viewers": ["help desk"],
        **other,
    }


def come(house: House, provider: Glewlwyd, name: str, wanted: str = "/") -> tuple[Browser, Seen]:
    """Somebody's browser, and what it sees when the provider sent it back."""
    browser = house.browser()
    assert "Sign in with Contoso" in browser.get("/sign-in").words
    began = browser.get(f"/sign-in/with/contoso?next={wanted}")
    assert began.status == 303, began.words
    back = provider.sign_in(name, began.headers["Location"])
    return browser, browser.get(back.removeprefix(f"http://{house.at}"))


def person(house: House, name: str) -> Person:
    with house.engine.store.read() as unit:
        return unit.people.get(name)


def test_people_come_as_what_their_groups_say_each_time(house: House, provider: Glewlwyd) -> None:
    provider.person("anna", ["everybody", "certificate team"])
    browser, seen = come(house, provider, "anna", "/certificates")
    assert (seen.status, seen.headers["Location"]) == (303, "/certificates")
    assert "anna, operator" in browser.get("/certificates").words
    assert "You sign in by contoso" in browser.get("/account").words
    assert browser.post("/account/code").status == 422
    provider.person("anna", ["help desk"])
    again, _ = come(house, provider, "anna")
    assert "anna, viewer" in again.get("/").words
    provider.person("anna", ["strangers"])
    _, refused = come(house, provider, "anna")
    assert refused.status == 401
    assert "of the claim &#39;groups&#39; came &#39;strangers&#39;" in refused.text
    assert again.get("/").status == 303  # what let in before does so no more
    told = [entry.action for entry in entries(house.engine, Wanted(subject="anna"))]
    assert told == [Action.REFUSED, Action.SIGNED_IN, Action.CHANGED, Action.SIGNED_IN, Action.ADDED]
    trail = str(entries(house.engine))
    assert SECRET not in trail


def test_who_signs_out_is_offered_the_way_out_that_the_provider_names(house: House, provider: Glewlwyd) -> None:
    provider.person("emil", ["certificate team"])
    browser, _ = come(house, provider, "emil")
    seen = browser.post("/sign-out")
    (link,) = re.findall(r'<a role="button" href="([^"]+)"', seen.text)
    to = unescape(link)
    assert to.startswith(f"{provider.issuer}/end_session?client_id={CLIENT}&post_logout_redirect_uri=http")
    provider.sign_out("emil", to)
    assert browser.get("/").status == 303


def test_a_name_that_is_taken_here_is_not_taken_over(house: House, provider: Glewlwyd) -> None:
    provider.person("berta", ["certificate team"])
    add_person(house.engine, "Berta", Role.ADMINISTRATOR, PASSWORD)
    _, seen = come(house, provider, "berta")
    assert "There is a person &#39;Berta&#39; here already" in seen.text
    assert person(house, "berta").identity is None
    assert house.browser().post("/sign-in", name="berta", password=PASSWORD).status == 303


def test_who_was_removed_comes_back_when_allowed_alone(house: House, provider: Glewlwyd) -> None:
    provider.person("carla", ["certificate team"])
    browser, _ = come(house, provider, "carla")
    remove_person(house.engine, "carla")
    assert browser.get("/").status == 303
    assert "carla is not let in any more." in come(house, provider, "carla")[1].words
    with pytest.raises(ConfigurationError, match="is remembered so that contoso cannot change that"):
        remove_person(house.engine, "carla")
    admit_person(house.engine, "carla")
    assert come(house, provider, "carla")[1].status == 303
    remove_provider(house.engine, "contoso")
    remove_person(house.engine, "carla")
    with house.engine.store.read() as unit:
        assert unit.people.find("carla") is None


def test_who_comes_by_a_provider_has_no_password_and_no_role_of_ours(house: House, provider: Glewlwyd) -> None:
    provider.person("dora", ["certificate team"])
    come(house, provider, "dora")
    with pytest.raises(ConfigurationError, match="signs in by contoso"):
        set_password(house.engine, "dora", PASSWORD)
    with pytest.raises(ConfigurationError, match="signs in by contoso"):
        set_role(house.engine, "dora", Role.VIEWER)
    for password in ("", PASSWORD):
        assert house.browser().post("/sign-in", name="dora", password=password).status == 401
    assert person(house, "dora").failures == 0


def test_another_provider_of_that_name_signs_everybody_out_who_came_by_it(house: House, provider: Glewlwyd) -> None:
    provider.person("emma", ["certificate team"])
    browser, _ = come(house, provider, "emma")
    put_provider(
        house.engine, "contoso", params(house, provider, viewers=["certificate team"], operators=[]), checked=False
    )
    assert browser.get("/").status == 303
    again, _ = come(house, provider, "emma")
    assert "emma, viewer" in again.get("/").words


def test_a_provider_is_tried_and_what_is_wrong_is_said(house: House, provider: Glewlwyd) -> None:
    assert try_provider(house.engine, "contoso") == f"{provider.issuer} answers, and shows 1 key. It takes the client."
    for wrong, told in (
        ({"client_secret": "another"}, "does not take the client ID, or its secret: unauthorized_client"),
        ({"issuer": f"{provider.issuer}/"}, "The provider calls itself"),
        (
            {"issuer": provider.issuer.removesuffix("/api/oidc")},
            "answered 404, where the provider should describe itself",
        ),
    ):
        with pytest.raises(CertwrightError, match=told) as caught:
            put_provider(house.engine, "contoso", params(house, provider, **wrong), checked=True)
        assert SECRET not in str(list(caught.value.explain()))
    assert try_provider(house.engine, "contoso")  # the one before is kept


def test_a_code_counts_once_and_for_the_browser_that_began(house: House, provider: Glewlwyd) -> None:
    provider.person("frida", ["certificate team"])
    browser = house.browser()
    back = provider.sign_in("frida", browser.get("/sign-in/with/contoso").headers["Location"])
    path = back.removeprefix(f"http://{house.at}")
    assert "This browser did not begin this sign-in" in house.browser().get(path).words
    kept = dict(browser.others)
    assert browser.get(path).status == 303
    assert browser.others["certwright-begun"] == ""
    browser.others = kept
    assert "Contoso did not complete the sign-in" in browser.get(path).words
