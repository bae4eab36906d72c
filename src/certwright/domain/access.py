"""Who may do what: decided here, and nowhere else; and who signs in, until when."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, WithJsonSchema

from certwright.domain.actors import Actor, ActorKind
from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.domain.managed import Tags, Value, new_id

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
_PAUSE = timedelta(minutes=1)
_MOST_DOUBLINGS = 6

_PERSON_NAME = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"


def _of_person(name: str) -> str:
    if not re.fullmatch(_PERSON_NAME, name):
        raise ValueError("a name has up to 64 letters a to z, digits and . _ @ -, and begins with a letter or a digit")
    return name


PersonName = Annotated[str, AfterValidator(_of_person), WithJsonSchema({"type": "string", "pattern": _PERSON_NAME})]
"""With which somebody signs in; the schema has the rule for programs, and what is refused is told in words."""


class Permission(StrEnum):
    """What can be allowed; each operation of the API, and each page, asks for one.

    `read` shows certificates, runs, issuers and health, no secrets. `request` has a certificate requested now. `edit`
    describes certificates, chooses when they are renewed and deployed, holds renewals back and releases them. `manage`
    changes what they are made with: issuers, credentials, tasks, windows, notifications. `administer` decides about
    people, tokens and the service itself. `audit` shows who did what. `keys` takes private keys out, and says to which
    servers they are sent. `commands` has programs run and paths written to, where the administrator has allowed it.
    """

    READ = "read"
    REQUEST = "request"
    EDIT = "edit"
    MANAGE = "manage"
    ADMINISTER = "administer"
    AUDIT = "audit"
    KEYS = "keys"
    COMMANDS = "commands"


class Role(StrEnum):
    """What a person is here."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    REQUESTER = "requester"
    AUDITOR = "auditor"
    VIEWER = "viewer"

    @property
    def permissions(self) -> frozenset[Permission]:
        """What somebody in this role may do."""
        return _PERMISSIONS[self]


_PERMISSIONS = {
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.OPERATOR: frozenset({Permission.READ, Permission.REQUEST, Permission.EDIT, Permission.MANAGE}),
    Role.REQUESTER: frozenset({Permission.READ, Permission.REQUEST}),
    Role.AUDITOR: frozenset({Permission.READ, Permission.AUDIT}),
    Role.VIEWER: frozenset({Permission.READ}),
}


class UseCase(StrEnum):
    """What pages and the API both offer to do, and the command line, too; each takes one permission, whoever offers it.

    What concerns a certificate alone can be done by whoever is limited to it; an Exchange organisation is of all.
    """

    PREVIEW = "say what would happen to a certificate, and look at what is served"
    TEST = "try all that a request needs"
    REQUEST = "have a certificate requested now"
    PLAN = "say what a deployment would change"
    DESCRIBE = "describe a certificate, and choose when it is renewed and deployed"
    HOLD = "hold renewals back, and release them"
    DEPLOY = "have a certificate put to use"
    REVOKE = "revoke a certificate"
    REMOVE = "manage a certificate no more"
    SET_TASKS = "choose what puts a certificate to use"
    EXAMINE_EXCHANGE = "look at an Exchange organisation, and agree to what it asks"

    @property
    def permission(self) -> Permission:
        """What it takes."""
        return _TAKES[self]


_TAKES = {
    UseCase.PREVIEW: Permission.REQUEST,
    UseCase.TEST: Permission.REQUEST,
    UseCase.REQUEST: Permission.REQUEST,
    UseCase.PLAN: Permission.REQUEST,
    UseCase.DESCRIBE: Permission.EDIT,
    UseCase.HOLD: Permission.EDIT,
    UseCase.DEPLOY: Permission.EDIT,
    UseCase.REVOKE: Permission.EDIT,
    UseCase.REMOVE: Permission.EDIT,
    UseCase.SET_TASKS: Permission.MANAGE,
    UseCase.EXAMINE_EXCHANGE: Permission.MANAGE,
}


_OF_ALL = frozenset({Permission.MANAGE, Permission.ADMINISTER, Permission.AUDIT})
"""What these allow concerns what all certificates have in common, so nobody has them who is limited to some."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts, and what that one may do: with the certificates that have one of `tags`; with all, if there are none.

    The store applies `sees` to all that it gives out, so that what is out of sight is as if it were not there. `token`
    is the id of the token that lets a program in: another one may have its name later.
    """

    actor: Actor
    permissions: frozenset[Permission]
    tags: frozenset[str] = frozenset()
    token: str = ""

    @classmethod
    def limited(cls, actor: Actor, permissions: Iterable[Permission], tags: Iterable[str]) -> "Caller":
        """Who has these permissions for the certificates with one of these tags."""
        only = frozenset(tags)
        return cls(actor, frozenset(permissions) - (_OF_ALL if only else frozenset()), only)

    def sees(self, tags: Iterable[str]) -> bool:
        """Whether a certificate that has these tags is there for this caller."""
        return not self.tags or not self.tags.isdisjoint(tags)

    def check_tags(self, before: Iterable[str], after: Iterable[str]) -> None:
        """Return if a certificate with the tags `before` (none, if it is new) may get those `after`.

        Raises:
            Forbidden: if that would bring it into somebody else's sight, or out of this one's.
        """
        changed = set(before) ^ set(after)
        if self.tags and not (changed <= self.tags and self.sees(after)):
            raise Forbidden(
                f"{self.actor} may give certificates no other tags than {', '.join(sorted(self.tags))}, and one of "
                "them at least.",
                hint="Ask an administrator to do it.",
            )

    def require(self, *permissions: Permission) -> None:
        """Return if it may all of this.

        Raises:
            Forbidden: if not, naming the first that is missing.
        """
        for permission in permissions:
            if permission not in self.permissions:
                another = f"Use a token that has it: certwright token add NAME --allow {permission.value}"
                is_person = self.actor.kind is ActorKind.PERSON
                raise Forbidden(
                    f"{self.actor} may not do this: it takes the permission {permission.value!r}.",
                    hint="Ask an administrator for another role." if is_person else another,
                )


SERVICE = Caller(Actor(kind=ActorKind.SERVICE, name="certwright serve"), frozenset(Permission))
"""Who does the duties of the service."""


def at_the_command_line(user: str) -> Caller:
    """Whoever opens the store on the machine itself: such a user could change it without us, and so may do all."""
    return Caller(Actor(kind=ActorKind.COMMAND_LINE, name=user), frozenset(Permission))


class ApiToken(Value):
    """What a program shows to be let in; the secret itself is kept by nobody but its owner.

    It is for the certificates with one of `tags`, or for all. `used_at` is when it was used, to the hour.
    """

    id: str = Field(default_factory=new_id)
    name: str = Field(min_length=1, max_length=80, pattern=r"^[^\s\x00-\x1f\x7f](.*[^\s\x00-\x1f\x7f])?$")
    permissions: tuple[Permission, ...] = Field(min_length=1)
    tags: Tags = ()
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
        limited = Caller.limited(Actor(kind=ActorKind.TOKEN, name=self.name), self.permissions, self.tags)
        return replace(limited, token=self.id)


class Identity(Value):
    """Who vouches for somebody: a sign-in provider of ours, whose `issuer` knows that one for ever as `subject`."""

    provider: str = Field(min_length=1, max_length=100)
    issuer: str = Field(min_length=1, max_length=1000)
    subject: str = Field(min_length=1, max_length=255)


class Person(Value):
    """Somebody who signs in, for the certificates with one of `tags`, or for all.

    `second_factor` is whether a code is asked for beside the password. `failures` are the wrong passwords and codes
    since the right ones; until `locked_until` none is looked at from where the last one came. Who comes by a
    provider has an `identity`, and no password; while such a one is `barred`, the provider's word does not count.
    """

    name: PersonName
    role: Role
    tags: Tags = ()
    created_at: AwareDatetime
    second_factor: bool = False
    failures: int = 0
    locked_until: AwareDatetime | None = None
    identity: Identity | None = None
    barred: bool = False

    @property
    def caller(self) -> Caller:
        """As whom this person asks."""
        return Caller.limited(Actor(kind=ActorKind.PERSON, name=self.name), self.role.permissions, self.tags)

    @property
    def keeps_the_key(self) -> bool:
        """Whether this is an administrator who gets in by a password, whatever becomes of any provider."""
        return self.role is Role.ADMINISTRATOR and self.identity is None

    def failed(self, until: datetime | None) -> "Person":
        """After one more wrong password, and until when the next one has to wait."""
        return self.model_copy(update={"failures": self.failures + 1, "locked_until": until})

    @property
    def unsuspected(self) -> "Person":
        """The same, without what attempts to sign in have changed."""
        return self.model_copy(update={"failures": 0, "locked_until": None})

    def locked(self, now: datetime) -> datetime | None:
        """Until when no password is looked at from where the last wrong one came."""
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


def pause_after(failures: int, free: int) -> timedelta:
    """How long the next password has to wait: not at all after fewer than `free` wrong ones, then longer each time."""
    return _PAUSE * 2 ** min(failures - free, _MOST_DOUBLINGS) if failures >= free else timedelta()


def check_limit(permissions: Iterable[Permission], tags: Iterable[str]) -> None:
    """Refuse to limit somebody to tags who is to have what concerns all certificates.

    Raises:
        ConfigurationError: if so.
    """
    if tags and (lost := sorted(_OF_ALL & frozenset(permissions))):
        raise ConfigurationError(
            f"Who may {', '.join(lost)} cannot be limited to tags: that concerns what all certificates have in common.",
            hint="Leave out the tags, or take a role or permissions without that.",
        )


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
