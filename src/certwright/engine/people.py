"""People: made, given another password, signed in and recognised."""

import hashlib
import secrets
import threading
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from certwright.domain.access import LONGEST_SESSION, Person, Role, SignedIn, check_password
from certwright.domain.errors import Forbidden, NotSignedIn
from certwright.engine.context import Engine
from certwright.sdk.params import read_params

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""As OWASP's Password Storage Cheat Sheet has it, so that a service on a small machine can do it."""
_ONE_AT_A_TIME = threading.Lock()
"""Many guesses at once must neither fill the memory nor get ahead of the count of failures."""
_NOBODY = _HASHER.hash(secrets.token_urlsafe())
"""What the password of somebody who does not exist is compared with, so that names cannot be told apart by time."""
_SECRET_BYTES = 32


def add_person(engine: Engine, name: str, role: Role, password: str) -> Person:
    """Somebody new.

    Raises:
        ConfigurationError: if the name or the password cannot be taken, or there is one of that name.
    """
    check_password(password)
    values = {"name": name, "role": role, "created_at": engine.now()}
    person = read_params(Person, values, "the person")
    digest = _HASHER.hash(password)
    with engine.store.write() as unit:
        unit.people.add(person, digest)
    return person


def set_password(engine: Engine, name: str, password: str) -> Person:
    """Give somebody another password; whoever is signed in as this person has to sign in again.

    Raises:
        NotFound: if there is nobody of that name.
        ConfigurationError: if the password cannot be taken.
    """
    check_password(password)
    digest = _HASHER.hash(password)
    with engine.store.write() as unit:
        person = unit.people.get(name).model_copy(update={"failures": 0, "locked_until": None})
        unit.people.update(person, digest)
    return person


def sign_in(engine: Engine, name: str, password: str) -> str:
    """The secret that the person's browser shows from now on.

    Raises:
        NotSignedIn: if there is nobody of that name, or the password is another one; it does not say which.
        Forbidden: after several wrong ones, for a while.
    """
    now = engine.now()
    with _ONE_AT_A_TIME:
        person = _checked(engine, name, password, now)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    with engine.store.write() as unit:
        session = SignedIn(person=person.name, since=now, seen_at=now)
        unit.people.begin_session(_digest(secret), session, now - LONGEST_SESSION)
    return secret


def recognise_person(engine: Engine, secret: str) -> Person:
    """Whose session it is.

    Raises:
        NotSignedIn: if it is none, or has ended.
    """
    digest, now = _digest(secret), engine.now()
    with engine.store.read() as unit:
        found = unit.people.session(digest)
    if found is None or not found[0].is_valid(now):
        raise NotSignedIn("You are not signed in any more.", hint="Sign in again.")
    if seen := found[0].seen(now):
        with engine.store.write() as unit:
            unit.people.update_session(digest, seen)
    return found[1]


def sign_out(engine: Engine, secret: str) -> None:
    """End the session."""
    with engine.store.write() as unit:
        unit.people.end_session(_digest(secret))


def _checked(engine: Engine, name: str, password: str, now: datetime) -> Person:
    with engine.store.read() as unit:
        person, digest = unit.people.find(name) or (None, _NOBODY)
    if person and (until := person.locked(now)):
        raise Forbidden(
            f"There were too many wrong passwords; the next one is looked at after {until:%H:%M:%S} UTC.",
            hint="Wait until then, or have an administrator set a new password: certwright person password NAME",
        )
    is_right = _is_right(digest, password)
    if person:
        changed = person.model_copy(update={"failures": 0, "locked_until": None}) if is_right else person.failed(now)
        if changed != person:
            with engine.store.write() as unit:
                unit.people.update(changed)
    if person is None or not is_right:
        raise NotSignedIn("The name or the password is wrong.", hint="Try again; capitals count in the password.")
    return person


def _is_right(digest: str, password: str) -> bool:
    try:
        return _HASHER.verify(digest, password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
