"""People: made, given another role, password or second factor, removed and let in again."""

from collections.abc import Sequence

from argon2 import PasswordHasher

from certwright.domain.access import Permission, Person, Role, check_limit, check_password
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Tags, Value
from certwright.domain.totp import SecondFactor
from certwright.engine.context import Engine
from certwright.engine.managed import tags_of
from certwright.sdk.params import read_params
from certwright.store import UnitOfWork

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""As OWASP's Password Storage Cheat Sheet has it, so that a service on a small machine can do it."""


def add_person(engine: Engine, name: str, role: Role, password: str, tags: Sequence[str] = ()) -> Person:
    """Somebody new; with tags only for the certificates that have one of them.

    Raises:
        ConfigurationError: if the name or the password cannot be taken, or there is one of that name.
        Forbidden: if that one could do more than who adds.
    """
    check_password(password)
    values = {"name": name, "role": role, "tags": limited(role, tags), "created_at": engine.now()}
    person = read_params(Person, values, "the person")
    _check_rights(engine, person)
    digest = HASHER.hash(password)
    with engine.store.write() as unit:
        unit.people.add(person, digest)
    return person


def lasting(unit: UnitOfWork, name: str) -> Person:
    """Somebody without what attempts to sign in change."""
    return unit.people.get(name).unsuspected


class Secured(Value):
    """Somebody, and the digest of the password; `secured` adds the key for the codes that are asked for."""

    person: Person
    password: str
    key: str = ""


def secured(unit: UnitOfWork, name: str) -> Secured:
    """As `lasting`, with what the password and the codes are compared with."""
    person = lasting(unit, name)
    factor = unit.people.factor(person.name) if person.second_factor else None
    return Secured(person=person, password=unit.people.password(person.name), key=factor.key if factor else "")


def set_role(engine: Engine, name: str, role: Role, tags: Sequence[str] = ()) -> Person:
    """Give somebody another role, at once; with tags only for the certificates that have one of them.

    Raises:
        NotFound: if there is nobody of that name.
        ConfigurationError: if it is the last administrator, the role cannot be limited, or a provider gives the role.
        Forbidden: if that one could, before or after, do more than who changes it.
    """
    changed = {"role": role, "tags": limited(role, tags)}
    with engine.store.write() as unit:
        before = _own(unit.people.get(name), "the role")
        person = before.model_copy(update=changed)
        _check_rights(engine, before, person)
        unit.people.update(person)
    return person


def set_password(engine: Engine, name: str, password: str) -> Secured:
    """Give somebody another password; whoever is signed in as this person has to sign in again.

    Raises:
        NotFound: if there is nobody of that name.
        ConfigurationError: if the password cannot be taken, or a provider vouches for this person instead.
        Forbidden: if that one may do more than who sets it.
    """
    check_password(password)
    digest = HASHER.hash(password)
    with engine.store.write() as unit:
        person = _own(lasting(unit, name), "a password")
        _check_rights(engine, person)
        unit.people.update(person, digest)
    return Secured(person=person, password=digest)


def remove_person(engine: Engine, name: str) -> None:
    """Have somebody not be let in any more, at once.

    For whom a provider vouches that is still asked is kept as barred: the next sign-in would make that one anew.

    Raises:
        NotFound: if there is nobody of that name.
        ConfigurationError: if it is the last administrator, or was removed already.
        Forbidden: if that one may do more than who removes.
    """
    with engine.store.write() as unit:
        person, asked = unit.people.get(name), unit.credentials.shown("sign-in").values()
        _check_rights(engine, person)
        if not person.identity or person.identity.issuer not in [each["issuer"] for each in asked]:
            unit.people.remove(name)
        elif not person.barred:
            unit.people.bar(person)
        else:
            raise ConfigurationError(
                f"{person.name} is not let in any more, and is remembered so that {person.identity.provider} cannot "
                "change that.",
                hint=f"Let this person in again (certwright person admit {person.name}), or remove the provider first.",
            )


def admit_person(engine: Engine, name: str) -> Person:
    """Let somebody in again who was removed and comes by a provider, as what that one says at the next sign-in.

    Raises:
        NotFound: if there is nobody of that name.
        Forbidden: if that one could do more than who lets in.
    """
    with engine.store.write() as unit:
        person = unit.people.get(name).model_copy(update={"barred": False})
        _check_rights(engine, person)
        unit.people.update(person)
    return person


def begin_second_factor(engine: Engine, name: str) -> SecondFactor:
    """A new key for codes; they are asked for once `confirm_second_factor` got one.

    Raises:
        NotFound: if there is nobody of that name.
        ConfigurationError: if codes are asked for already, or a provider asks for them.
    """
    new = SecondFactor.new()
    with engine.store.write() as unit:
        person = _own(unit.people.get(name), "a code at the sign-in")
        if person.second_factor:
            raise ConfigurationError(
                f"{person.name} is asked for a code already.",
                hint="Switch that off first, to have it on another phone.",
            )
        unit.people.put_factor(person, new)
    return new


def confirm_second_factor(engine: Engine, name: str, typed: str) -> tuple[str, ...]:
    """Have codes asked for at each sign-in of this person from now on; the recovery codes, to be shown once.

    Raises:
        NotFound: if there is nobody of that name.
        ConfigurationError: if the code is not the right one, or there is no key to be confirmed.
    """
    with engine.store.write() as unit:
        person = unit.people.get(name)
        factor = unit.people.factor(person.name)
        confirmed = factor.confirm(typed, engine.now()) if factor and not factor.confirmed else None
        if confirmed is None:
            raise ConfigurationError(
                "This is not the code that is valid now.",
                hint="Type the one that the app shows; if it never fits, the clock of the phone or of this machine is "
                "wrong.",
            )
        unit.people.put_factor(person, confirmed[0])
    return confirmed[1]


def remove_second_factor(engine: Engine, name: str) -> Person:
    """Have no codes asked for any more.

    Raises:
        NotFound: if there is nobody of that name.
        Forbidden: if that one may do more than who switches it off.
    """
    with engine.store.write() as unit:
        person = unit.people.get(name)
        _check_rights(engine, person)
        unit.people.put_factor(person, None)
        return unit.people.get(name)


def _own(person: Person, what: str) -> Person:
    """Somebody who is known here alone.

    Raises:
        ConfigurationError: if a provider vouches for this person, and has the last word on `what`.
    """
    if person.identity:
        raise ConfigurationError(
            f"{person.name} signs in by {person.identity.provider}: {what} is a matter of that provider.",
            hint="Change it there; it counts from the next sign-in on.",
        )
    return person


def _check_rights(engine: Engine, *people: Person) -> None:
    """Refuse to have somebody decide about people who may do more: they could become these by it.

    Raises:
        Forbidden: if so.
    """
    engine.caller.require(*sorted({each for person in people for each in person.caller.permissions}))


def limited(role: Role, tags: Sequence[str]) -> Tags:
    """The tags to which somebody in this role can be limited; an operator loses by it what concerns all."""
    check_limit(role.permissions - {Permission.MANAGE}, tags)
    return tags_of(tags)
