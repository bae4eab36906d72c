"""Held to RFC 9773: its example, its rules."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from acme.client import _renewal_info_path_component  # certbot's reading of the same section
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme_server.renewal_info import RenewalWindow, certificate_identifier, suggested_window
from unit.acme_server.wire import SettableClock, Wire, b64, new_key, wire

# RFC 9773 appendix A
EXAMPLE = b"""-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
"""
EXAMPLE_ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def client(clock: SettableClock) -> Iterator[Wire]:
    with wire(clock=clock) as each:
        yield each


def certificate(*, serial: int = 1, key_identifier: bytes | None = b"k" * 20, days: float = 90) -> x509.Certificate:
    key, name = new_key(), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, NOW, NOW + timedelta(days=days))
    if key_identifier is not None:
        authority = x509.AuthorityKeyIdentifier(key_identifier, None, None)
        builder = builder.add_extension(authority, critical=False)
    return builder.sign(key, hashes.SHA256())


def test_the_identifier_of_the_rfcs_example_is_the_rfcs() -> None:
    assert certificate_identifier(x509.load_pem_x509_certificate(EXAMPLE)) == EXAMPLE_ID


@given(serial=st.integers(min_value=1, max_value=2**159 - 1), key_identifier=st.binary(min_size=1, max_size=32))
def test_the_identifier_is_the_one_certbot_computes(serial: int, key_identifier: bytes) -> None:
    one = certificate(serial=serial, key_identifier=key_identifier)
    assert certificate_identifier(one) == _renewal_info_path_component(one)


def test_a_certificate_without_authority_key_identifier_has_no_identifier() -> None:
    with pytest.raises(ValueError, match="no authority key identifier"):
        certificate_identifier(certificate(key_identifier=None))


@given(st.floats(min_value=3 / 86400, max_value=400))
def test_the_window_begins_when_a_third_is_left_and_ends_before_expiry(days: float) -> None:
    one = certificate(days=days)
    window = suggested_window(one)
    assert one.not_valid_before_utc < window.start < window.end
    left = one.not_valid_after_utc - window.start
    assert abs(left - (one.not_valid_after_utc - one.not_valid_before_utc) / 3) < timedelta(seconds=1)


@given(st.timedeltas(max_value=timedelta(milliseconds=999), min_value=-timedelta(days=9)))
def test_a_window_that_ends_before_it_starts_cannot_be_served(span: timedelta) -> None:
    with pytest.raises(ValueError, match="ends at least a second after"):
        RenewalWindow(NOW, NOW + span)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9)))
def test_no_window_is_empty_on_the_wire(later: timedelta) -> None:
    start = NOW + later
    window = RenewalWindow(start, start + timedelta(seconds=1)).as_json()["suggestedWindow"]
    assert window["start"] < window["end"]


def test_renewal_information_is_public_and_says_when_to_ask_again(client: Wire) -> None:
    leaf = client.certificates(client.obtain("a.contoso.test"))[0]
    answer = client.get(f"{client.directory['renewalInfo']}/{certificate_identifier(leaf)}")
    assert (answer.status, answer.header("Retry-After")) == (200, "21600")
    assert ("Content-Type", "application/json") in answer.headers
    window = suggested_window(leaf)
    assert answer.json == {
        "suggestedWindow": {"start": f"{window.start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{window.end:%Y-%m-%dT%H:%M:%SZ}"}
    }


def test_the_window_can_be_moved_with_an_explanation(client: Wire, clock: SettableClock) -> None:
    leaf = client.certificates(client.obtain("a.contoso.test"))[0]
    start = clock.now - timedelta(days=1)
    client.server.set_renewal_window(leaf, start, clock.now, "https://ca.contoso.test/incident")
    answer = client.get(f"{client.directory['renewalInfo']}/{certificate_identifier(leaf)}").json
    assert datetime.fromisoformat(answer["suggestedWindow"]["start"]) == start
    assert answer["explanationURL"] == "https://ca.contoso.test/incident"


def test_a_revoked_certificate_is_to_be_renewed_at_once(client: Wire, clock: SettableClock) -> None:
    leaf = client.certificates(client.obtain("a.contoso.test"))[0]

    client.post(client.directory["revokeCert"], {"certificate": b64(leaf.public_bytes(Encoding.DER))})
    answer = client.get(f"{client.directory['renewalInfo']}/{certificate_identifier(leaf)}").json
    assert datetime.fromisoformat(answer["suggestedWindow"]["end"]) < clock.now


@pytest.mark.parametrize(("identifier", "status"), [(EXAMPLE_ID, 404), ("AAAA", 400), ("", 400), ("a.b.c", 400)])
def test_an_unknown_certificate_has_no_renewal_information(client: Wire, identifier: str, status: int) -> None:
    answer = client.get(f"{client.directory['renewalInfo']}/{identifier}")
    assert (answer.status, answer.error) == (status, "malformed")


# Section 5: replaces


def test_replaces_is_reflected_now_and_later_and_logged(client: Wire) -> None:
    first = client.certificates(client.obtain("a.contoso.test", "b.contoso.test"))[0]
    identifier = certificate_identifier(first)
    order = client.order("b.contoso.test", "c.contoso.test", replaces=identifier)
    assert order.json["replaces"] == identifier
    assert client.post(order.header("Location")).json["replaces"] == identifier
    client.finalize(client.prove(order))
    assert [issued.replaces for issued in client.server.issued] == [None, identifier]


def test_a_certificate_is_replaced_once(client: Wire) -> None:
    identifier = certificate_identifier(client.certificates(client.obtain("a.contoso.test"))[0])
    order = client.order("a.contoso.test", replaces=identifier)
    pending = client.order("a.contoso.test", replaces=identifier)
    assert (pending.status, pending.error) == (409, "alreadyReplaced")
    client.finalize(client.prove(order))
    assert client.order("a.contoso.test", replaces=identifier).error == "alreadyReplaced"


def test_an_order_that_failed_replaces_nothing(client: Wire) -> None:
    identifier = certificate_identifier(client.certificates(client.obtain("a.contoso.test"))[0])
    order = client.order("a.contoso.test", replaces=identifier)
    client.post(order.json["authorizations"][0], {"status": "deactivated"})
    assert client.order("a.contoso.test", replaces=identifier).status == 201


def test_an_expired_order_replaces_nothing(client: Wire, clock: SettableClock) -> None:
    identifier = certificate_identifier(client.certificates(client.obtain("a.contoso.test"))[0])
    client.order("a.contoso.test", replaces=identifier)
    clock.advance(timedelta(hours=9))
    assert client.order("a.contoso.test", replaces=identifier).status == 201


def test_only_ones_own_certificate_is_replaced_and_with_a_name_in_common(client: Wire) -> None:
    identifier = certificate_identifier(client.certificates(client.obtain("a.contoso.test"))[0])
    stranger = client.other().order("a.contoso.test", replaces=identifier)
    assert (stranger.status, stranger.error) == (403, "unauthorized")
    assert client.order("b.contoso.test", replaces=identifier).error == "malformed"
    unknown = client.order("a.contoso.test", replaces=EXAMPLE_ID)
    assert (unknown.status, unknown.error) == (404, "malformed")
    assert client.order("a.contoso.test", replaces=5).error == "malformed"
