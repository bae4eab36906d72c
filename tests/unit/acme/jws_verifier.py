"""Checks JWS signatures as a CA does, from RFC 7515 and RFC 7518, sharing no code with the client."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_EC = {
    ("ES256", "P-256"): (ec.SECP256R1(), hashes.SHA256(), 32),
    ("ES384", "P-384"): (ec.SECP384R1(), hashes.SHA384(), 48),
}


class BadJWS(Exception):
    """The message is no JWS, or its signature does not fit."""


@dataclass(frozen=True)
class JWS:
    protected: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    def json(self) -> Any:
        return json.loads(self.payload)


def decode(text: str) -> bytes:
    if "=" in text or "+" in text or "/" in text:
        raise BadJWS("not base64url without padding")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadJWS(str(error)) from error


def read(message: bytes | dict[str, Any]) -> JWS:
    data = json.loads(message) if isinstance(message, bytes) else message
    if set(data) != {"protected", "payload", "signature"}:
        raise BadJWS("not a flattened JWS without unprotected header")
    signing_input = f"{data['protected']}.{data['payload']}".encode("ascii")
    protected = json.loads(decode(data["protected"]))
    return JWS(protected, decode(data["payload"]), signing_input, decode(data["signature"]))


def verify(jws: JWS, jwk: dict[str, str]) -> None:
    algorithm = jws.protected["alg"]
    try:
        match jwk["kty"]:
            case "EC":
                curve, digest, size = _EC[algorithm, jwk["crv"]]
                if len(jws.signature) != 2 * size or len(decode(jwk["x"])) != size or len(decode(jwk["y"])) != size:
                    raise BadJWS("wrong number of octets")
                r, s = (int.from_bytes(half, "big") for half in (jws.signature[:size], jws.signature[size:]))
                x, y = (int.from_bytes(decode(jwk[name]), "big") for name in "xy")
                public = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
                public.verify(encode_dss_signature(r, s), jws.signing_input, ec.ECDSA(digest))
            case "RSA" if algorithm == "RS256":
                e, n = (int.from_bytes(decode(jwk[name]), "big") for name in "en")
                rsa.RSAPublicNumbers(e, n).public_key().verify(
                    jws.signature, jws.signing_input, padding.PKCS1v15(), hashes.SHA256()
                )
            case "OKP" if (algorithm, jwk["crv"]) == ("EdDSA", "Ed25519"):
                key = ed25519.Ed25519PublicKey.from_public_bytes(decode(jwk["x"]))
                key.verify(jws.signature, jws.signing_input)
            case _:
                raise BadJWS(f"algorithm {algorithm} does not fit the key")
    except (InvalidSignature, KeyError) as error:
        raise BadJWS("the signature does not fit") from error


def verify_hs256(jws: JWS, key: bytes) -> None:
    if jws.protected["alg"] != "HS256" or not hmac.compare_digest(
        hmac.new(key, jws.signing_input, hashlib.sha256).digest(), jws.signature
    ):
        raise BadJWS("the MAC does not fit")


def thumbprint(jwk: dict[str, str]) -> str:
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in members) + "}"
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
