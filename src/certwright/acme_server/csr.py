"""What a certificate signing request must look like before it is honoured (RFC 8555 section 7.4)."""

from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from certwright.acme_server.ca import PublicKey
from certwright.acme_server.identifiers import Identifier, from_general_name
from certwright.acme_server.problem import ErrorType, Problem

_RSA_SIZES = (2048, 3072, 4096)
_RSA_EXPONENT = 65537
_CURVES = (ec.SECP256R1.name, ec.SECP384R1.name)
_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)


@dataclass(frozen=True, slots=True)
class Request:
    """What is taken from a CSR: its key, and the name it wants as common name."""

    public_key: PublicKey
    common_name: str | None


def read(der: bytes, identifiers: Collection[Identifier]) -> Request:
    """Check a CSR against its order.

    Args:
        der: The CSR.
        identifiers: The order's.

    Raises:
        Problem: ``badCSR``: unreadable, wrongly or weakly signed, a weak key, other names than the order's.
    """
    try:
        csr = x509.load_der_x509_csr(der)
        genuine = csr.is_signature_valid
        key = csr.public_key()
        names = _names(csr)
        common_names = [str(a.value).lower() for a in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        weak = isinstance(csr.signature_hash_algorithm, _WEAK_HASHES)
    except InvalidSignature as error:
        raise _bad("its signature is wrong") from error
    except _UNREADABLE as error:
        raise _bad("it cannot be read") from error
    if not genuine:
        raise _bad("its signature is wrong")
    if weak:
        raise _bad("it is signed with a hash that is not secure any more")
    if len(common_names) > 1:
        raise _bad("its subject has more than one common name")
    common_name = next(iter(common_names), None)
    if names is None:
        raise _bad("it has subject alternative names that are neither DNS names nor IP addresses")
    if common_name is not None and not names:
        # Old clients send the only name as CN; any other CN must be among the names.
        names = {Identifier("dns", common_name)}
    if names != set(identifiers):
        raise _bad("its names are not those of the order")
    if common_name is not None and common_name not in {name.value for name in names}:
        raise _bad("its common name is not among its names")
    return Request(_acceptable(key), common_name)


def _names(csr: x509.CertificateSigningRequest) -> set[Identifier] | None:
    """All subject alternative names; None if one is of a kind ACME does not know."""
    try:
        extension = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    known = [from_general_name(name) for name in extension.value]
    return {name for name in known if name is not None} if None not in known else None


def _acceptable(key: object) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size in _RSA_SIZES and key.public_numbers().e == _RSA_EXPONENT:
            return key
        raise _bad("an RSA key has 2048, 3072 or 4096 bits and the exponent 65537")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    raise _bad("its key is neither RSA nor ECDSA on P-256 or P-384")


def _bad(reason: str) -> Problem:
    return Problem(ErrorType.BAD_CSR, f"The CSR is refused: {reason}.")
