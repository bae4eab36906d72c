"""tls-alpn-01 as the listener speaks it: a handshake whose certificate is the answer (RFC 8737 section 3)."""

import functools
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.listener.client_hello import MAX_HELLO, read_client_hello
from certwright.listener.conversation import Lookup
from certwright.probe.tls_alpn01 import ACME_IDENTIFIER, PROTOCOL, answer_key, general_name, proof

_UNEXPECTED_MESSAGE, _DECODE_ERROR, _INTERNAL_ERROR = 10, 50, 80
_UNRECOGNIZED_NAME, _NO_APPLICATION_PROTOCOL = 112, 120
_VALID = timedelta(days=7)


class TlsConversation:
    """Shakes hands with who asks for an answer by the challenge's protocol; everybody else gets an alert.

    What the client wants is read before OpenSSL sees it: Python's ssl shows the protocols to nobody, and goes on
    without one where RFC 7301 section 3.2 wants the alert no_application_protocol.
    """

    def __init__(self, lookup: Lookup) -> None:
        self.is_over = False
        self._lookup = lookup
        self._received = b""
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def hear(self, data: bytes) -> bytes:
        """The next flight of the handshake, or the alert that ends it."""
        if self._tls is None:
            self._received += data
            try:
                context = self._wanted()
            except _Refused as refused:
                self.is_over = True
                return _fatal(refused.alert)
            if context is None:
                return b""
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            data = self._received
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
            self.is_over = True
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # OpenSSL has written the alert
            self.is_over = True
        return self._outgoing.read()

    def _wanted(self) -> ssl.SSLContext | None:
        """What answers the client; None as long as its first message is not complete."""
        try:
            hello = read_client_hello(self._received)
        except ValueError:
            raise _Refused(_DECODE_ERROR if self._received[:1] == b"\x16" else _UNEXPECTED_MESSAGE) from None
        if hello is None:
            if len(self._received) > 2 * MAX_HELLO:
                raise _Refused(_DECODE_ERROR)
            return None
        if PROTOCOL.encode() not in hello.protocols:
            raise _Refused(_NO_APPLICATION_PROTOCOL)
        if hello.server_name is None:
            raise _Refused(_UNRECOGNIZED_NAME)
        try:
            answer = self._lookup(answer_key(hello.server_name))
        except Exception:  # noqa: BLE001 - a store that fails for a moment must not end the listener
            raise _Refused(_INTERNAL_ERROR) from None
        if answer is None:
            raise _Refused(_UNRECOGNIZED_NAME)
        return _context(hello.server_name, answer)


class _Refused(Exception):
    """Not a client that is answered."""

    def __init__(self, alert: int) -> None:
        super().__init__(alert)
        self.alert = alert


def _fatal(alert: int) -> bytes:
    """A record with a fatal alert (RFC 8446 section 6)."""
    return bytes([21, 3, 3, 0, 2, 2, alert])


@functools.lru_cache(maxsize=256)
def _context(server_name: str, key_authorization: str) -> ssl.SSLContext:
    """A TLS server that proves one answer and speaks nothing but the challenge's protocol."""
    certificate = _certificate(server_name, key_authorization)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.set_alpn_protocols([PROTOCOL])
    with tempfile.TemporaryDirectory() as folder:  # OpenSSL reads both from a file only
        file = Path(folder) / "both.pem"
        key = _key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(key + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(file)
    return context


def _certificate(server_name: str, key_authorization: str) -> x509.Certificate:
    """The self-signed certificate of RFC 8737 section 3; for an address that of RFC 8738 section 6."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tls-alpn-01")])
    now = datetime.now(UTC)
    value = x509.UnrecognizedExtension(ACME_IDENTIFIER, proof(key_authorization))
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([general_name(server_name)]), critical=False)
        .add_extension(value, critical=True)
        .sign(_key(), hashes.SHA256())
    )


@functools.cache
def _key() -> ec.EllipticCurvePrivateKey:
    """One throw-away key for all answers of this process: nobody relies on it."""
    return ec.generate_private_key(ec.SECP256R1())
