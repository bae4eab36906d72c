"""Answers that are given again to whoever repeats a request with the same key (Idempotency-Key).

They may hold what is shown once, so each is sealed as every secret is.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from certwright.store.schema import repeats
from certwright.store.secrets import Secrets

KEPT = 1000
"""How many of one caller are kept, the newest."""
LIFE = timedelta(hours=24)
"""For how long an answer is given again."""


@dataclass(frozen=True, slots=True)
class Repeatable:
    """What was answered to a request of this `digest`: status, headers and body; None is a file, which is not kept."""

    digest: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Repeats:
    """The answers that are kept, by caller and key."""

    connection: Connection
    secrets: Secrets

    def find(self, caller: str, key: str, now: datetime) -> Repeatable | None:
        """What was answered, unless that is too old."""
        name = name_of(caller, key)
        found = select(repeats.c.at).where((repeats.c.id == name) & (repeats.c.at >= now - LIFE))
        sealed = self.secrets.find(_secret(name)) if self.connection.scalar(found) else None
        if sealed is None:
            return None
        value = json.loads(sealed)
        body = None if value["body"] is None else base64.b64decode(value["body"])
        return Repeatable(**{**value, "body": body})

    def put(self, caller: str, key: str, answer: Repeatable, at: datetime) -> None:
        """Keep an answer, and forget the oldest of this caller if there are too many."""
        name = name_of(caller, key)
        value = {
            "digest": answer.digest,
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": None if answer.body is None else base64.b64encode(answer.body).decode(),
        }
        self._forget(repeats.c.id == name)
        self.connection.execute(insert(repeats).values(id=name, caller=caller, at=at))
        self.secrets.put(_secret(name), json.dumps(value).encode())
        mine = repeats.c.caller == caller
        kept = select(repeats.c.sequence).where(mine).order_by(repeats.c.sequence.desc()).limit(KEPT)
        self._forget(mine & repeats.c.sequence.not_in(kept))

    def expire(self, now: datetime) -> None:
        """Forget what is too old to be found."""
        self._forget(repeats.c.at < now - LIFE)

    def _forget(self, which: ColumnElement[bool]) -> None:
        gone = self.connection.scalars(select(repeats.c.id).where(which)).all()
        if gone:
            self.secrets.remove(*map(_secret, gone))
            self.connection.execute(delete(repeats).where(repeats.c.id.in_(gone)))


def name_of(caller: str, key: str) -> str:
    """Names a request of a caller, whatever is in the key."""
    return hashlib.sha256(f"{caller}\0{key}".encode()).hexdigest()


def _secret(name: str) -> str:
    return f"repeat:{name}"
