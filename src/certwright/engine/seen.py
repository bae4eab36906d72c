"""That what goes by its name is still as somebody saw it when they change it, or is not there if they saw none."""

import shlex
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from certwright.domain.errors import Changed, NotFound, Taken
from certwright.domain.managed import Value
from certwright.engine.context import Engine
from certwright.store import Sealed, UnitOfWork

T = TypeVar("T", bound=Value)


def digest(value: Value) -> str:
    """Tells what has no revision from what it was before."""
    return sha256(value.model_dump_json().encode()).hexdigest()[:32]


def as_seen(engine: Engine, read: Callable[[UnitOfWork, str], Value], name: str, seen: str) -> Engine:
    """The same engine, with which nothing is written if what is kept under that name has another digest meanwhile."""

    def condition(unit: UnitOfWork) -> None:
        if digest(read(unit, name)) != seen:
            raise Changed(f"{name!r} was changed by somebody else meanwhile.", hint="Look at it again first.")

    return engine.provided(condition)


def as_new(engine: Engine, read: Callable[[UnitOfWork, str], T], name: str, taken: Callable[[T], Taken]) -> Engine:
    """The same engine, with which nothing is written if something is kept under that name: as `taken` tells of it."""

    def condition(unit: UnitOfWork) -> None:
        try:
            kept = read(unit, name)
        except NotFound:
            return
        raise taken(kept)

    return engine.provided(condition)


def taken(what: str, name: str, command: str) -> Taken:
    """The error that something of that name is there, which is changed by that command."""
    hint = f"Choose another name, or change that one: certwright {command} {shlex.quote(name)}"
    return Taken(f"There is a {what} {name!r} already.", hint=hint)


def stored(unit: UnitOfWork, name: str) -> Sealed:
    """What `as_seen` reads of what is kept among the credentials."""
    return unit.credentials.sealed(name)


def credential_taken(kept: Sealed) -> Taken:
    """As `taken`, for what is kept among the credentials: those, channels and sign-in providers."""
    family, _, kind = kept.kind.rpartition(":")
    if family == "notify":
        return taken("channel", kept.name, f"notification channel add {kind}")
    if family == "sign-in":
        return taken("sign-in provider", kept.name, "person provider add")
    return taken("credential", kept.name, f"credential add {kept.kind}")
