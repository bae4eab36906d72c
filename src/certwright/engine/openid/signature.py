"""The signatures of ID tokens (RFC 7515): proved with keys that a provider shows (RFC 7517), and with nothing else."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact
from pydantic import BaseModel, Field

from certwright.domain.errors import NotSignedIn
from certwright.domain.openid import ALGORITHMS, Claims

_MOST_KEYS = 100
_MOST_TRIED = 8
_RSA_DIGITS = range(340, 1366 + 1)
"""Of a modulus of 2048 to 8192 bits in base64: a longer one would take long."""
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The kind of key, by how the name of an algorithm begins."""


class _Registry(JWSRegistry):
    max_header_length = 8 * 1024  # some providers send their certificate along


_REGISTRY = _Registry(algorithms=list(ALGORITHMS), strict_check_header=False)


class KeyMissing(NotSignedIn):
    """The provider shows no key that could have signed it; it may have another one by now."""


class JwkSet(BaseModel):
    """The keys that a provider shows."""

    keys: list[dict[str, Any]] = Field(max_length=_MOST_KEYS)


@dataclass(frozen=True)
class Keys:
    """Those of a provider's keys that can be used."""

    keys: Sequence[Key]
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, told: JwkSet) -> Self:
        """Those that prove signatures; what is unknown here is passed over."""
        return cls(list(_usable(told.keys)))

    def verified(self, token: str) -> Claims:
        """What a token says that was signed with one of these keys.

        Raises:
            KeyMissing: if there is no key that could have done it.
            NotSignedIn: if it was not.
        """
        try:
            signed = extract_compact(token.encode(), registry=_REGISTRY)
            headers = signed.headers()
            algorithm, kid = headers["alg"], headers.get("kid")
        except (JoseError, ValueError, KeyError, TypeError, RecursionError):
            raise _refused("cannot be read") from None
        if algorithm not in ALGORITHMS:
            raise _refused("is signed in a way that proves nothing here: by RSA, elliptic curves or Ed25519 it would")
        kind = _KINDS[algorithm[:2]]
        able = [key for key in self.keys if key.key_type == kind and kid in (None, key.kid)]
        if not able:
            raise KeyMissing("The provider's ID token is signed with a key that it does not show.", hint="Try again.")
        if not any(_proves(key, signed) for key in able[:_MOST_TRIED]):
            raise _refused("does not bear the provider's signature")
        return _claims(signed)


def _usable(told: Sequence[Mapping[str, Any]]) -> Iterator[Key]:
    for each in told:
        is_sized = each.get("kty") != "RSA" or len(str(each.get("n", ""))) in _RSA_DIGITS
        if each.get("kty") in _KINDS.values() and each.get("use", "sig") == "sig" and is_sized:
            with suppress(JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
                yield JWKRegistry.import_key(dict(each))


def _proves(key: Key, signed: CompactSignature) -> bool:
    try:
        return validate_compact(signed, key, list(ALGORITHMS), _REGISTRY)
    except (JoseError, ValueError, TypeError):
        return False


def _claims(signed: CompactSignature) -> Claims:
    try:
        claims = json.loads(signed.payload or b"")
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise _refused("says nothing that can be read")
    return claims


def _refused(what: str) -> NotSignedIn:
    return NotSignedIn(
        f"The provider's ID token {what}.", hint="Sign in again; if it stays so, tell an administrator of the provider."
    )
