"""Held to the text and the examples of RFC 9773."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import renewal_info
from certwright.acme.client import AcmeClient
from certwright.acme.errors import ServerProblem, UnexpectedAnswer
from unit.acme import jws_verifier
from unit.acme.memory_ca import BASE, MemoryCA, Refused, answer

# Appendix A
EXAMPLE = b"""-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----"""
EXAMPLE_ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"  # section 4.1
# Section 4.2
EXAMPLE_ANSWER = {
    "suggestedWindow": {"start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z"},
    "explanationURL": "https://acme.example.com/docs/ari",
}


def window(start: str, end: str) -> dict[str, object]:
    return {"suggestedWindow": {"start": start, "end": end}}


def test_the_id_of_the_example_certificate() -> None:
    assert renewal_info.certificate_id(x509.load_pem_x509_certificate(EXAMPLE)) == EXAMPLE_ID


@given(st.integers(1, 2**159 - 1))
def test_serial_numbers_are_written_as_der_writes_integers(serial: int) -> None:
    key = ec.derive_private_key(1, ec.SECP256R1())
    name = x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), serial)
    made = made.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    authority = x509.AuthorityKeyIdentifier(b"\x01\x02\x03", None, None)
    signed = made.add_extension(authority, critical=False).sign(key, hashes.SHA256())
    key_part, serial_part = renewal_info.certificate_id(signed).split(".")
    octets = jws_verifier.decode(serial_part)
    assert jws_verifier.decode(key_part) == b"\x01\x02\x03"
    assert int.from_bytes(octets, "big", signed=True) == serial
    assert len(octets) == 1 or octets[0] != 0 or octets[1] >= 0x80  # DER: as short as can be


@pytest.mark.parametrize("extension", [None, x509.AuthorityKeyIdentifier(None, [x509.DNSName("ca")], 1)])
def test_a_certificate_that_ari_cannot_name(extension: x509.AuthorityKeyIdentifier | None) -> None:
    key = ec.derive_private_key(1, ec.SECP256R1())
    made = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1)
    made = made.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    if extension:
        made = made.add_extension(extension, critical=False)
    with pytest.raises(ValueError, match="authority key identifier"):
        renewal_info.certificate_id(made.sign(key, hashes.SHA256()))


def test_the_example_answer(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.renewal = answer(200, EXAMPLE_ANSWER, Retry_After="21600")
    info = renewal_info.fetch(newcomer, EXAMPLE_ID)
    assert info == renewal_info.RenewalInfo(
        start=datetime(2025, 1, 2, 4, tzinfo=UTC),
        end=datetime(2025, 1, 3, 4, tzinfo=UTC),
        explanation_url="https://acme.example.com/docs/ari",
        retry_after=21600,
    )
    assert ca.requests == ["GET directory", "GET renewal"]


@pytest.mark.parametrize(("sent", "kept"), [("1", 60), ("3600", 3600), ("99999999", 86400), (None, 21600)])
def test_the_next_check_is_within_reason(ca: MemoryCA, newcomer: AcmeClient, sent: str | None, kept: float) -> None:
    ca.renewal = answer(200, EXAMPLE_ANSWER, **({"Retry_After": sent} if sent else {}))
    info = renewal_info.fetch(newcomer, EXAMPLE_ID)
    assert info is not None
    assert info.retry_after == kept


@pytest.mark.parametrize(
    "document",
    [
        window("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z"),
        window("2025-01-02T04:00:00Z", "2025-01-02T04:00:00Z"),
        window("2025-01-02T04:00:00+02:00", "2025-01-02T02:00:00Z"),
        window("2025-01-02T04:00:00", "2025-01-03T04:00:00"),
        window("soon", "later"),
        {"suggestedWindow": None},
        {},
    ],
)
def test_a_window_that_makes_no_sense(ca: MemoryCA, newcomer: AcmeClient, document: dict[str, object]) -> None:
    ca.renewal = answer(200, document)
    with pytest.raises(UnexpectedAnswer):
        renewal_info.fetch(newcomer, EXAMPLE_ID)


def test_a_broken_explanation_does_not_hide_the_window(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.renewal = answer(200, EXAMPLE_ANSWER | {"explanationURL": "see our page"})
    info = renewal_info.fetch(newcomer, EXAMPLE_ID)
    assert info is not None
    assert info.explanation_url is None


def test_a_ca_that_gives_no_renewal_information(ca: MemoryCA, newcomer: AcmeClient) -> None:
    assert renewal_info.fetch(newcomer, EXAMPLE_ID) is None
    assert ca.requests == ["GET directory"]


def test_a_certificate_that_the_ca_does_not_know(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.renewal = Refused(404, "malformed", "no such certificate").response
    with pytest.raises(ServerProblem, match="no such certificate"):
        renewal_info.fetch(newcomer, EXAMPLE_ID)


def test_a_server_out_of_order_is_asked_again(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.renewal = answer(200, EXAMPLE_ANSWER)
    ca.faults["renewal"] = [answer(503, None, Retry_After="2")]
    assert renewal_info.fetch(newcomer, EXAMPLE_ID)
    assert ca.time.slept == [2]


@pytest.mark.parametrize("base", [f"{BASE}/renewal", f"{BASE}/renewal/"])
def test_the_id_is_appended_to_the_directorys_url(ca: MemoryCA, newcomer: AcmeClient, base: str) -> None:
    urls = {name: f"{BASE}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
    ca.faults["directory"] = [answer(200, urls | {"renewalInfo": base})]
    ca.renewal = answer(500, None, Retry_After="9999")
    with pytest.raises(ServerProblem) as caught:
        renewal_info.fetch(newcomer, EXAMPLE_ID)
    assert caught.value.url == f"{BASE}/renewal/{EXAMPLE_ID}"
