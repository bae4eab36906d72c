"""Certificates from elsewhere that are only watched: what was seen, what has changed, and when to say that one ends.

Pure: a look goes in, what to keep and what to tell come out.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import AwareDatetime, Field

from certwright.domain.certificates import CertificateFacts
from certwright.domain.clocks import LOOKED_AT_LEAST, happened
from certwright.domain.events import EventKind
from certwright.domain.managed import Value, new_id

WARNED_DAYS = (30, 14, 7, 3, 1, 0)
"""Days before the end at which it is told of, if the certificate lives at least four times as long."""
_SHARE = 4
EVERY = timedelta(hours=12)
AGAIN = timedelta(hours=1)
UNSEEN = 3
"""Looks in a row that must fail, at whatever is looked at, before that is the matter."""
StartTls = Literal["smtp", "imap", "pop3", "ldap"]


class Place(Value):
    """A TLS service. `name` is sent (SNI) and expected in the certificate; None is the host, unless that is an address.

    What is expected then is the address.
    """

    host: str
    port: int
    starttls: StartTls | None = None
    name: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        how = "".join([f" ({self.starttls})" if self.starttls else "", f" as {self.name}" if self.name else ""])
        return f"{host}:{self.port}{how}"


class Seen(Value):
    """What one certificate says, as `CertificateFacts` has it."""

    sha256: str
    thumbprint: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    key: str
    not_before: AwareDatetime
    not_after: AwareDatetime

    @classmethod
    def of(cls, facts: CertificateFacts) -> Self:
        """The part that is kept."""
        return cls(
            sha256=facts.sha256,
            thumbprint=facts.thumbprint,
            subject=facts.subject,
            issuer=facts.issuer,
            names=tuple(name.unicode for name in facts.names),
            key=facts.key,
            not_before=facts.not_before,
            not_after=facts.not_after,
        )


class Watched(Value):
    """Something with an end that Certwright watches and does not renew. Without a `place` it is a file that was given.

    `since` is when this certificate was seen first, and `changes` what was different from the one before. `failures`
    counts looks that failed in a row, `problem` says why the last one did, or what is wrong with what is served.
    `told_days` is the last of `WARNED_DAYS` that was told of.
    """

    id: str = Field(default_factory=new_id)
    title: str
    place: Place | None = None
    seen: Seen
    since: AwareDatetime
    looked_at: AwareDatetime
    changes: tuple[str, ...] = ()
    failures: int = 0
    problem: str = ""
    told_days: int | None = None

    def days_left(self, now: datetime) -> int:
        """Whole days until the end; negative when it is over."""
        return (self.seen.not_after - now) // timedelta(days=1)

    def state(self, now: datetime) -> str:
        """In a few words."""
        if self.seen.not_after <= now:
            return "expired"
        if self.failures:
            return "not seen"
        if self.problem:
            return "problem"
        return "ends soon" if _stage(self.seen, now) is not None else "ok"


class Look(Value):
    """What one look saw: a certificate, or the `problem` that kept it from being seen, or both."""

    seen: Seen | None
    problem: str = ""


Told = tuple[EventKind, str]


def looked(watched: Watched, look: Look, now: datetime) -> tuple[Watched, tuple[Told, ...]]:
    """What is known after a look, and what to tell of it: each thing once."""
    told: list[Told] = []
    after = watched.model_copy(update={"looked_at": now, "problem": look.problem})
    if not happened(watched.looked_at, now):  # what a wrong clock took for its end is told when that comes
        after = after.model_copy(update={"since": min(watched.since, now), "told_days": None})
    if look.seen is None:
        after = after.model_copy(update={"failures": watched.failures + 1})
        if after.failures == UNSEEN:
            told.append((EventKind.WATCHED_UNSEEN, f"{watched.title}: it cannot be seen any more: {look.problem}"))
    else:
        after = after.model_copy(update={"failures": 0})
        if look.seen.sha256 != watched.seen.sha256:
            changes = tuple(differences(watched.seen, look.seen))
            after = after.model_copy(update={"seen": look.seen, "since": now, "changes": changes, "told_days": None})
            told.append((EventKind.WATCHED_CHANGED, f"{watched.title}: another certificate: {'; '.join(changes)}."))
    stage = _stage(after.seen, now)
    if stage is not None and (after.told_days is None or stage < after.told_days):
        after = after.model_copy(update={"told_days": stage})
        told.append((EventKind.WATCHED_ENDING, f"{watched.title}: {_ending(after, now)}"))
    return after, tuple(told)


def replaced(watched: Watched, seen: Seen, now: datetime) -> tuple[Watched, tuple[Told, ...]]:
    """As `looked`, when a person has given another certificate for it: that it is another is no problem then."""
    after, told = looked(watched, Look(seen=seen), now)
    given = f"{watched.title}: another certificate was given: {'; '.join(after.changes)}."
    rest = (each for each in told if each[0] is not EventKind.WATCHED_CHANGED)
    return after, ((EventKind.WATCHED_REPLACED, given), *rest)


def next_look(watched: Watched, now: datetime) -> datetime:
    """When to look again: at a service every few hours, at a file when the next warning is due, and daily at least."""
    if watched.place:
        return now + (AGAIN if watched.failures else EVERY)
    moments = (watched.seen.not_after - timedelta(days=days) for days in _stages(watched.seen))
    return min((moment for moment in moments if now < moment < now + LOOKED_AT_LEAST), default=now + LOOKED_AT_LEAST)


def differences(before: Seen, now: Seen) -> Iterator[str]:
    """In which ways a certificate is another one, for a person."""
    yield f"valid until {now.not_after:%Y-%m-%d} instead of {before.not_after:%Y-%m-%d}"
    if added := sorted(set(now.names) - set(before.names)):
        yield f"new names {', '.join(added)}"
    if gone := sorted(set(before.names) - set(now.names)):
        yield f"without {', '.join(gone)}"
    if before.issuer != now.issuer:
        yield f"issued by {now.issuer} instead of {before.issuer}"
    if before.key != now.key:
        yield f"key {now.key} instead of {before.key}"


def _stages(seen: Seen) -> Iterator[int]:
    """The days that count for this lifetime, the most first: others would always have come."""
    lifetime = seen.not_after - seen.not_before
    return (days for days in WARNED_DAYS if timedelta(days=days) * _SHARE <= lifetime)


def _stage(seen: Seen, now: datetime) -> int | None:
    """The last of these days that has come."""
    return min((days for days in _stages(seen) if seen.not_after - timedelta(days=days) <= now), default=None)


def _ending(watched: Watched, now: datetime) -> str:
    end = watched.seen.not_after
    so_far = "nothing newer is served there" if watched.place else "Certwright does not renew it"
    return f"{'it ended' if end <= now else 'it ends'} on {end:%Y-%m-%d %H:%M} UTC, and {so_far}."
