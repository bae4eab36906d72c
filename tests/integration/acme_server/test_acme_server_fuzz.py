"""Whatever a peer sends, the answer is a refusal, never a failure."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certwright.acme_server import AcmeServerConfig
from certwright.acme_server.messages import Endpoint, Request
from unit.acme_server.wire import Wire, b64, csr, jwk, new_key, sign, wire

# One server for all examples: what one leaves behind is part of the next one's world.
pytestmark = pytest.mark.usefixtures("quiet")

KEY = jwk(new_key())
GOOD_CSR = csr(["a.contoso.test"])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
identifiers = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["dns", "ip"]) | json_values, "value": st.just("a.contoso.test") | json_values}
    )
    | json_values,
    max_size=4,
)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "identifiers": identifiers | json_values,
        "profile": st.sampled_from(["classic", "tlsserver"]) | json_values,
        "replaces": st.text() | json_values,
        "notBefore": st.datetimes().map(lambda time: time.isoformat() + "Z") | json_values,
        "notAfter": st.datetimes().map(lambda time: time.isoformat() + "+13:00") | json_values,
        "csr": st.binary().map(b64) | json_values,
        "certificate": st.binary().map(b64) | json_values,
        "reason": json_values,
        "contact": st.lists(st.text().map("mailto:".__add__)) | json_values,
        "status": json_values,
        "onlyReturnExisting": json_values,
        "termsOfServiceAgreed": json_values,
        "externalAccountBinding": json_values,
        "protected": st.binary().map(b64) | json_values,
        "payload": st.binary().map(b64) | json_values,
        "signature": st.binary().map(b64) | json_values,
    },
)
keys = st.fixed_dictionaries(
    {"kty": st.sampled_from(["RSA", "EC", "OKP"]) | json_values},
    optional={
        "n": st.binary(min_size=250, max_size=520).map(b64) | json_values,
        "e": st.binary(max_size=8).map(b64) | json_values,
        "crv": st.sampled_from(["P-256", "P-384", "P-521", "Ed25519"]) | json_values,
        "x": st.sampled_from([KEY["x"]]) | st.binary(min_size=30, max_size=68).map(b64) | json_values,
        "y": st.sampled_from([KEY["y"]]) | st.binary(min_size=30, max_size=68).map(b64) | json_values,
    },
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["ES256", "RS256", "EdDSA"]) | json_values,
        "jwk": keys | json_values,
        "kid": json_values,
        "nonce": json_values,
        "url": json_values,
        "crit": json_values,
    },
)
many = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def client() -> Iterator[Wire]:
    keys = {"kid": b64(b"k" * 32)}
    with wire(AcmeServerConfig(reuse_authorizations=True, external_account_keys=keys)) as each:
        yield each


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A failure of the server's own is logged; there must be none."""
    yield
    assert not caplog.records


def refused_or_done(status: int | None) -> None:
    assert status is not None
    assert 200 <= status < 500


@pytest.fixture(scope="module")
def urls(client: Wire) -> list[str]:
    """One of each resource, in states that let a request get far."""
    done, ready = client.obtain("done.contoso.test"), client.prove(client.order("a.contoso.test"))
    pending = client.order("pending.contoso.test")
    (authorization,) = pending.json["authorizations"]
    members = ("newAccount", "newOrder", "revokeCert", "keyChange")
    return [
        *(client.directory[member] for member in members),
        client.kid + "/deeper",
        client.post(client.kid).json["orders"],
        ready.header("Location"),
        ready.json["finalize"],
        authorization,
        client.post(authorization).json["challenges"][1]["url"],
        done.json["certificate"],
    ]


@given(data=st.data(), payload=payloads, by_key=st.booleans())
@many
def test_any_payload(client: Wire, urls: list[str], data: st.DataObject, payload: Any, by_key: bool) -> None:
    answer = client.post(data.draw(st.sampled_from(urls)), payload, by_key=by_key)
    refused_or_done(answer.status)


@given(data=st.data(), header=headers, payload=payloads | st.none())
@many
def test_any_header(client: Wire, urls: list[str], data: st.DataObject, header: Any, payload: Any) -> None:
    answer = client.post(data.draw(st.sampled_from(urls)), payload, header=header)
    refused_or_done(answer.status)


@given(
    endpoint=st.sampled_from(Endpoint), rest=st.text(), body=st.binary() | json_values.map(json.dumps).map(str.encode)
)
@many
def test_any_body(client: Wire, endpoint: Endpoint, rest: str, body: bytes) -> None:
    for method in ("GET", "POST"):
        request = Request(method, f"/{endpoint}/{rest}", {"content-type": "application/jose+json"}, body)
        refused_or_done(client.send(request).status)


@given(payload=st.binary())
@many
def test_any_signed_bytes(client: Wire, payload: bytes) -> None:
    url = client.directory["newOrder"]
    header = {"alg": "ES256", "nonce": client.nonce(), "url": url, "kid": client.kid}
    body = json.dumps(sign(client.key, header, payload)).encode()
    refused_or_done(client.send(Request("POST", "/newOrder", {"content-type": "application/jose+json"}, body)).status)


def mutated(der: bytes, data: st.DataObject) -> str:
    """``der`` with a few bytes changed."""
    changed = bytearray(der)
    places = st.lists(st.tuples(st.integers(0, len(der) - 1), st.integers(0, 255)), min_size=1, max_size=4)
    for position, value in data.draw(places):
        changed[position] = value
    return b64(bytes(changed))


@given(data=st.data())
@many
def test_any_csr(client: Wire, urls: list[str], data: st.DataObject) -> None:
    der = urlsafe_b64decode(GOOD_CSR + "==")
    finalize = next(url for url in urls if "/finalize/" in url)
    refused_or_done(client.post(finalize, {"csr": mutated(der, data)}).status)


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@given(data=st.data())
@many
def test_any_certificate(client: Wire, urls: list[str], data: st.DataObject) -> None:
    der = client.server.issued[0].certificate.public_bytes(Encoding.DER)
    answer = client.post(client.directory["revokeCert"], {"certificate": mutated(der, data)})
    refused_or_done(answer.status)
