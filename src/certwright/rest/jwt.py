"""JSON Web Tokens (RFC 7519) signed by an RSA key, with which a service account says who it is (RFC 7523)."""

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def rsa_key(pem: str) -> "RSAPrivateKey":
    """The private key in `pem`, which has no password.

    Raises:
        ValueError: if there is none; without a cause, which could hold it.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - only who asks pays for it
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        pass
    else:
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    raise ValueError("the private key cannot be read")


def signed(key: "RSAPrivateKey", key_id: str, claims: Mapping[str, Any]) -> str:
    """The token by RS256 (RFC 7518 section 3.3) in compact form (RFC 7515 section 3.1)."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415 - as above

    header = {"alg": "RS256", "typ": "JWT", "kid": key_id}
    told = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = key.sign(told, padding.PKCS1v15(), hashes.SHA256())
    return f"{told.decode()}.{_base64url(signature).decode()}"


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
