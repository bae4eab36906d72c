"""Signing in, by a password or by a provider's word: people are recognised by the sessions that begin with it."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NoReturn

from argon2.exceptions import InvalidHashError, VerificationError

from certwright.domain.access import LONGEST_SESSION, Identity, Person, Role, SignedIn
from certwright.domain.errors import ConfigurationError, Forbidden, NotSignedIn, StoreError
from certwright.domain.managed import Tags
from certwright.engine.context import Engine
from certwright.engine.people import HASHER, Secured, limited, set_password
from certwright.sdk.params import read_params
from certwright.store import UnitOfWork

_NOBODY = HASHER.hash(secrets.token_urlsafe())
"""What the password of somebody who does not exist is compared with, so that names cannot be told apart by time."""
_SECRET_BYTES = 32
_LONGEST_NAME = 64


def is_begun(engine: Engine) -> bool:
    """Whether there is anybody who can sign in."""
    with engine.store.read() as unit:
        return bool(unit.people.list())


def sign_in(engine: Engine, name: str, password: str, code: str = "", address: str = "") -> str:
    """The secret that the person's browser shows from now on.

    Args:
        engine: what to work with.
        name: who that is.
        password: that person's.
        code: the one that is valid now, or a recovery code, if codes are asked for.
        address: where the browser is.

    Raises:
        NotSignedIn: if there is nobody of that name, or the password or the code is another one; it does not say which.
        Throttled: after several wrong ones, for a while; or if too many sign in at this moment.
    """
    return _begin_by_password(engine, check_person(engine, name, password, code, address))


def change_password(engine: Engine, name: str, password: str) -> str:
    """Give oneself another password: all sessions end, and the secret of a new one is returned.

    Raises:
        ConfigurationError: if the password cannot be taken.
    """
    return _begin_by_password(engine, set_password(engine, name, password))


def sign_in_vouched(
    engine: Engine,
    identity: Identity,
    name: str,
    role: Role,
    tags: Sequence[str],
    still: Callable[[UnitOfWork], None],
) -> str:
    """The secret that the browser shows of somebody for whom a provider vouches, in the role that follows from it now.

    The name is kept from the first sign-in on: only issuer and subject say who it is. Sessions are by one provider at a
    time: what another one with that issuer let in ends. `still` raises if the provider's word does not count any more
    when the session begins.

    Raises:
        Forbidden: if this one was removed here, or the name is none, or somebody else's.
        NotSignedIn: if this one signed in by another provider at this moment.
    """
    now = engine.now()
    with engine.store.write() as unit:
        if known := _admitted(unit, identity):
            person = known.model_copy(update={"identity": identity, "role": role, "tags": _tags(role, tags)})
            unit.people.update(person)
        else:
            person = _stranger(identity, name, role, tags, now)
            if other := unit.people.find(person.name):
                raise Forbidden(
                    f"There is a person {other[0].name!r} here already, who is not the one of {identity.provider}.",
                    hint="An administrator removes that one first, or chooses another claim for names.",
                )
            unit.people.add(person)

    def counts(unit: UnitOfWork) -> None:
        still(unit)
        known = _admitted(unit, identity)
        if known and known.identity != identity:
            raise NotSignedIn("You signed in by another provider at this moment.", hint="Sign in again.")

    return _begin_session(engine, person, now, counts)


def _admitted(unit: UnitOfWork, identity: Identity) -> Person | None:
    """Who is known by this identity, if anybody is.

    Raises:
        Forbidden: if that one was removed here.
    """
    known = unit.people.vouched(identity)
    if known and known.barred:
        raise Forbidden(
            f"{known.name} is not let in any more.",
            hint="An administrator changes that: certwright person admit NAME",
        )
    return known


def _stranger(identity: Identity, name: str, role: Role, tags: Sequence[str], now: datetime) -> Person:
    values = {"name": name, "role": role, "tags": _tags(role, tags), "identity": identity, "created_at": now}
    try:
        return read_params(Person, values, "the person")
    except ConfigurationError as error:
        raise Forbidden(
            f"{name[:80]!r}, as {identity.provider} calls you, is no name that can be taken here.",
            causes=error.causes,
            hint="An administrator chooses another claim for names, such as email.",
        ) from None


def _tags(role: Role, tags: Sequence[str]) -> Tags:
    try:
        return limited(role, tags)
    except ConfigurationError as error:
        raise Forbidden(
            error.message, causes=error.causes, hint="An administrator of the provider corrects them."
        ) from None


def _begin_by_password(engine: Engine, shown: Secured) -> str:
    def counts(unit: UnitOfWork) -> None:
        found = unit.people.find(shown.person.name)
        if found is None or found[1] != shown.password:
            raise NotSignedIn("The password was changed at this moment.", hint="Sign in with the new one.")

    return _begin_session(engine, shown.person, engine.now(), counts)


def _begin_session(engine: Engine, person: Person, now: datetime, counts: Callable[[UnitOfWork], None]) -> str:
    """Begin one, unless `counts` raises: what somebody has shown may have lost its worth a moment before."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with engine.acting(person.caller).provided(counts).store.write() as unit:
        session = SignedIn(person=person.name, since=now, seen_at=now)
        unit.people.begin_session(_digest(secret), session, now - LONGEST_SESSION)
    return secret


def recognise_person(engine: Engine, secret: str, *, alive: bool = True) -> Person:
    """Whose session it is.

    Args:
        engine: what to work with.
        secret: what the browser shows.
        alive: whether a person does this; a page that looks again by itself is no sign of life.

    Raises:
        NotSignedIn: if it is none, or has ended.
    """
    digest, now = _digest(secret), engine.now()
    with engine.store.read() as unit:
        found = unit.people.session(digest)
    if found is None or found[1].barred or not found[0].is_valid(now):
        raise NotSignedIn("You are not signed in any more.", hint="Sign in again.")
    if alive and (seen := found[0].seen(now)):
        with suppress(StoreError), engine.store.write() as unit:  # who only reads needs no store that can be written
            unit.people.update_session(digest, seen)
    return found[1]


def sign_out(engine: Engine, secret: str) -> Person | None:
    """End the session, if it is one; whose it was."""
    digest = _digest(secret)
    with engine.store.read() as unit:
        found = unit.people.session(digest)
    if found is None:
        return None
    with engine.acting(found[1].caller).store.write() as unit:
        unit.people.end_session(digest)
    return found[1]


def check_person(engine: Engine, name: str, password: str, code: str, address: str) -> Secured:
    """Somebody who has shown to be that person, by this password, and the code if one is asked for.

    Raises:
        NotSignedIn: if there is nobody of that name, or the password or the code is another one; it does not say which.
        Throttled: after several wrong ones, for a while; or if too many show it at this moment.
    """
    now, attempts = engine.now(), engine.attempts
    attempts.check(_who(engine, name)[0], address, now)
    with attempts.turn(address):
        who, person, digest = _who(engine, name)
        attempts.check(who, address, now)
        if not (_is_right(digest, password) and person and _prove(engine, person, code)):
            _refuse(engine, person, attempts.failed(who, address, now))
        attempts.succeeded(who, address)
    if person.failures:
        with engine.store.write() as unit:
            unit.people.attempted(unit.people.get(person.name).unsuspected)
    return Secured(person=person, password=digest)


def _who(engine: Engine, name: str) -> tuple[str, Person | None, str]:
    """As whom attempts are counted, who that is, and the digest of the password.

    With another password nothing is held against anybody. Who comes by a provider has none, and is nobody here.
    """
    with engine.store.read() as unit:
        found = unit.people.find(name)
    if found is None or found[0].identity:
        return f"?{name.lower()[:_LONGEST_NAME]}", None, _NOBODY
    return found[1], *found


def _refuse(engine: Engine, person: Person | None, until: datetime | None) -> NoReturn:
    with engine.store.write() as unit:
        if person and (found := unit.people.find(person.name)):
            unit.people.attempted(found[0].failed(until))
        else:
            unit.people.refuse_stranger()
    raise NotSignedIn(
        "The name, the password or the code is wrong.",
        hint="Try again; capitals count in the password, and each code counts once.",
    )


def _prove(engine: Engine, person: Person, code: str) -> bool:
    """Whether this code proves who signs in, if one is asked for; then it is used."""
    if not person.second_factor:
        return True
    with engine.store.write() as unit:
        factor = unit.people.factor(person.name)
        used = factor.accept(code, engine.now()) if factor else None
        if used:
            unit.people.use_code(person, used)
    return used is not None


def _is_right(digest: str, password: str) -> bool:
    try:
        return HASHER.verify(digest, password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
