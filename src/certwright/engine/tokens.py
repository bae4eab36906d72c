"""Tokens for programs: made, shown once, and recognised."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import timedelta

from certwright.domain.access import LONGEST_LIFE, ApiToken, Caller, permissions_of
from certwright.domain.errors import ConfigurationError, NotSignedIn
from certwright.engine.context import Engine
from certwright.sdk.params import read_params

PREFIX = "certwright_"
"""How each begins, so that whoever looks for lost secrets finds it."""

_FORM = re.compile(rf"{PREFIX}([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
_SECRET_BYTES = 32


def create_token(engine: Engine, name: str, permissions: Iterable[str], life: timedelta) -> tuple[ApiToken, str]:
    """A new token, and what its owner shows; nobody can read that again.

    Args:
        engine: what to work with.
        name: what people call it.
        permissions: what it allows.
        life: how long it is valid.

    Raises:
        ConfigurationError: if it is to be valid for no time or for too long, or there is one of that name.
    """
    if not timedelta() < life <= LONGEST_LIFE:
        raise ConfigurationError(
            f"A token is valid for 1 to {LONGEST_LIFE.days} days.", hint="Make a new one before it ends."
        )
    now, secret = engine.now(), secrets.token_urlsafe(_SECRET_BYTES)
    values = {"name": name, "permissions": permissions_of(permissions), "created_at": now, "expires_at": now + life}
    token = read_params(ApiToken, values, "the token")
    with engine.store.write() as unit:
        unit.tokens.add(token, _digest(secret))
    return token, f"{PREFIX}{token.id}_{secret}"


def recognise(engine: Engine, shown: str) -> Caller:
    """Whom this token lets in.

    Raises:
        NotSignedIn: if it is none, or was removed, or has ended.
    """
    parts = _FORM.fullmatch(shown)
    with engine.store.read() as unit:
        found = unit.tokens.find(parts[1]) if parts else None
    if parts is None or found is None or not hmac.compare_digest(_digest(parts[2]), found[1]):
        raise NotSignedIn(
            "That is no token of this installation.", hint="Make one: certwright token add NAME --allow read"
        )
    token, now = found[0], engine.now()
    if not token.is_valid(now):
        raise NotSignedIn(
            f"The token {token.name!r} has ended on {token.expires_at:%Y-%m-%d %H:%M} UTC.",
            hint="Make a new one: certwright token remove, then certwright token add",
        )
    if used := token.used(now):
        with engine.store.write() as unit:
            unit.tokens.update(used)
    return token.caller


def _digest(secret: str) -> bytes:
    """Of a secret that is random through and through, so that a slow digest would protect nothing."""
    return hashlib.sha256(secret.encode()).digest()
