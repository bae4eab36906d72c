"""Signed requests: flattened JWS with JWK or account URL (RFC 7515, RFC 8555 section 6.2), and the keys."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

Json: TypeAlias = dict[str, Any]

# RFC 7518 section 3.4: curve -> JWK curve name, algorithm, hash, octets of each half of the signature
_CURVES: Final = {
    "secp256r1": ("P-256", "ES256", SHA256(), 32),
    "secp384r1": ("P-384", "ES384", SHA384(), 48),
}
_LEAST_RSA_BITS = 2048


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class SigningKey:
    """A private key that signs requests: an account's, or a certificate's for its revocation.

    Args:
        private_key: RSA of at least 2048 bits (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA).

    Raises:
        ValueError: for any other key.
    """

    def __init__(self, private_key: PrivateKeyTypes) -> None:
        self._key = private_key
        self.algorithm, self.jwk = _describe(private_key)

    @classmethod
    def generate(cls, algorithm: str = "ES256") -> "SigningKey":
        """A new key for ``ES256``, ``ES384``, ``RS256`` (2048 bits) or ``EdDSA``."""
        match algorithm:
            case "ES256":
                return cls(ec.generate_private_key(ec.SECP256R1()))
            case "ES384":
                return cls(ec.generate_private_key(ec.SECP384R1()))
            case "RS256":
                return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))
            case "EdDSA":
                return cls(ed25519.Ed25519PrivateKey.generate())
        raise ValueError(f"no such JWS algorithm here: {algorithm!r} (ES256, ES384, RS256 or EdDSA)")

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """A key from unencrypted PEM; ValueError if it is none."""
        return cls(load_pem_private_key(pem, password=None))

    def to_pem(self) -> bytes:
        """The private key as PKCS#8 PEM, not encrypted: a secret."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def thumbprint(self) -> str:
        """The SHA-256 JWK thumbprint, base64url (RFC 7638)."""
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64url(hashlib.sha256(canonical.encode()).digest())

    def sign(self, data: bytes) -> bytes:
        """The JWS signature over ``data`` (RFC 7518 section 3, RFC 8037 section 3.1)."""
        key = self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            _, _, digest, octets = _CURVES[key.curve.name]
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
            return r.to_bytes(octets, "big") + s.to_bytes(octets, "big")
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, padding.PKCS1v15(), SHA256())
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(data)
        raise AssertionError("unreachable: __init__ refuses other keys")

    def __repr__(self) -> str:
        return f"SigningKey({self.algorithm}, {self.thumbprint})"


def _describe(key: PrivateKeyTypes) -> tuple[str, Json]:
    """The JWS algorithm and the public JWK, with the members that its thumbprint needs and no other."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        curve, algorithm, _, octets = _CURVES[key.curve.name]
        point = key.public_key().public_numbers()
        x, y = (b64url(value.to_bytes(octets, "big")) for value in (point.x, point.y))
        return algorithm, {"kty": "EC", "crv": curve, "x": x, "y": y}
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        numbers = key.public_key().public_numbers()
        n, e = (b64url(value.to_bytes((value.bit_length() + 7) // 8, "big")) for value in (numbers.n, numbers.e))
        return "RS256", {"kty": "RSA", "n": n, "e": e}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return "EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": b64url(public)}
    raise ValueError("an ACME key is RSA of at least 2048 bits, ECDSA P-256 or P-384, or Ed25519")


def signed(key: SigningKey, url: str, payload: Json | None, *, nonce: str | None, kid: str | None) -> Json:
    """A flattened JWS as RFC 8555 section 6.2 wants it.

    Args:
        key: Signs.
        url: The request's URL; it is signed too.
        payload: None for POST-as-GET.
        nonce: None in the inner JWS of a key change (section 7.3.5).
        kid: The account URL; None puts the public key there instead.
    """
    protected: Json = {"alg": key.algorithm, "url": url}
    if nonce is not None:
        protected["nonce"] = nonce
    if kid is None:
        protected["jwk"] = key.jwk
    else:
        protected["kid"] = kid
    body = b"" if payload is None else _compact(payload)
    return _flattened(protected, body, key.sign)


def external_account_binding(kid: str, mac_key: bytes, account_jwk: Mapping[str, Any], url: str) -> Json:
    """The account's public key, bound by HS256 to an account outside ACME (RFC 8555 section 7.3.4).

    Args:
        kid: The key identifier from the CA.
        mac_key: The MAC key from the CA, decoded.
        account_jwk: The new account's public key.
        url: The CA's newAccount URL.
    """
    protected: Json = {"alg": "HS256", "kid": kid, "url": url}
    return _flattened(protected, _compact(account_jwk), lambda data: hmac.digest(mac_key, data, "sha256"))


def _flattened(protected: Json, payload: bytes, sign: Callable[[bytes], bytes]) -> Json:
    head, body = b64url(_compact(protected)), b64url(payload)
    return {"protected": head, "payload": body, "signature": b64url(sign(f"{head}.{body}".encode("ascii")))}


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
