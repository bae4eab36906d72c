"""Handshakes in memory: who gets the certificate, and who gets which alert."""

import hashlib
import ssl

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.identifiers import Identifier
from certwright.listener.tls_alpn_01 import TlsConversation
from certwright.probe.tls_alpn01 import answer_key, general_name, server_name

NAME = "mail.contoso.test"
ANSWER = "token.thumbprint"
ANSWERS = {f"tls-alpn-01:{NAME}": ANSWER}


def shake(
    asked: str | None = NAME,
    protocols: tuple[str, ...] = ("acme-tls/1",),
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    answers: dict[str, str] | None = None,
) -> ssl.SSLObject:
    """The client after a handshake in memory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=asked)
    conversation = TlsConversation((ANSWERS if answers is None else answers).get)
    for _ in range(4):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(conversation.hear(outgoing.read()))
        else:
            incoming.write(conversation.hear(outgoing.read()) if not conversation.is_over else b"")
            assert conversation.is_over
            return client
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocols", [("acme-tls/1",), ("h2", "acme-tls/1")])
def test_the_certificate_is_what_the_rfc_asks_for(version: ssl.TLSVersion, protocols: tuple[str, ...]) -> None:
    client = shake(version=version, protocols=protocols)
    assert client.selected_alpn_protocol() == "acme-tls/1"
    certificate = x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert list(names.value) == [x509.DNSName(NAME)]
    proof = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert proof.critical
    assert proof.value.public_bytes() == b"\x04\x20" + hashlib.sha256(ANSWER.encode()).digest()
    certificate.verify_directly_issued_by(certificate)


def test_the_end_is_a_proper_one() -> None:
    client = shake()
    assert client.read(1) == b""


@pytest.mark.parametrize(
    ("asked", "protocols", "alert"),
    [
        (NAME, ("h2", "http/1.1"), "NO_APPLICATION_PROTOCOL"),
        (NAME, (), "NO_APPLICATION_PROTOCOL"),
        ("other.contoso.test", ("acme-tls/1",), "UNRECOGNIZED_NAME"),
        (None, ("acme-tls/1",), "UNRECOGNIZED_NAME"),
    ],
)
def test_everybody_else_gets_an_alert(asked: str | None, protocols: tuple[str, ...], alert: str) -> None:
    with pytest.raises(ssl.SSLError) as caught:
        shake(asked, protocols)
    assert alert in str(caught.value).upper().replace(" ", "_")


def test_old_tls_is_refused() -> None:
    """RFC 8737 section 4 asks for TLS 1.2 or newer."""
    with pytest.raises(ssl.SSLError) as caught, pytest.warns(DeprecationWarning, match="TLSv1_1"):
        shake(version=ssl.TLSVersion.TLSv1_1)
    assert "VERSION" in str(caught.value.reason) or "NO_PROTOCOLS" in str(caught.value.reason)


@pytest.mark.parametrize(
    ("data", "alert"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 10),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 50),
        (b"\x16\x03\x01\x40\x00\x01\x00\x7f\xff" + bytes(40_000), 50),
    ],
)
def test_what_is_not_tls_gets_an_alert_too(data: bytes, alert: int) -> None:
    conversation = TlsConversation(ANSWERS.get)
    assert conversation.hear(data) == bytes([21, 3, 3, 0, 2, 2, alert])
    assert conversation.is_over


def test_a_store_that_fails_is_an_internal_error() -> None:
    def fail(_: str) -> str | None:
        raise OSError("database is locked")

    with pytest.raises(ssl.SSLError, match=r"(?i)internal.error"):
        shake(answers=type("Failing", (dict,), {"get": staticmethod(fail)})())


@given(st.ip_addresses())
def test_an_address_is_asked_for_by_its_reverse_name_and_named_as_an_address(address: object) -> None:
    identifier = Identifier.parse(str(address)) if not getattr(address, "ipv4_mapped", None) else None
    if identifier is not None:
        assert general_name(server_name(identifier)) == x509.IPAddress(address)  # type: ignore[arg-type]


def test_addresses_are_answered_by_their_certificate() -> None:
    identifier = Identifier.parse("2001:db8::1")
    client = shake(server_name(identifier), answers={answer_key(server_name(identifier)): ANSWER})
    certificate = x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress)[0].compressed == "2001:db8::1"


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_are_heard(pieces: list[bytes]) -> None:
    conversation = TlsConversation(ANSWERS.get)
    for piece in pieces:
        if not conversation.is_over:
            said = conversation.hear(b"\x16" + piece)
            assert said == b"" or said[0] == 21
