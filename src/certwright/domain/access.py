"""Who may do what: decided here, and nowhere else."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.domain.managed import Value, new_id

LONGEST_LIFE = timedelta(days=366)
"""A token that nobody renews ends with this at the latest."""

_USED_AGAIN = timedelta(hours=1)


class Permission(StrEnum):
    """What can be allowed; each operation of the API asks for one.

    `read` shows certificates, runs, issuers and health, no secrets. `edit` chooses when certificates are renewed and
    deployed, holds renewals back and releases them.
    """

    READ = "read"
    EDIT = "edit"


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
                hint=f"Use a token that has it: certwright token add NAME --allow {permission.value}",
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
