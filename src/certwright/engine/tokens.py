"""Tokens for programs: made, shown once, and recognised."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

from certwright.domain.access import LONGEST_LIFE, ApiToken, Caller, check_limit, permissions_of
from certwright.domain.errors import ConfigurationError, NotSignedIn, StoreError
from certwright.domain.plain_text import check_new_name
from certwright.engine.context import Engine
from certwright.engine.managed import tags_of
from certwright.engine.refusals import refuse_token
from certwright.sdk.params import read_params

PREFIX = "certwright_"
"""How each begins, so that whoever looks for lost secrets finds it."""

_FORM = re.compile(rf"{PREFIX}([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")
_SECRET_BYTES = 32


def create_token(
    engine: Engine, name: str, permissions: Iterable[str], life: timedelta, tags: Sequence[str] = ()
) -> tuple[ApiToken, str]:
    """A new token, and what its owner shows; nobody can read that again.

    Args:
        engine: what to work with.
        name: what people call it.
        permissions: what it allows.
        life: how long it is valid.
        tags: with some, it is only for the certificates that have one of them.

    Raises:
        ConfigurationError: if it is to be valid for no time or for too long, there is one of that name, or what it
            allows cannot be limited.
        Forbidden: if it could do more than who makes it.
    """
    if not timedelta() < life <= LONGEST_LIFE:
        raise ConfigurationError(
            f"A token is valid for 1 to {LONGEST_LIFE.days} days.", hint="Make a new one before it ends."
        )
    check_new_name(name)
    now, secret = engine.now(), secrets.token_urlsafe(_SECRET_BYTES)
    allowed = permissions_of(permissions)
    check_limit(allowed, tags)
    engine.caller.require(*allowed)
    values = {"name": name, "permissions": allowed, "tags": tags_of(tags), "created_at": now, "expires_at": now + life}
    token = read_params(ApiToken, values, "the token")
    with engine.store.write() as unit:
        unit.tokens.add(token, _digest(secret))
    return token, f"{PREFIX}{token.id}_{secret}"


def remove_token(engine: Engine, name: str) -> None:
    """Have a token let nobody in any more.

    Raises:
        NotFound: if there is none of that name.
        Forbidden: if it allows more than who removes it may.
    """
    with engine.store.write() as unit:
        engine.caller.require(*unit.tokens.get(name).permissions)
        unit.tokens.remove(name)


def recognise(engine: Engine, shown: str, source: str) -> Caller:
    """Whom this token lets in.

    Args:
        engine: what to work with.
        shown: what is shown as a token.
        source: the address of who shows it, for the audit trail.

    Raises:
        NotSignedIn: if it is none, or was removed, or has ended.
    """
    parts = _FORM.fullmatch(shown)
    with engine.store.read() as unit:
        found = unit.tokens.find(parts[1]) if parts else None
    if parts is None or found is None or not hmac.compare_digest(_digest(parts[2]), found[1]):
        refuse_token(engine, "", source, "It is no token of this installation.")
        raise NotSignedIn(
            "That is no token of this installation.", hint="Make one: certwright token add NAME --allow read"
        )
    token, now = found[0], engine.now()
    if not token.is_valid(now):
        refuse_token(engine, token.name, source, "It has ended.")
        raise NotSignedIn(
            f"The token {token.name!r} has ended on {token.expires_at:%Y-%m-%d %H:%M} UTC.",
            hint="Make a new one: certwright token remove, then certwright token add",
        )
    if used := token.used(now):
        with suppress(StoreError), engine.store.write() as unit:  # who only reads needs no store that can be written
            unit.tokens.update(used)
    return token.caller


def _digest(secret: str) -> bytes:
    """Of a secret that is random through and through, so that a slow digest would protect nothing."""
    return hashlib.sha256(secret.encode()).digest()
