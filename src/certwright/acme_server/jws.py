"""JSON Web Signatures as ACME uses them: flattened, with one protected header (RFC 8555 section 6.2).

Written for the server alone: a client and a server that shared this code would share its mistakes.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from certwright.acme_server.encoding import b64url, b64url_decode, json_object
from certwright.acme_server.problem import ErrorType, Problem, malformed, unauthorized

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_DIGESTS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A public key that signs requests.

    Attributes:
        jwk: The required members only, as RFC 7638 orders them.
        public_key: The key itself.
        thumbprint: RFC 7638, SHA-256, base64url.
    """

    jwk: Mapping[str, str]
    public_key: PublicKey = field(repr=False)
    thumbprint: str


@dataclass(frozen=True, slots=True)
class Jws:
    """A parsed signature; nothing in it is proven before `verify` or `verify_mac` returned."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The ``alg`` member."""
        return str(self.header.get("alg"))


def parse(value: Mapping[str, Any]) -> Jws:
    """The flattened JWS in a JSON object.

    Raises:
        Problem: ``malformed``: an unprotected header, several signatures, critical extensions, bad base64url.
    """
    if set(value) != {"protected", "payload", "signature"}:
        raise malformed("The body is not a flattened JWS of exactly protected, payload and signature.")
    header = json_object(b64url_decode(value["protected"], "protected"), "The protected header")
    if "crit" in header or "b64" in header:
        raise malformed("The protected header asks for an extension this server does not know.")
    return Jws(
        header=header,
        payload=b64url_decode(value["payload"], "payload"),
        signing_input=f"{value['protected']}.{value['payload']}".encode(),
        signature=b64url_decode(value["signature"], "signature"),
    )


def account_key(jwk: object) -> AccountKey:
    """The key a ``jwk`` describes.

    Raises:
        Problem: ``malformed`` if it is no key, ``badPublicKey`` if it is one this server does not take.
    """
    if not isinstance(jwk, dict):
        raise malformed("jwk is not an object.")
    if "d" in jwk:
        raise malformed("jwk holds a private key; this key is known to the server now and must not be used again.")
    build = {"RSA": _rsa_key, "EC": _ec_key, "OKP": _okp_key}.get(str(jwk.get("kty")))
    if build is None:
        raise Problem(ErrorType.BAD_PUBLIC_KEY, "kty is none of RSA, EC and OKP.")
    try:
        public_key, members = build(jwk)
    except ValueError as error:
        raise Problem(ErrorType.BAD_PUBLIC_KEY, "jwk is not a valid public key.") from error
    canonical = {"kty": str(jwk["kty"]), **{name: str(jwk[name]) for name in members}}
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return AccountKey(canonical, public_key, b64url(hashlib.sha256(text.encode()).digest()))


def verify(jws: Jws, key: AccountKey) -> None:
    """Return if ``key`` made the signature.

    Raises:
        Problem: ``badSignatureAlgorithm`` for an algorithm that is not this key's, ``malformed`` for a wrong
            signature.
    """
    check = require_algorithm(jws)
    try:
        check(key.public_key, jws.signature, jws.signing_input)
    except (InvalidSignature, ValueError) as error:
        raise malformed("The signature of the request is wrong.") from error


def verify_mac(jws: Jws, mac_key: bytes) -> None:
    """Return if ``mac_key`` made the MAC of an external account binding (RFC 8555 section 7.3.4)."""
    digest = _DIGESTS.get(jws.algorithm)
    if digest is None:
        raise Problem(
            ErrorType.BAD_SIGNATURE_ALGORITHM,
            "An external account binding is signed with HS256, HS384 or HS512.",
            members={"algorithms": list(_DIGESTS)},
        )
    if not hmac.compare_digest(hmac.digest(mac_key, jws.signing_input, digest), jws.signature):
        raise unauthorized("The MAC of the external account binding is wrong.")


def require_algorithm(jws: Jws) -> Callable[[PublicKey, bytes, bytes], None]:
    """The check for the signature's algorithm; ``badSignatureAlgorithm`` names those this server takes."""
    check = _ALGORITHMS.get(jws.algorithm)
    if check is None:
        raise _wrong_algorithm("This server does not take the signature's algorithm.")
    return check


def _wrong_algorithm(detail: str) -> Problem:
    return Problem(ErrorType.BAD_SIGNATURE_ALGORITHM, detail, members={"algorithms": list(_ALGORITHMS)})


def _rsa_key(jwk: Mapping[str, Any]) -> tuple[PublicKey, tuple[str, ...]]:
    modulus, exponent = (int.from_bytes(b64url_decode(jwk.get(name), name)) for name in ("n", "e"))
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise Problem(ErrorType.BAD_PUBLIC_KEY, f"An RSA account key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits.")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key(), ("n", "e")


def _ec_key(jwk: Mapping[str, Any]) -> tuple[PublicKey, tuple[str, ...]]:
    curve = _CURVES.get(str(jwk.get("crv")))
    if curve is None:
        raise Problem(ErrorType.BAD_PUBLIC_KEY, "crv is none of P-256, P-384 and P-521.")
    x, y = (b64url_decode(jwk.get(name), name) for name in ("x", "y"))
    if not len(x) == len(y) == _size(curve):
        raise Problem(ErrorType.BAD_PUBLIC_KEY, "x and y do not have the length of the curve.")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve)
    return numbers.public_key(), ("crv", "x", "y")


def _okp_key(jwk: Mapping[str, Any]) -> tuple[PublicKey, tuple[str, ...]]:
    if jwk.get("crv") != "Ed25519":
        raise Problem(ErrorType.BAD_PUBLIC_KEY, "Of the OKP keys this server takes Ed25519 only.")
    return ed25519.Ed25519PublicKey.from_public_bytes(b64url_decode(jwk.get("x"), "x")), ("crv", "x")


def _size(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _check_rsa(key: PublicKey, signature: bytes, data: bytes) -> None:
    if not isinstance(key, rsa.RSAPublicKey):
        raise _wrong_algorithm("RS256 needs an RSA key.")
    key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())


def _check_eddsa(key: PublicKey, signature: bytes, data: bytes) -> None:
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise _wrong_algorithm("EdDSA needs an Ed25519 key.")
    key.verify(signature, data)


def _check_ecdsa(curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm) -> Callable[[PublicKey, bytes, bytes], None]:
    def check(key: PublicKey, signature: bytes, data: bytes) -> None:
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve.name:
            raise _wrong_algorithm(f"The signature's algorithm needs a key on {curve.name}.")
        size = _size(curve)
        if len(signature) != 2 * size:  # r and s, each as long as the curve (RFC 7518 section 3.4)
            raise InvalidSignature
        r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(algorithm))

    return check


_ALGORITHMS: dict[str, Callable[[PublicKey, bytes, bytes], None]] = {
    "ES256": _check_ecdsa(ec.SECP256R1(), hashes.SHA256()),
    "ES384": _check_ecdsa(ec.SECP384R1(), hashes.SHA384()),
    "ES512": _check_ecdsa(ec.SECP521R1(), hashes.SHA512()),
    "RS256": _check_rsa,
    "EdDSA": _check_eddsa,
}
