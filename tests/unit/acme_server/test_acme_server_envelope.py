"""The envelope of every request: RFC 8555 section 6."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from certwright.acme_server import AcmeServerConfig
from certwright.acme_server.messages import Request
from unit.acme_server.wire import Wire, b64, jwk, new_key, sign, wire

SIGNED_PATHS = (
    "newAccount",
    "newOrder",
    "revokeCert",
    "keyChange",
    "account/x",
    "order/x",
    "finalize/x",
    "certificate/x",
)


@pytest.fixture
def client() -> Iterator[Wire]:
    with wire() as each:
        yield each


def raw(client: Wire, body: bytes, path: str = "/newOrder") -> Any:
    return client.send(Request("POST", path, {"content-type": "application/jose+json"}, body))


def test_the_directory_names_every_resource_and_what_the_ca_is_like() -> None:
    config = AcmeServerConfig(website="https://ca.contoso.test/", caa_identities=("ca.contoso.test",))
    with wire(config) as client:
        directory = client.directory
    base = client.server.directory_url.removesuffix("directory")
    meta = directory.pop("meta")
    assert directory == {
        name: base + name for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo")
    }
    assert set(meta.pop("profiles")) == {"classic", "tlsserver", "shortlived"}
    assert meta == {
        "termsOfService": base + "terms",
        "website": "https://ca.contoso.test/",
        "caaIdentities": ["ca.contoso.test"],
        "externalAccountRequired": False,
    }


def test_nonces_are_had_by_head_and_get_and_are_not_cached(client: Wire) -> None:
    head, get = (client.get(client.directory["newNonce"], method) for method in ("HEAD", "GET"))
    assert (head.status, get.status) == (200, 204)
    assert head.header("Replay-Nonce") != get.header("Replay-Nonce")
    assert head.header("Cache-Control") == "no-store"
    assert head.links("index") == [client.server.directory_url]


def test_every_answer_to_a_post_brings_a_fresh_nonce(client: Wire) -> None:
    good, bad, lost = client.order("a.contoso.test"), raw(client, b"{}"), raw(client, b"{}", "/nowhere")
    assert len({answer.header("Replay-Nonce") for answer in (good, bad, lost)}) == 3


def test_a_nonce_is_good_once(client: Wire) -> None:
    nonce = client.nonce()
    assert client.post(client.kid, header={"nonce": nonce}).status == 200
    again = client.post(client.kid, header={"nonce": nonce})
    assert (again.status, again.error) == (400, "badNonce")
    assert client.post(client.kid, header={"nonce": again.header("Replay-Nonce")}).status == 200


@pytest.mark.parametrize("nonce", [None, "", 7, "made-up", ["x"]])
def test_a_nonce_of_our_own_is_refused(client: Wire, nonce: Any) -> None:
    assert client.post(client.kid, header={"nonce": nonce}).error == "badNonce"


def test_good_nonces_are_refused_at_the_rate_asked_for() -> None:
    with wire(AcmeServerConfig(nonce_rejection_percent=100)) as client:
        client.kid = client.server.directory_url
        assert client.post(client.kid.replace("directory", "newOrder"), {}).error == "badNonce"


def test_the_content_type_is_jose(client: Wire) -> None:
    answer = client.post(client.kid, content_type="application/json")
    assert (answer.status, answer.error) == (415, "malformed")


def test_the_url_in_the_header_is_the_one_requested(client: Wire) -> None:
    answer = client.post(client.kid, header={"url": client.kid + "?"})
    assert (answer.status, answer.error) == (403, "unauthorized")
    assert client.post(client.kid, header={"url": None}).error == "unauthorized"


@pytest.mark.parametrize("alg", ["none", "HS256", "RS1", "ES256K", None, 5])
def test_other_algorithms_are_refused_with_those_that_are_taken(client: Wire, alg: Any) -> None:
    answer = client.post(client.kid, header={"alg": alg})
    assert answer.error == "badSignatureAlgorithm"
    assert answer.json["algorithms"] == ["ES256", "ES384", "ES512", "RS256", "EdDSA"]


@pytest.mark.parametrize("alg", ["RS256", "ES384", "EdDSA"])
def test_an_algorithm_must_be_the_keys(client: Wire, alg: str) -> None:
    assert client.post(client.kid, header={"alg": alg}).error == "badSignatureAlgorithm"


def test_a_request_names_its_key_or_its_account_never_both(client: Wire) -> None:
    both = client.post(client.kid, header={"jwk": jwk(client.key)})
    neither = client.post(client.kid, header={"kid": None})
    assert both.error == neither.error == "malformed"


def test_accounts_sign_by_kid_and_new_ones_by_jwk(client: Wire) -> None:
    assert client.post(client.kid, by_key=True).error == "malformed"
    assert client.post(client.directory["newAccount"], {}).error == "malformed"


@pytest.mark.parametrize("kid", ["nonsense", 5, "https://elsewhere.contoso.test/account/1"])
def test_a_kid_is_a_url_of_this_server(client: Wire, kid: Any) -> None:
    assert client.post(client.kid, header={"kid": kid}).error == "malformed"


def test_an_unknown_account_is_said_to_be_unknown(client: Wire) -> None:
    answer = client.post(client.kid, header={"kid": client.kid + "x"})
    assert (answer.status, answer.error) == (400, "accountDoesNotExist")


def test_another_keys_signature_is_wrong(client: Wire) -> None:
    assert client.post(client.kid, key=new_key()).error == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'{"protected": 1, "payload": "", "signature": ""}',
        b'{"protected": "", "payload": "", "signature": ""}',
        b'{"protected": "e30=", "payload": "", "signature": ""}',
        b'{"protected": "e30", "payload": "", "signatures": []}',
        b'{"protected": "e30", "payload": "", "signature": "", "header": {}}',
        b'{"protected": "e30", "protected": "e30", "payload": "", "signature": ""}',
        b'{"protected": "NaN", "payload": NaN, "signature": ""}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_flattened_jws_is_malformed(client: Wire, body: bytes) -> None:
    answer = raw(client, body)
    assert (answer.status, answer.error) == (400, "malformed")


def test_unknown_critical_extensions_are_refused(client: Wire) -> None:
    assert client.post(client.kid, header={"crit": ["b64"]}).error == "malformed"
    assert client.post(client.kid, header={"b64": False}).error == "malformed"


@pytest.mark.parametrize("payload", [b"[]", b"null", b"5", b"x", b'{"a":1,"a":2}'])
def test_a_payload_is_empty_or_an_object(client: Wire, payload: bytes) -> None:
    header = {"alg": "ES256", "nonce": client.nonce(), "url": client.directory["newOrder"], "kid": client.kid}
    assert raw(client, json.dumps(sign(client.key, header, payload)).encode()).error == "malformed"


def test_resources_that_are_only_read_take_no_payload(client: Wire) -> None:
    order = client.order("a.contoso.test")
    orders = client.post(client.kid).json["orders"]
    for url in (order.header("Location"), orders):
        assert client.post(url, {}).error == "malformed"
        assert client.post(url).status == 200


def test_resources_that_need_a_payload_say_so(client: Wire) -> None:
    for member in ("newOrder", "keyChange", "revokeCert"):
        assert client.post(client.directory[member]).error == "malformed"


@pytest.mark.parametrize("path", SIGNED_PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_signed_resources_are_reached_by_post_only(client: Wire, path: str, method: str) -> None:
    answer = client.send(Request(method, f"/{path}"))
    assert (answer.status, answer.error, answer.header("Allow")) == (405, "malformed", "POST")


@pytest.mark.parametrize("path", ["directory", "newNonce", "renewalInfo/a.b", "terms"])
def test_public_resources_are_reached_by_get_only(client: Wire, path: str) -> None:
    answer = raw(client, b"", f"/{path}")
    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/nowhere", "//directory", "/Directory", ""])
def test_there_is_nothing_elsewhere(client: Wire, path: str) -> None:
    answer = client.send(Request("GET", path))
    assert (answer.status, answer.error) == (404, "malformed")


@pytest.mark.parametrize("path", ["order", "authorization", "challenge", "finalize", "certificate", "alternate"])
def test_resources_that_never_were_are_not_found(client: Wire, path: str) -> None:
    url = client.server.directory_url.replace("directory", f"{path}/{b64(b'never')}")
    answer = client.post(url, {} if path in ("challenge", "finalize") else None)
    assert (answer.status, answer.error) == (404, "malformed")


def test_a_directory_may_be_cached_without_harm(client: Wire) -> None:
    answer = client.get(client.server.directory_url)
    assert not [name for name, _ in answer.headers if name == "Replay-Nonce"]
    assert not answer.links("index")
