"""Who may do what: decided here, and nowhere else; and who signs in, until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.domain.managed import Value, new_id

LONGEST_LIFE = timedelta(days=366)
"""A token that nobody renews ends with this at the latest."""

IDLE = timedelta(hours=1)
"""After so long without a sign of life a person has to sign in again."""
LONGEST_SESSION = timedelta(hours=12)
"""After so long anyway."""
SHORTEST_PASSWORD = 12

_USED_AGAIN = timedelta(hours=1)
_SEEN_AGAIN = timedelta(minutes=1)
_LONGEST_PASSWORD = 512
_DIFFERENT = 5
_FREE_FAILURES = 5
_PAUSE = timedelta(minutes=1)
_MOST_DOUBLINGS = 6

PersonName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")]


class Permission(StrEnum):
    """What can be allowed; each operation of the API, and each page, asks for one.

    `read` shows certificates, runs, issuers and health, no secrets. `request` has a certificate requested now. `edit`
    chooses when certificates are renewed and deployed, holds renewals back and releases them.
    """

    READ = "read"
    REQUEST = "request"
    EDIT = "edit"


class Role(StrEnum):
    """What a person is here."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    VIEWER = "viewer"

    @property
    def permissions(self) -> frozenset[Permission]:
        """What somebody in this role may do."""
        return _PERMISSIONS[self]


_PERMISSIONS = {
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.OPERATOR: frozenset({Permission.READ, Permission.REQUEST, Permission.EDIT}),
    Role.VIEWER: frozenset({Permission.READ}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a name for people, and what it may do."""

    name: str
    permissions: frozenset[Permission]

    def require(self, permission: Permission) -> None:
        """Return if it may.

        Raises:
            Forbidden: if not.
        """
        if permission not in self.permissions:
            raise Forbidden(
                f"{self.name} may not do this: it takes the permission {permission.value!r}.",
                hint=f"Use a token that has it (certwright token add NAME --allow {permission.value}), or ask an "
                "administrator for another role.",
            )


class ApiToken(Value):
    """What a program shows to be let in; the secret itself is kept by nobody but its owner.

    `used_at` is when it was used, to the hour.
    """

    id: str = Field(default_factory=new_id)
    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\s\x00-\x1f\x7f](.*[^\s\x00-\x1f\x7f])?$")
    permissions: tuple[Permission, ...] = Field(min_length=1)
    created_at: AwareDatetime
    expires_at: AwareDatetime
    used_at: AwareDatetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it lets in at this moment."""
        return now < self.expires_at

    def used(self, now: datetime) -> "ApiToken | None":
        """As used at this moment, or None if that is known closely enough."""
        if self.used_at is not None and now - self.used_at < _USED_AGAIN:
            return None
        return self.model_copy(update={"used_at": now})

    @property
    def caller(self) -> Caller:
        """Whom it lets in."""
        return Caller(f"The token {self.name!r}", frozenset(self.permissions))


class Person(Value):
    """Somebody who signs in.

    `failures` are the wrong passwords since the right one; until `locked_until` none is looked at.
    """

    name: PersonName
    role: Role
    created_at: AwareDatetime
    failures: int = 0
    locked_until: AwareDatetime | None = None

    @property
    def caller(self) -> Caller:
        """As whom this person asks."""
        return Caller(self.name, self.role.permissions)

    def failed(self, now: datetime) -> "Person":
        """After one more wrong password: after some of them, the next has to wait, longer each time."""
        failures = self.failures + 1
        pause = _PAUSE * 2 ** min(failures - _FREE_FAILURES, _MOST_DOUBLINGS) if failures >= _FREE_FAILURES else None
        return self.model_copy(update={"failures": failures, "locked_until": now + pause if pause else None})

    def locked(self, now: datetime) -> datetime | None:
        """Until when no password is looked at."""
        return self.locked_until if self.locked_until and now < self.locked_until else None


class SignedIn(Value):
    """That a person signed in, in one browser: it ends after a while without a sign of life, and at its end anyway."""

    person: PersonName
    since: AwareDatetime
    seen_at: AwareDatetime

    def is_valid(self, now: datetime) -> bool:
        """Whether it still lets in."""
        return now - self.seen_at < IDLE and now - self.since < LONGEST_SESSION

    def seen(self, now: datetime) -> "SignedIn | None":
        """As seen at this moment, or None if that is known closely enough."""
        return self.model_copy(update={"seen_at": now}) if now - self.seen_at >= _SEEN_AGAIN else None


def check_password(password: str) -> None:
    """Refuse what others would guess.

    Raises:
        ConfigurationError: if it is too short, or longer than any person's.
    """
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise ConfigurationError(
            f"A password has {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters.",
            hint="A few words that do not belong together are easy to remember and hard to guess.",
        )
    if len(set(password)) < _DIFFERENT:
        raise ConfigurationError("The password is of too few different characters.", hint="Take a few words.")


def permissions_of(names: Iterable[str]) -> tuple[Permission, ...]:
    """The permissions of these names, each once.

    Raises:
        ConfigurationError: if there is no such permission, or none is named.
    """
    wanted = dict.fromkeys(names)
    if strangers := [name for name in wanted if name not in set(Permission)]:
        raise ConfigurationError(
            f"There is no permission {strangers[0][:40]!r}.", hint=f"Choose among: {', '.join(Permission)}."
        )
    if not wanted:
        raise ConfigurationError("A token that allows nothing is of no use.", hint=f"Allow it {', '.join(Permission)}.")
    return tuple(map(Permission, wanted))
