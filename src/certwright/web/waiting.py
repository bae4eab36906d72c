"""What somebody waits for: a job, with the page on which it was begun, and where to go on when it has ended.

The job itself is the engine's (`engine/jobs.py`). That somebody waits, and what came of it for the pages, is known
here alone, and forgotten when the service ends; other nodes know the job, and the sentence in which it ended.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from certwright.domain.deployment import ServedRow
from certwright.domain.errors import CertwrightError, LeaseHeld, NotFound
from certwright.domain.jobs import Job
from certwright.domain.managed import new_id
from certwright.domain.runs import Entry
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.unexpected import in_words
from certwright.web.received import Sent

KEPT = timedelta(hours=1)
"""How long what came of it is known."""
_MOST_LINES = 2000
_PLACES, _PLACE = 50, 20_000
"""So many of one person are known that have ended; one with which more was sent than this takes several places."""


@dataclass
class Waited:
    """Something that somebody waits for.

    Attributes:
        title: what is done, for people.
        by: who began it, and alone may see it.
        subject: the id of the certificate that it is about; empty if it is about none.
        back: the address of the page on which it was begun.
        then: gives the address at which to go on when it has ended well; None where its result is a sentence.
        begun_at: when.
        sent: what was filled in there, without secrets.
        refill: whether that page shows its form again, with what was wrong.
        lines: its journal so far.
        seen: what ports served when they were looked at last, by where they are.
        result: what came of it.
        error: why nothing came of it.
        ended: set when it has ended.
        id: the job's.
    """

    title: str
    by: str
    subject: str
    back: str
    then: Callable[["Waited"], str] | None
    begun_at: datetime
    sent: Sent = field(default_factory=Sent)
    refill: bool = False
    lines: list[Entry] = field(default_factory=list)
    seen: dict[tuple[str, str, str, int], ServedRow] = field(default_factory=dict)
    result: Any = None
    error: CertwrightError | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    id: str = ""

    @property
    def told(self) -> list[str]:
        """Why nothing came of it, for people; nothing if there is no such reason."""
        return list(self.error.explain()) if self.error else []

    @property
    def places(self) -> int:
        """How many it takes of those that one person has; not more, so the last one is known however long it is."""
        length = sum(len(name) + len(value) for name, value in self.sent.multi_items())
        return min(_PLACES, 1 + length // _PLACE)

    def do(self, engine: Engine, work: Callable[[Engine], Any]) -> str | None:
        """Have it done, and keep its journal and what comes of it; the sentence that this is, if it is one."""

        def hear(entry: Entry) -> None:
            engine.listen(entry)
            if len(self.lines) < _MOST_LINES:
                self.lines.append(entry)

        def see(row: ServedRow) -> None:
            self.seen[row.key] = row

        try:
            self.result = work(replace(engine, listen=hear, seen=see))
            return None if self.then else str(self.result)
        except CertwrightError as error:
            self.error = error.detached()
            raise
        except Exception as error:
            self.error = CertwrightError(in_words(error, self.title))
            raise self.error.detached() from error
        finally:
            self.ended.set()


class Waits:
    """What is waited for at the pages of one service.

    Args:
        jobs: where it is done.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._all: dict[str, Waited] = {}

    def begin(self, engine: Engine, waited: Waited, work: Callable[[Engine], Any]) -> Waited:
        """Have `work` done beside, with an engine whose journal is kept.

        If too much is done already, it ends with that, and what was sent is there to be filled in again.
        """
        try:
            waited.id = self._jobs.begin(engine, waited.title, waited.subject, lambda heard: waited.do(heard, work)).id
        except LeaseHeld as error:
            waited.id, waited.error = new_id(), error.detached()
            waited.ended.set()
        with self._lock:
            self._all[waited.id] = waited
            self._all = {each.id: each for each in reversed([*self._known(engine.now())])}
        return waited

    def _known(self, now: datetime) -> Iterator[Waited]:
        """What is still to be known, newest first."""
        taken: Counter[str] = Counter()
        for each in reversed(self._all.values()):
            if each.ended.is_set():
                taken[each.by] += each.places
                if taken[each.by] > _PLACES or each.begun_at <= now - KEPT:
                    continue
            yield each

    def get(self, job_id: str, by: str) -> Waited:
        """What this person waits for.

        Raises:
            NotFound: if that is nothing, or not known any more.
        """
        with self._lock:
            waited = self._all.get(job_id)
        if waited is None or waited.by != by:
            raise NotFound(
                "What you waited for is not known here: it has ended long ago, the service was started again, or "
                "another node does it.",
                hint="Begin it again; nothing is done twice. Several nodes need a browser to stay with one of them.",
            )
        return waited

    def elsewhere(self, engine: Engine, job_id: str) -> tuple[Job, str | None]:
        """What whoever asks began on another node, or before the service was started again, and how it ended.

        Raises:
            NotFound: if that is nothing.
        """
        job, told = self._jobs.get(engine, job_id)
        if job.by != str(engine.caller.actor):
            raise NotFound(f"There is no job {job_id!r}.")
        return job, told
