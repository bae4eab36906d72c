"""What is to be sent: a message stays here for each of its channels until that has taken it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from certwright.domain.clocks import SKEW
from certwright.domain.messages import Message
from certwright.domain.notices import LONGEST_PAUSE
from certwright.store.schema import outbox


@dataclass(frozen=True, slots=True)
class Posting:
    """One message for one channel.

    `next_attempt_at` is None when it is sent or given up; `told` is what was said last: the channel's answer, or why it
    did not work.
    """

    message: Message
    channel: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    told: str


@dataclass(frozen=True, slots=True)
class Outbox:
    """All that waits to be sent, and what was sent lately."""

    connection: Connection

    def add(self, message: Message, channels: Iterable[str], now: datetime) -> None:
        """Let it be sent by these channels, from now on."""
        rows = [
            {
                "id": message.id,
                "channel": channel,
                "created_at": now,
                "attempts": 0,
                "next_attempt_at": now,
                "told": "",
                "body": message,
            }
            for channel in channels
        ]
        self.connection.execute(insert(outbox), rows)

    def due(self, now: datetime, limit: int) -> Sequence[Posting]:
        """What is to be tried by now, or was put off for longer than anything is; longest waiting first."""
        has_come = (outbox.c.next_attempt_at <= now) | (outbox.c.next_attempt_at > now + LONGEST_PAUSE + SKEW)
        query = select(outbox).where(has_come).order_by(outbox.c.created_at, outbox.c.id)
        return [_posting(row) for row in self.connection.execute(query.limit(limit))]

    def waiting(self) -> Sequence[Posting]:
        """All that is not sent and not given up."""
        query = select(outbox).where(outbox.c.next_attempt_at.is_not(None)).order_by(outbox.c.created_at)
        return [_posting(row) for row in self.connection.execute(query)]

    def backlog(self) -> int:
        """How many of them there are; an index answers it."""
        return self.connection.scalar(select(func.count()).where(outbox.c.next_attempt_at.is_not(None))) or 0

    def end(self, posting: Posting, told: str, now: datetime) -> None:
        """The channel has taken it, or it is given up."""
        values = {"attempts": posting.attempts + 1, "next_attempt_at": None, "ended_at": now, "told": told}
        self.connection.execute(update(outbox).where(_is(posting)).values(values))

    def failed(self, posting: Posting, reason: str, again: datetime) -> None:
        """It is tried again at the moment given; and whatever waits for the same channel not before."""
        waits = (outbox.c.channel == posting.channel) & (outbox.c.next_attempt_at < again)
        self.connection.execute(update(outbox).where(waits).values(next_attempt_at=again))
        values = {"attempts": posting.attempts + 1, "next_attempt_at": again, "told": reason}
        self.connection.execute(update(outbox).where(_is(posting)).values(values))

    def hurry(self, channel: str, now: datetime) -> None:
        """Try what waits for this channel at once: it was mended."""
        waits = (outbox.c.channel == channel) & (outbox.c.next_attempt_at > now)
        self.connection.execute(update(outbox).where(waits).values(next_attempt_at=now))

    def forget(self, channel: str) -> None:
        """The channel is gone."""
        self.connection.execute(delete(outbox).where(outbox.c.channel == channel))

    def prune(self, before: datetime) -> None:
        """Forget what was sent or given up before this moment."""
        self.connection.execute(delete(outbox).where(outbox.c.ended_at < before))


def _is(posting: Posting) -> ColumnElement[bool]:
    return (outbox.c.id == posting.message.id) & (outbox.c.channel == posting.channel)


def _posting(row: Row[*tuple[Any, ...]]) -> Posting:
    return Posting(row.body, row.channel, row.created_at, row.attempts, row.next_attempt_at, row.told)
