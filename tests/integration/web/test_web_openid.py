"""Sign-in by an OpenID provider that is slow, wrong, or wants to let strangers in."""

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import trustme

from certwright.domain.access import Permission, Person, Role
from certwright.domain.audit import Action
from certwright.domain.credentials import SignIn
from certwright.domain.errors import CertwrightError, ConfigurationError, Forbidden, InUse, NotSignedIn, Unreachable
from certwright.engine.audit import entries
from certwright.engine.credentials import remove_credential, store_sign_in
from certwright.engine.openid import peer
from certwright.engine.openid.flow import Kept, SignIns
from certwright.engine.openid.providers import providers, put_provider, remove_provider
from certwright.engine.people import remove_person
from certwright.engine.sign_in import sign_in_vouched
from certwright.sdk.context import Credential
from certwright.store.audit import Wanted
from peers.openid import ACCESS_TOKEN, CLIENT, Misled, OpenId, openid
from peers.tunnel import tunnelling
from world.web import Browser, House, Seen, landed, opened

SECRET = "the-secret-of-the-client"
HOUR = 3600
NOT_NOW = "There is no such sign-in provider, or nobody can sign in by it now."
_NUMBERS = count()


@pytest.fixture(scope="module")
def server() -> Iterator[OpenId]:
    with openid() as made:
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def house(pages: House) -> House:
    """One to which nobody came by a provider yet."""
    for each in providers(pages.engine):
        remove_provider(pages.engine, each.name)
    for person in people(pages):
        remove_person(pages.engine, person.name)
    pages.clock.now = datetime.now(UTC)
    return pages


@pytest.fixture
def provider(house: House, server: OpenId) -> OpenId:
    """One by which people sign in to the house."""
    server.misled = Misled()
    server.asked.clear()
    server.forms.clear()
    put_provider(house.engine, "contoso", params(house, server), checked=False)
    return server


def params(house: House, server: OpenId, **other: Any) -> dict[str, Any]:
    return {
        "title": "Contoso",
        "issuer": server.issuer,
        "client_id": CLIENT,
        "client_secret": f"{SECRET}-{next(_NUMBERS)}",  # so that nothing is kept of the one before
        "address": f"http://{house.at}",
        "operators": ["certificate team"],
        **other,
    }


def come(
    house: House, provider: OpenId, browser: Browser | None = None, wanted: str = "", called: str = "contoso"
) -> Seen:
    """What a browser sees that went to the provider and was sent back."""
    browser = browser or house.browser()
    began = browser.get(f"/sign-in/with/{called}?next={wanted}")
    if began.status != 303:
        return began
    return browser.get(provider.sign_in(began.headers["Location"]).removeprefix(f"http://{house.at}"))


def finished(sign_ins: SignIns, provider: OpenId) -> tuple[Kept, str]:
    """What comes of a sign-in without a browser."""
    address, kept = sign_ins.begin("contoso", "/")
    back = parse_qs(urlsplit(provider.sign_in(address)).query)
    return sign_ins.finish("contoso", {name: value for name, (value,) in back.items()}, kept.text)


def people(house: House) -> list[Person]:
    """Who came by a provider."""
    with house.engine.store.read() as unit:
        return [each for each in unit.people.list() if each.identity]


def now(seconds: float) -> int:
    return int(datetime.now(UTC).timestamp() + seconds)


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", 0), ("PS256", 0), ("ES256", 2)])
def test_a_token_that_is_as_it_must_be_lets_in(house: House, provider: OpenId, algorithm: str, key: int) -> None:
    provider.misled = Misled(headers={"alg": algorithm, "kid": str(key)}, shown=(0, 1, 2))
    browser = Browser(house.at, cookie="chosen-by-a-stranger")
    seen = come(house, provider, browser, "/certificates?health=ok")
    assert (seen.status, seen.headers["Location"]) == (303, "/certificates?health=ok")
    assert "chosen" not in browser.cookie
    assert "anna, operator" in browser.get("/").words
    kept = {part.strip() for given in seen.headers.get_all("Set-Cookie") or () for part in given.split(";")}
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Path=/sign-in/with/contoso"} <= kept


def test_who_comes_by_a_provider_ends_what_the_browser_showed_before(house: House, provider: OpenId) -> None:
    browser = house.signed_in()
    before = replace(browser)
    assert come(house, provider, browser).status == 303
    assert before.get("/").status == 303
    assert "anna, operator" in browser.get("/").words


@pytest.mark.parametrize("name", ["a\r\nX-Foo: bar", 'a"bä€', "a; Domain=evil", "\0"])
def test_who_comes_back_from_nobody_is_told_so_and_keeps_nothing(house: House, name: str) -> None:
    seen = house.browser().get(f"/sign-in/with/{quote(name)}/callback", Origin="http://[")
    assert (seen.status, seen.headers["X-Foo"]) == (401, None)
    wanted = ['certwright-begun=""', "HttpOnly", "Max-Age=0", f"Path=/sign-in/with/{quote(name)}", "SameSite=lax"]
    assert seen.headers["Set-Cookie"].split("; ") == wanted


def test_what_browsers_keep_goes_by_tls_alone_where_a_proxy_speaks_it(house: House, provider: OpenId) -> None:
    address = "https://certwright.contoso.com"
    browser = house.browser()
    assert not any("Secure" in each for each in come(house, provider).headers.get_all("Set-Cookie") or ())
    put_provider(house.engine, "contoso", params(house, provider, address=address), checked=False)
    began = browser.get("/sign-in/with/contoso")
    assert "; Secure" in began.headers["Set-Cookie"]
    seen = browser.get(provider.sign_in(began.headers["Location"]).removeprefix(address))
    assert seen.status == 303
    (kept,) = (each for each in seen.headers.get_all("Set-Cookie") or () if each.startswith("certwright="))
    assert "; Secure" in kept


def test_what_the_provider_is_asked_proves_who_asks_and_shows_no_secret(house: House, provider: OpenId) -> None:
    browser = house.browser()
    to = urlsplit(browser.get("/sign-in/with/contoso").headers["Location"])
    asked = {name: values[0] for name, values in parse_qs(to.query).items()}
    assert (asked["theme"], asked["response_type"], asked["code_challenge_method"]) == ("dark", "code", "S256")
    assert asked["redirect_uri"] == f"http://{house.at}/sign-in/with/contoso/callback"
    assert asked["scope"].split() == ["openid", "profile", "email"]
    again = parse_qs(urlsplit(browser.get("/sign-in/with/contoso").headers["Location"]).query)
    assert not {asked[name] for name in ("state", "nonce", "code_challenge")} & {v[0] for v in again.values()}
    assert not {asked[name] for name in ("state", "nonce")} & set(browser.others["certwright-begun"].split("."))
    come(house, provider)
    assert "client_secret" not in provider.forms[0]
    assert provider.forms[0]["Authorization"].startswith("Basic ")
    kept = b"".join(file.read_bytes() for file in house.folder.rglob("*") if file.is_file())
    assert b"certificate team" in kept
    for secret in (SECRET, ACCESS_TOKEN, provider.forms[0]["code"], provider.forms[0]["code_verifier"]):
        assert secret.encode() not in kept
    put_provider(house.engine, "contoso", params(house, provider, client_secret=None), checked=False)
    assert come(house, provider).status == 303
    assert (provider.forms[-1]["client_id"], provider.forms[-1]["Authorization"]) == (CLIENT, "")


@pytest.mark.parametrize(
    ("misled", "told"),
    [
        (Misled(claims={"nonce": "another"}), "was made for another sign-in"),
        (Misled(claims={"nonce": None}), "lacks claims, or has them in another shape: nonce"),
        (Misled(claims={"aud": "another"}), "is for another client"),
        (Misled(claims={"aud": ["another", CLIENT]}), "is for several clients"),
        (Misled(claims={"azp": "another"}), "was made for another client"),
        (Misled(claims={"iss": "https://evil.test"}), "is of another issuer"),
        (Misled(claims={"iss": ["https://evil.test"]}), "in another shape: iss"),
        (Misled(claims={"exp": now(-HOUR)}), "has expired by the clock of this machine"),
        (Misled(claims={"exp": "tomorrow"}), "in another shape: exp"),
        (Misled(claims={"iat": now(HOUR), "exp": now(2 * HOUR)}), "was made later than now"),
        (Misled(claims={"sub": ""}), "in another shape: sub"),
        (Misled(claims={"sub": "s" * 256}), "in another shape: sub"),
        (Misled(headers={"alg": "none"}), "is signed in a way that proves nothing here"),
        (Misled(headers={"alg": "HS256"}), "is signed in a way that proves nothing here"),
        (Misled(headers={"alg": ["RS256"]}), "is signed in a way that proves nothing here"),
        (Misled(headers={"alg": "ES256"}), "is signed with a key that it does not show"),
        (Misled(headers={"kid": "7"}), "is signed with a key that it does not show"),
        (Misled(headers={"kid": "0"}, key=1), "does not bear the provider&#39;s signature"),
        (Misled(headers={"crit": ["b64"], "b64": False}), "The provider&#39;s ID token"),
        (Misled(spoilt=True), "does not bear the provider&#39;s signature"),
        (Misled(claims={"groups": ["strangers", "<b>"]}), "came &#39;strangers&#39;, &#39;&lt;b&gt;&#39;"),
        (Misled(claims={"groups": {"certificate team": True}}), "no claim &#39;groups&#39; came"),
        (Misled(claims={"groups": None, "_claim_names": {"groups": "src1"}}), "because there are too many"),
        (Misled(claims={"preferred_username": "an na"}), "is no name that can be taken here"),
        (Misled(claims={"preferred_username": ["anna", "berta"]}), "does not say how you are called"),
        (Misled(back={"iss": "https://evil.test"}), "is not from Contoso"),
        (Misled(back={"iss": None}), "is not from Contoso"),
        (Misled(back={"state": "another"}), "This browser did not begin this sign-in"),
        (Misled(back={"state": None}), "This browser did not begin this sign-in"),
        (Misled(back={"code": None}), "sent you back without a word"),
        (Misled(back={"code": "another"}), "Contoso did not complete the sign-in: invalid_grant"),
        (
            Misled(back={"error": "access_denied", "error_description": "<script>no</script>\x1b"}),
            "did not sign you in: access_denied: &lt;script&gt;no&lt;/script&gt;\\x1b",
        ),
        (Misled(answers={"/token": (200, b'{"id_token": "x.y"}')}), "cannot be read"),
        (Misled(answers={"/token": (302, b"")}), "answered 302"),
        (Misled(answers={"/token": (500, b"no")}), "answered 500"),
    ],
)
def test_what_is_not_as_it_must_be_lets_nobody_in(house: House, provider: OpenId, misled: Misled, told: str) -> None:
    provider.misled = misled
    browser, before = house.browser(), entries(house.engine, limit=1)[0].number
    seen = come(house, provider, browser)
    assert seen.status == 401
    assert told in seen.text
    assert browser.get("/").status == 303
    assert people(house) == []
    assert {entry.action for entry in entries(house.engine) if entry.number > before} <= {Action.REFUSED}


@pytest.mark.parametrize(
    ("misled", "told"),
    [
        (Misled(answers={"/token": (200, b"[]")}), "with something that is not as documented"),
        (Misled(answers={"/token": (200, b"<html>")}), "with something that is no JSON"),
        (Misled(answers={"/keys": (200, json.dumps({"keys": [{}] * 101}).encode())}), "is not as documented"),
        (Misled(answers={"/keys": (200, b"{" * 2_000_000)}), "got no answer"),
        (Misled(answers={"/keys": (200, b"[" * 100_000)}), "is no JSON"),
        (Misled(metadata={"issuer": "https://evil.test"}), "The provider calls itself"),
        (Misled(metadata={"token_endpoint": "http://contoso.test/token"}), "token_endpoint"),
        (Misled(metadata={"authorization_endpoint": "javascript:alert(1)"}), "authorization_endpoint"),
        (Misled(metadata={"jwks_uri": "https://127.0.0.1:1/keys"}), "got no answer"),
    ],
)
def test_what_is_wrong_with_a_provider_lets_nobody_in_and_is_not_told_to_strangers(
    house: House, provider: OpenId, misled: Misled, told: str
) -> None:
    provider.misled = misled
    with pytest.raises(CertwrightError) as caught:
        finished(SignIns(house.engine), provider)
    assert told in " ".join(caught.value.explain())
    seen = come(house, provider)
    assert (seen.status, told in seen.text, NOT_NOW in seen.words) == (401, False, True)
    assert people(house) == []


def test_strangers_read_in_no_answer_what_is_stored_and_how_providers_are_reached(
    tmp_path: Path, server: OpenId
) -> None:
    with opened(tmp_path) as house:
        store_sign_in(house.engine, SignIn.PFX, Credential("merger", "", "secret"))
        way = {"issuer": "https://login.contoso.test", "proxy": "http://proxy.intern.test:1"}
        put_provider(house.engine, "contoso", params(house, server, **way), checked=False)
        stranger = house.browser()
        seen = [stranger.get(f"/sign-in/with/{name}") for name in ("contoso", "merger", "nothere")]
        assert {(each.status, NOT_NOW in each.words) for each in seen} == {(401, True)}
        told = " ".join(each.text for each in seen)
        assert not [word for word in ("nothere", "merger", "pfx", "intern", ".test") if word in told]
        other, entry = (entry.after or {} for entry in entries(house.engine, Wanted(action=Action.REFUSED)))
        assert (entry["provider"], "login.contoso.test" in entry["reason"]) == ("contoso", True)
        assert (other["provider"], "of the kind pfx" in other["reason"]) == ("merger", True)


def test_a_silent_provider_keeps_a_few_waiting_and_nobody_else(
    house: House, provider: OpenId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer._Asked, "timeout", 60)
    with ThreadPoolExecutor(40) as pool:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
            put_provider(house.engine, "silent", params(house, provider, issuer=issuer), checked=False)
            came = [pool.submit(house.browser().get, "/sign-in/with/silent") for _ in range(40)]
            refused = [each.result() for each in islice(as_completed(came, 60), 32)]
            assert {(each.status, each.headers["Retry-After"]) for each in refused} == {(429, "5")}
            assert house.browser().get("/sign-in/with/contoso").status == 303
            assert sum(not each.done() for each in came) == 8
        assert sum(NOT_NOW in each.result().words for each in came) == 8


def test_a_provider_that_did_not_answer_is_not_asked_at_once_again(
    house: House, provider: OpenId, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.misled = Misled(answers={"/realms/main/.well-known/openid-configuration": (503, b"")})
    for _ in range(3):
        assert NOT_NOW in come(house, provider).words
    assert len(provider.asked) == 1
    provider.misled = Misled()
    assert come(house, provider).status == 401
    monkeypatch.setattr(peer, "_SILENT_SECONDS", 0)
    assert come(house, provider).status == 303


def test_new_keys_of_the_provider_are_fetched_and_not_for_every_stranger(
    house: House, provider: OpenId, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert come(house, provider).status == 303
    assert come(house, provider).status == 303
    assert provider.asked.count("/keys") == 1
    assert provider.asked.count("/realms/main/.well-known/openid-configuration") == 1
    provider.misled = Misled(key=1, shown=(0, 1))
    assert "with a key that it does not show" in come(house, provider).text
    assert provider.asked.count("/keys") == 1  # it was asked a moment ago
    monkeypatch.setattr(peer, "_KEYS_AGAIN_SECONDS", 0)
    assert come(house, provider).status == 303
    assert provider.asked.count("/keys") == 2


def test_a_sign_in_ends_in_the_browser_that_began_it_within_ten_minutes(house: House, provider: OpenId) -> None:
    browser = house.browser()
    back = provider.sign_in(browser.get("/sign-in/with/contoso").headers["Location"]).removeprefix(f"http://{house.at}")
    assert house.browser().get(back).status == 401
    kept = dict(browser.others)
    house.clock.now += timedelta(minutes=10, seconds=1)
    assert "longer than 10 minutes ago" in browser.get(back).words
    house.clock.now -= timedelta(minutes=1)
    put_provider(house.engine, "fabrikam", params(house, provider), checked=False)
    browser.others = dict(kept)
    assert browser.get(back.replace("contoso", "fabrikam")).status == 401  # one provider cannot answer for another
    browser.others = {"certwright-begun": kept["certwright-begun"][:-5] + "AAAA="}
    assert browser.get(back).status == 401
    browser.others = dict(kept)
    assert browser.get(back).status == 303
    assert browser.others == {"certwright-begun": ""}


@pytest.mark.parametrize(
    "wanted", ["https://evil.test/", "//evil.test/", "/\\evil.test/", "javascript:alert(1)", f"/{'a' * 1000}"]
)
def test_it_leads_to_our_own_pages_only(house: House, provider: OpenId, wanted: str) -> None:
    assert come(house, provider, wanted=wanted).headers["Location"] == "/"


def test_claims_may_come_from_the_userinfo_endpoint_and_lie_in_others(house: House, provider: OpenId) -> None:
    put_provider(house.engine, "contoso", params(house, provider, role_claim="access.roles"), checked=False)
    provider.misled = Misled(userinfo={"sub": "4711", "access": {"roles": ["certificate team"]}, "iss": "evil"})
    assert come(house, provider).status == 303
    assert "/userinfo" in provider.asked
    provider.misled = Misled(userinfo={"sub": "1", "access": {"roles": ["certificate team"]}})
    assert "tells of somebody else" in come(house, provider).words


def test_tags_limit_who_is_given_some_and_whoever_should_have_some_and_has_not_stays_out(
    house: House, provider: OpenId
) -> None:
    put_provider(
        house.engine, "contoso", params(house, provider, tag_claim="sites", administrators=["chiefs"]), checked=False
    )
    theirs, ours = house.managed("theirs.contoso.com"), house.managed("ours.contoso.com", tags=("berlin",))
    assert "no claim 'sites' came" in come(house, provider).words.replace("&#39;", "'")
    provider.misled = Misled(claims={"sites": ["berlin"]})
    browser = house.browser()
    assert come(house, provider, browser).status == 303
    assert [browser.get(f"/certificates/{each.id}").status for each in (theirs, ours)] == [404, 200]
    provider.misled = Misled(claims={"sites": ["No Tag"]})
    assert "These are no tags" in come(house, provider).words
    claims = {"groups": ["certificate team", "chiefs"], "sub": "1", "preferred_username": "b"}
    provider.misled = Misled(claims=claims, userinfo={"sub": "1"})
    assert come(house, provider).status == 303
    assert [(each.role, each.tags) for each in people(house)] == [
        (Role.OPERATOR, ("berlin",)),
        (Role.ADMINISTRATOR, ()),
    ]


def test_nobody_has_a_provider_give_more_than_they_have(house: House, provider: OpenId) -> None:
    caller = replace(house.engine.caller, permissions=frozenset({Permission.ADMINISTER, Permission.READ}))
    few = house.engine.acting(caller)
    with pytest.raises(Forbidden):
        put_provider(few, "more", params(house, provider), checked=False)
    put_provider(few, "more", params(house, provider, operators=[], viewers=["x"]), checked=False)


def test_nobody_takes_away_a_provider_that_gives_more_than_they_have(house: House, provider: OpenId) -> None:
    caller = replace(house.engine.caller, permissions=frozenset({Permission.ADMINISTER, Permission.READ}))
    few = house.engine.acting(caller)
    less = params(house, provider, operators=[], viewers=["x"])
    with pytest.raises(Forbidden):
        remove_provider(few, "contoso")
    with pytest.raises(Forbidden):
        put_provider(few, "contoso", less, checked=False)
    assert come(house, provider).status == 303
    put_provider(house.engine, "contoso", less, checked=False)
    remove_provider(few, "contoso")


def test_an_administrator_by_a_provider_is_not_the_one_who_has_to_stay(house: House, provider: OpenId) -> None:
    admin = house.signed_in()
    put_provider(house.engine, "contoso", params(house, provider, administrators=["certificate team"]), checked=False)
    browser = house.browser()
    assert come(house, provider, browser).status == 303
    assert (
        "is the last administrator. Add another one first, with a password."
        in browser.post("/people/remove?name=administrator").words
    )
    assert admin.post("/people/remove?name=anna").status == 303
    assert browser.get("/").status == 303
    assert "anna by contoso administrator all certificates as the provider does not let in Let in again" in (
        admin.get("/people").words
    )
    assert admin.post("/people/admit", name="anna").status == 303
    assert come(house, provider, browser).status == 303


def test_who_signs_out_is_led_to_the_provider_that_signs_out_too(house: House, provider: OpenId) -> None:
    provider.misled = Misled(metadata={"end_session_endpoint": f"{provider.base}/logout?theme=dark"})
    browser = house.browser()
    come(house, provider, browser)
    seen = browser.post("/sign-out")
    assert (seen.status, browser.get("/").status) == (200, 303)
    assert "At Contoso you may still be signed in" in seen.words
    (link,) = re.findall(r'href="(http[^"]+)"', seen.text)
    to = urlsplit(unescape(link))
    assert f"{to.scheme}://{to.netloc}{to.path}" == f"{provider.base}/logout"
    asked = {name: values[0] for name, values in parse_qs(to.query).items()}
    state = asked.pop("state")
    back = f"http://{house.at}/sign-in"
    assert asked == {"theme": "dark", "client_id": CLIENT, "post_logout_redirect_uri": back}
    told = "You are signed out at Contoso, too."
    assert told in browser.get(f"/sign-in?state={state}").words
    assert told not in browser.get(f"/sign-in?state={state[:-8]}AAAAAAA=").words
    house.clock.now += timedelta(minutes=11)
    assert told not in browser.get(f"/sign-in?state={state}").words


@pytest.mark.parametrize("endpoint", [None, "http://login.contoso.com/logout", "javascript:alert(1)", "//contoso.com"])
def test_nobody_is_led_to_a_provider_that_has_no_way_out_or_a_bad_one(
    house: House, provider: OpenId, endpoint: str | None
) -> None:
    provider.misled = Misled(metadata={"end_session_endpoint": endpoint})
    browser = house.browser()
    assert come(house, provider, browser).status == 303
    seen = browser.post("/sign-out")
    assert (seen.status, seen.headers["Location"], browser.get("/").status) == (303, "/sign-in", 303)


def test_a_provider_is_set_up_tested_replaced_and_removed_on_the_page(house: House, server: OpenId) -> None:
    server.misled = Misled()
    admin = house.signed_in()
    assert "/sign-in/with/NAME/callback" in admin.get("/people/providers/add").text
    german = admin.get("/people/providers/add", **{"Accept-Language": "de"}).words
    assert "Antragsteller Werte, die zum Antragsteller machen." in german
    fields = {
        "name": "contoso",
        "check_first": "yes",
        "param.title": "Contoso",
        "param.issuer": server.issuer,
        "param.client_id": CLIENT,
        "param.client_secret": SECRET,
        "param.address": f"http://{house.at}",
        "param.operators": "CN=Certificates,OU=Groups,DC=contoso\ncertificate team",
    }
    _, wrong = landed(admin, admin.post("/people/providers/add", **fields | {"param.issuer": f"{server.issuer}/"}))
    assert "Write the issuer exactly as the provider does" in wrong.words
    assert SECRET not in wrong.text
    path, stored = landed(admin, admin.post("/people/providers/add", **fields))
    assert path == "/people"
    assert f"http://{house.at}/sign-in/with/contoso/callback" in stored.words
    assert "operator: CN=Certificates,OU=Groups,DC=contoso, certificate team" in stored.words
    _, twice = landed(admin, admin.post("/people/providers/add", **fields))
    assert (twice.status, "There is a sign-in provider &#39;contoso&#39; already." in twice.text) == (422, True)
    assert 'href="/people/providers/add?name=contoso"' in twice.text
    _, tested = landed(admin, admin.post("/people/providers/test", name="contoso"))
    assert "It takes the client." in tested.words
    assert "certificate team" in admin.get("/people/providers/add?name=contoso").text
    assert come(house, server).status == 303
    with pytest.raises(ConfigurationError, match="'contoso' is a sign-in provider"):
        remove_credential(house.engine, "contoso")
    assert admin.post("/people/providers/remove?name=contoso").status == 303
    assert house.browser().get("/sign-in/with/contoso").status == 401
    told = [entry.action for entry in entries(house.engine, Wanted(subject="contoso"))]
    assert told[:2] == [Action.REMOVED, Action.ADDED]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"issuer": "http://login.contoso.test"}, "it must begin with https"),
        ({"issuer": "https://login.contoso.test?a=b"}, "nothing after a question mark"),
        ({"address": "https://certwright.contoso.test/path"}, "the address of the first page alone"),
        ({"operators": []}, "nobody would be let in"),
        ({"client_id": "a b"}, "client_id"),
    ],
)
def test_what_could_not_work_is_not_stored(house: House, server: OpenId, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(CertwrightError) as caught:
        put_provider(house.engine, "contoso", params(house, server, **wrong), checked=False)
    assert told in " ".join(caught.value.explain())
    assert "Sign in with" not in house.browser().get("/sign-in").words


@pytest.mark.parametrize("name", ["", "Contoso", "a/b", "..", "a" * 41, "a b"])
def test_a_name_is_one_that_an_address_can_have(house: House, server: OpenId, name: str) -> None:
    with pytest.raises(CertwrightError, match="cannot be the name of a sign-in provider"):
        put_provider(house.engine, name, params(house, server), checked=False)


def test_a_provider_in_the_house_is_asked_by_the_proxy_and_its_own_authority(house: House, tmp_path: Path) -> None:
    authority, name = trustme.CA(), "login.contoso.test"
    context, roots = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "roots.pem"
    authority.issue_cert(name).configure_cert(context)
    authority.cert_pem.write_to_path(roots)
    with openid(name, context) as provider, tunnelling({name: provider.port}, "svc:c4nary") as proxy:
        store_sign_in(house.engine, SignIn.PROXY, Credential("proxy", "svc", "c4nary"))
        way = {"proxy": f"http://127.0.0.1:{proxy.port}", "proxy_credential": "proxy"}
        with pytest.raises(Unreachable, match="no answer"):
            put_provider(house.engine, "contoso", params(house, provider, **way), checked=True)
        put_provider(house.engine, "contoso", params(house, provider, **way, ca_file=roots), checked=True)
        assert come(house, provider).status == 303
        assert all(asked.startswith(f"CONNECT {name}:443 ") for asked in proxy.asked)
    with pytest.raises(InUse, match="the sign-in provider 'contoso'"):
        remove_credential(house.engine, "proxy")


def test_what_one_provider_let_in_ends_when_another_one_of_that_issuer_lets_in(house: House, provider: OpenId) -> None:
    chiefs = params(house, provider, operators=[], administrators=["certificate team"])
    put_provider(house.engine, "chiefs", chiefs, checked=False)
    one, other = house.browser(), house.browser()
    assert come(house, provider, one).status == 303
    assert come(house, provider, other, called="chiefs").status == 303
    assert one.get("/").status == 303
    assert "anna, administrator" in other.get("/").words
    (anna,) = people(house)
    assert anna.identity
    by_contoso = anna.identity.model_copy(update={"provider": "contoso"})
    with pytest.raises(NotSignedIn, match="by another provider at this moment"):
        sign_in_vouched(house.engine, by_contoso, anna.name, anna.role, (), lambda unit: unit.people.update(anna))
    assert come(house, provider, one).status == 303
    remove_provider(house.engine, "contoso")
    assert one.get("/").status == 303


def test_who_came_by_a_provider_that_is_gone_is_out(house: House, provider: OpenId) -> None:
    browser = house.browser()
    assert come(house, provider, browser).status == 303
    remove_provider(house.engine, "contoso")
    assert browser.get("/").status == 303


def test_what_a_provider_said_before_it_was_set_up_anew_or_somebody_was_removed_lets_nobody_in(
    house: House, provider: OpenId
) -> None:
    changes: list[Callable[[], Any]] = [
        lambda: put_provider(house.engine, "contoso", params(house, provider), checked=False),
        lambda: remove_provider(house.engine, "contoso"),
    ]

    def now() -> datetime:
        if "/token" in provider.asked:
            provider.asked.clear()
            changes.pop(0)()
        return house.clock()

    signing_in = SignIns(replace(house.engine, now=now))
    for told in ("Contoso was set up anew at this moment", "There is no credential 'contoso'"):
        with pytest.raises(CertwrightError, match=told):
            finished(signing_in, provider)
    assert not changes
    (anna,) = people(house)
    assert anna.identity
    with pytest.raises(Forbidden, match="anna is not let in any more"):
        sign_in_vouched(house.engine, anna.identity, anna.name, anna.role, (), lambda unit: unit.people.bar(anna))
