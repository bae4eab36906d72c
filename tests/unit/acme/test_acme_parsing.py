"""Whatever a server sends, the outcome is an object or UnexpectedAnswer, never another error."""

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme.account import Account
from certwright.acme.authorization import Authorization
from certwright.acme.certificate import Chain
from certwright.acme.directory import Directory
from certwright.acme.errors import UnexpectedAnswer
from certwright.acme.identifier import Identifier
from certwright.acme.order import Order
from certwright.acme.renewal_info import RenewalInfo
from certwright.acme.transport import Headers, Response
from unit.acme.memory_ca import answer
from unit.acme.test_acme_problem import ANY_JSON

URL = "https://example.com/acme/thing/1"

# RFC 8555 sections 7.1.1 to 7.1.4 and RFC 9773 section 4.2
DOCUMENTS: dict[str, dict[str, Any]] = {
    "directory": {
        "newNonce": "https://example.com/acme/new-nonce",
        "newAccount": "https://example.com/acme/new-account",
        "newOrder": "https://example.com/acme/new-order",
        "newAuthz": "https://example.com/acme/new-authz",
        "revokeCert": "https://example.com/acme/revoke-cert",
        "keyChange": "https://example.com/acme/key-change",
        "renewalInfo": "https://example.com/acme/renewal-info",
        "meta": {
            "termsOfService": "https://example.com/acme/terms/2017-5-30",
            "website": "https://www.example.com/",
            "caaIdentities": ["example.com"],
            "externalAccountRequired": False,
            "profiles": {"profile1": "https://example.com/acme/docs/profiles#profile1"},
        },
    },
    "account": {
        "status": "valid",
        "contact": ["mailto:cert-admin@example.org", "mailto:admin@example.org"],
        "termsOfServiceAgreed": True,
        "orders": "https://example.com/acme/orders/rzGoeA",
    },
    "order": {
        "status": "valid",
        "expires": "2016-01-20T14:09:07.99Z",
        "identifiers": [{"type": "dns", "value": "www.example.org"}, {"type": "dns", "value": "example.org"}],
        "notBefore": "2016-01-01T00:00:00Z",
        "notAfter": "2016-01-08T00:00:00Z",
        "authorizations": ["https://example.com/acme/authz/PAniVnsZcis", "https://example.com/acme/authz/r4HqLz"],
        "finalize": "https://example.com/acme/order/TOlocE8rfgo/finalize",
        "certificate": "https://example.com/acme/cert/mAt3xBGaobw",
    },
    "authorization": {
        "status": "valid",
        "expires": "2015-03-01T14:09:07.99Z",
        "identifier": {"type": "dns", "value": "www.example.org"},
        "challenges": [
            {
                "url": "https://example.com/acme/chall/prV_B7yEyA4",
                "type": "http-01",
                "status": "valid",
                "token": "DGyRejmCefe7v4NfDGDKfA",
                "validated": "2014-12-01T12:05:58.16Z",
            }
        ],
        "wildcard": False,
    },
    "renewal": {
        "suggestedWindow": {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"},
        "explanationURL": "https://acme.example.com/docs/ari",
    },
}
PARSERS: dict[str, Callable[[Response], object]] = {
    "directory": Directory.parse,
    "account": lambda response: Account.parse(response, URL),
    "order": lambda response: Order.parse(response, URL, 0),
    "authorization": lambda response: Authorization.parse(response, URL),
    "renewal": lambda response: RenewalInfo.parse(response, 0),
}


def paths(value: Any) -> list[list[str | int]]:
    """Every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [[], *([key, *rest] for key, inner in items for rest in paths(inner))]


def replaced(document: Any, path: list[str | int], value: object) -> Any:
    if not path:
        return value
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def test_the_directory_of_rfc_8555() -> None:
    directory = Directory.parse(answer(200, DOCUMENTS["directory"]))
    assert directory.new_order == "https://example.com/acme/new-order"
    assert directory.meta.terms_of_service == "https://example.com/acme/terms/2017-5-30"
    assert directory.meta.caa_identities == ("example.com",)
    assert not directory.meta.external_account_required
    assert list(directory.meta.profiles) == ["profile1"]


def test_a_directory_needs_no_more_than_the_way_to_order() -> None:
    least = {name: DOCUMENTS["directory"][name] for name in ("newNonce", "newAccount", "newOrder")}
    directory = Directory.parse(answer(200, least | {"meta": {"website": ""}}))
    assert (directory.revoke_cert, directory.key_change, directory.renewal_info) == (None, None, None)


def test_the_order_of_rfc_8555() -> None:
    order = Order.parse(answer(200, DOCUMENTS["order"], Retry_After="7"), URL, 0)
    assert order.identifiers == (Identifier.dns("www.example.org"), Identifier.dns("example.org"))
    assert order.certificate == "https://example.com/acme/cert/mAt3xBGaobw"
    assert order.expires is not None
    assert order.expires.isoformat() == "2016-01-20T14:09:07.990000+00:00"
    assert order.retry_after == 7
    assert order.url == URL


def test_the_authorization_of_rfc_8555() -> None:
    authorization = Authorization.parse(answer(200, DOCUMENTS["authorization"]), URL)
    assert authorization.status == "valid"
    assert authorization.failure() is None
    [shown] = authorization.answers("thumb", "https://ca.test/account/1")
    assert shown.key_authorization == "DGyRejmCefe7v4NfDGDKfA.thumb"
    assert shown.http_path == "/.well-known/acme-challenge/DGyRejmCefe7v4NfDGDKfA"
    assert shown.dns_name == "_acme-challenge.www.example.org"


PERSIST = {
    "type": "dns-persist-01",
    "url": "https://ca.example/acme/authz/1234/0",
    "status": "pending",
    "accounturi": "urn:ca:alias",
    "issuer-domain-names": ["authority.example", "ca.example.net"],
}


def _persist(**changes: object) -> Authorization:
    document = {**DOCUMENTS["authorization"], "challenges": [PERSIST | changes]}
    return Authorization.parse(answer(200, document), URL)


def test_the_challenge_of_the_dns_persist_draft() -> None:
    [shown] = _persist().answers("thumb", "https://ca.example/acct/123")
    assert (shown.type, shown.token, shown.key_authorization) == ("dns-persist-01", "", "")
    assert shown.challenge.issuer_domain_names == ("authority.example", "ca.example.net")
    assert shown.account_uris == ("urn:ca:alias", "https://ca.example/acct/123")
    [shown] = _persist(accounturi=None).answers("thumb", "https://ca.example/acct/123")
    assert shown.account_uris == ("https://ca.example/acct/123",)


@pytest.mark.parametrize(
    "names", [[], None, [f"ca{n}.example" for n in range(11)], ["CA.example"], ["ca.example."], ["a" * 254], ["x;y"]]
)
def test_a_malformed_dns_persist_challenge_is_left_alone(names: object) -> None:
    assert _persist(**{"issuer-domain-names": names}).answers("thumb", "https://ca.example/acct/123") == []


@pytest.mark.parametrize("kind", PARSERS)
@given(st.data())
def test_a_document_with_anything_anywhere(kind: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths(DOCUMENTS[kind])))
    broken = replaced(DOCUMENTS[kind], path, data.draw(ANY_JSON))
    with suppress(UnexpectedAnswer):
        PARSERS[kind](answer(200, broken))


@pytest.mark.parametrize("parse", [*PARSERS.values(), Chain.parse], ids=[*PARSERS, "chain"])
@given(st.binary())
def test_any_bytes(parse: Callable[[Response], object], body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        parse(Response(200, Headers(), body))


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_nesting_without_end(parse: Callable[[Response], object]) -> None:
    with pytest.raises(UnexpectedAnswer):
        parse(Response(200, Headers(), b'{"a":' * 200_000))


@pytest.mark.parametrize("token", ["../../etc/passwd", "a b", "", "a=", "é", "a" * 300])
def test_a_token_that_is_not_base64url_never_becomes_a_file_name(token: str) -> None:
    broken = replaced(DOCUMENTS["authorization"], ["challenges", 0, "token"], token)
    with pytest.raises(UnexpectedAnswer, match="token"):
        Authorization.parse(answer(200, broken), URL)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "https://", "https://[", "https://a/\nb", "//a/b", "a b"])
def test_only_http_urls_are_followed(url: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="finalize"):
        Order.parse(answer(200, DOCUMENTS["order"] | {"finalize": url}), URL, 0)


@pytest.mark.parametrize(
    "time", ["2016-01-20", "2016-01-20T14:09:07", "yesterday", "0001-01-01T00:00:00+14:00", "9" * 5000]
)
def test_only_times_with_an_offset_are_believed(time: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="expires"):
        Order.parse(answer(200, DOCUMENTS["order"] | {"expires": time}), URL, 0)


def test_null_is_absent() -> None:
    order = Order.parse(answer(200, DOCUMENTS["order"] | {"certificate": None, "error": None}), URL, 0)
    assert (order.certificate, order.error) == (None, None)


def test_lists_without_end_are_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match="at most"):
        Order.parse(answer(200, DOCUMENTS["order"] | {"authorizations": [URL] * 1001}), URL, 0)


def test_json_is_demanded_whatever_the_content_type() -> None:
    page = Response(200, Headers([("Content-Type", "application/json")]), b"<html>")
    with pytest.raises(UnexpectedAnswer, match="not JSON"):
        Directory.parse(page)
    text = Response(200, Headers([("Content-Type", "text/plain")]), json.dumps(DOCUMENTS["directory"]).encode())
    assert Directory.parse(text).new_nonce == "https://example.com/acme/new-nonce"


@pytest.mark.parametrize("value", ["a\x1b[2Jb", "a\nb", "\ud800"])
def test_no_text_can_steer_a_terminal_or_break_an_encoding(value: str) -> None:
    broken = replaced(DOCUMENTS["authorization"], ["identifier", "value"], value)
    with pytest.raises(UnexpectedAnswer, match="value"):
        Authorization.parse(answer(200, broken), URL)
