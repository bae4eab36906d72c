"""tls-alpn-01: a self-signed certificate holds the digest of the key authorization (RFC 8737)."""

import hashlib
import ipaddress
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.identifiers import Identifier, from_general_name
from certwright.acme_server.problem import ErrorType, Problem, unauthorized
from certwright.acme_server.validation.network import Network

PROTOCOL = "acme-tls/1"
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OCTET_STRING = b"\x04\x20"  # its tag and length for a SHA-256 digest


def validate(network: Network, deadline: Deadline, identifier: Identifier, key_authorization: str) -> None:
    """Return if the server presents the right certificate for the challenge protocol."""
    der = _presented(network, deadline, identifier)
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        proof = certificate.extensions.get_extension_for_oid(_ACME_IDENTIFIER)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise unauthorized(f"The certificate presented for {PROTOCOL} lacks what the challenge asks.") from error
    if [from_general_name(name) for name in names] != [identifier]:
        raise unauthorized(f"The certificate presented for {PROTOCOL} is not for {identifier.value} alone.")
    if not _is_self_signed(certificate):
        raise unauthorized(f"The certificate presented for {PROTOCOL} is not self-signed.")
    expected = _OCTET_STRING + hashlib.sha256(key_authorization.encode()).digest()
    value = proof.value
    if not proof.critical or not isinstance(value, x509.UnrecognizedExtension) or value.value != expected:
        raise unauthorized(f"The certificate presented for {PROTOCOL} holds another proof than expected.")


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _presented(network: Network, deadline: Deadline, identifier: Identifier) -> bytes:
    """The leaf certificate, DER."""
    where = f"{identifier.value} port {network.config.tls_port}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    try:
        with network.connect(identifier.value, network.config.tls_port, deadline) as plain:
            plain.settimeout(deadline.remaining)
            with context.wrap_socket(plain, server_hostname=_server_name(identifier)) as secure:
                if secure.selected_alpn_protocol() != PROTOCOL:
                    raise unauthorized(f"{where} did not agree to speak {PROTOCOL}.")
                return secure.getpeercert(binary_form=True) or b""
    except ssl.SSLError as error:
        raise Problem(ErrorType.TLS, f"The TLS handshake with {where} failed: {error.reason}.") from error
    except OSError as error:
        raise Problem(ErrorType.CONNECTION, f"The connection to {where} broke: {error}.") from error


def _server_name(identifier: Identifier) -> str:
    """SNI: the name, or the reverse-mapping name of an address (RFC 8738 section 6)."""
    if identifier.type == "ip":
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value
