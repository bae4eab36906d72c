"""Journals and acts as they are written: one reader of the store for all who listen, whichever process writes."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from anyio.to_thread import run_sync

from certwright.domain.audit import Entry as Act
from certwright.domain.audit import SubjectKind
from certwright.domain.changes import Change, change
from certwright.domain.errors import StoreError
from certwright.domain.runs import Entry
from certwright.engine.context import Engine
from certwright.store import Store

log = logging.getLogger("certwright")
_EVERY_SECONDS = 0.5
_KEPT = 1_000
_SILENCE_SECONDS = 15
ADMITTED_SECONDS = 15
"""So long after it was taken from somebody a right to listen may still be used."""

EVENT_STREAM = "text/event-stream"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Of an answer that must reach who listens as it is written, through proxies too."""


@dataclass(slots=True)
class Place:
    """How far a listener was told: the sequence number of the last entry, and the number of the last act."""

    sequence: int
    number: int

    def __str__(self) -> str:
        """As the id of an event, with which a listener that lost the stream goes on."""
        return f"{self.sequence}-{self.number}"


@dataclass(frozen=True, slots=True)
class _Now:
    """What there is: which runs have ended, the newest numbers, and what came since the last look."""

    ended: frozenset[str]
    newest: int
    acts: int
    entries: Sequence[Entry]
    done: Sequence[Act]


class Live:
    """Looks for new entries while somebody listens; whoever is far behind reads the store itself.

    `newest` is the sequence number of the newest journal entry. `acts` is the number of the newest entry of the audit
    trail: of what people and programs did.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[Entry] = deque(maxlen=_KEPT)
        self.newest = 0
        self.acts = 0
        self._recent_acts: deque[Act] = deque(maxlen=_KEPT)
        self._ended: frozenset[str] = frozenset()
        self._awaited: Counter[str] = Counter()
        self._listeners = 0
        self._beginning = asyncio.Lock()
        self._looked = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None

    async def entries(self, after: int | None, run_id: str | None) -> AsyncGenerator[Sequence[Entry]]:
        """The entries after this sequence number, as they come; an empty batch shows that nothing did.

        The first batch is empty, and there as soon as nothing can be missed any more.

        Args:
            after: the last one that the listener knows; None for whatever comes from now on.
            run_id: the run whose entries are wanted, until it ends; None for all, without an end.
        """
        async with self._listening(run_id):
            known = goes_on_after(after, self.newest)
            yield ()
            while True:
                is_over, newest = run_id in self._ended, self.newest
                while batch := await self._after(known, run_id):
                    known = batch[-1].sequence
                    yield batch
                known = max(known, newest)
                if is_over:
                    return
                async with self._looked:
                    await self._looked.wait()
                if self.newest <= known:
                    yield ()

    async def acts_after(self, known: int) -> Sequence[Act]:
        """What was done after the act of this number, oldest first; some of it, if that is much."""
        if known >= self.acts:
            return ()
        recent = list(self._recent_acts)
        if recent and recent[0].number <= known + 1:
            return [each for each in recent if each.number > known]

        def read() -> Sequence[Act]:
            with self._store.read() as unit:
                return unit.trail.after(known)

        return await run_sync(read)

    async def _after(self, known: int, run_id: str | None) -> Sequence[Entry]:
        if known >= self.newest:
            return ()
        recent = list(self._recent)
        if recent and recent[0].sequence <= known + 1:
            return [one for one in recent if one.sequence > known and run_id in (None, one.run_id)]

        def read() -> Sequence[Entry]:
            with self._store.read() as unit:
                return unit.runs.entries_after(known, run_id)

        return await run_sync(read)

    @asynccontextmanager
    async def _listening(self, run_id: str | None) -> AsyncIterator[None]:
        async with self._beginning:
            if self._looking is None:
                self.newest = self.acts = 0
                self._recent.clear()
                self._recent_acts.clear()
                await self._look()
                self._looking = asyncio.create_task(self._keep_looking())
            self._listeners += 1
        self._awaited.update(filter(None, [run_id]))
        try:
            yield
        finally:
            self._awaited.subtract(filter(None, [run_id]))
            self._listeners -= 1
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self._look()
            except StoreError as error:
                log.debug("Listeners wait for the store.", exc_info=error)
            except Exception:
                log.exception("unexpected, while listeners wait")  # all of them need this task
            async with self._looked:
                self._looked.notify_all()

    async def _look(self) -> None:
        known, done = self.newest, self.acts
        now = await run_sync(self._read, sorted(+self._awaited), known, done)
        self._ended, self.newest, self.acts = now.ended, now.newest, now.acts
        if now.newest > known + _KEPT:
            self._recent.clear()
        if now.acts > done + _KEPT:
            self._recent_acts.clear()
        self._recent.extend(now.entries)
        self._recent_acts.extend(now.done)

    def _read(self, awaited: Sequence[str], known: int, done: int) -> _Now:
        with self._store.read() as unit:
            ended, newest = frozenset(unit.runs.ended(awaited)), unit.runs.newest_entry()
            acts, _ = unit.trail.end() or (0, "")
            entries = unit.runs.entries_after(max(known, newest - _KEPT))
            return _Now(ended, newest, acts, entries, unit.trail.after(max(done, acts - _KEPT)) if acts > done else ())


def goes_on_after(known: int | None, newest: int) -> int:
    """The number after which a listener is told, who knows that one, or none.

    A store that a backup brought back may not have come as far again.
    """
    return newest if known is None else min(known, newest)


def changes(engine: Engine, acts: Sequence[Act]) -> Sequence[Change]:
    """What the caller is told of these acts: who is limited by tags, of certificates that have or had one of them."""
    caller = engine.caller
    told = {each.number: said for each in acts if (said := change(each, caller.permissions))}
    if not caller.tags:
        return list(told.values())
    own = [each for each in acts if each.number in told and each.subject.kind is SubjectKind.CERTIFICATE]
    with engine.store.read() as unit:
        there = set(unit.managed.there({each.subject.id for each in own}))
    return [told[each.number] for each in own if each.subject.id in there or caller.sees(_tags(each))]


def _tags(act: Act) -> Iterator[str]:
    """Those of a certificate that the act tells of, before and after it."""
    for state in (act.before or {}, act.after or {}):
        yield from state.get("tags", ())


async def events(
    batches: AsyncGenerator[Sequence[Entry]],
    acting: Engine,
    admit: Callable[[], Engine],
    write: Callable[[Engine, Sequence[Entry]], Awaitable[str]],
) -> AsyncGenerator[str]:
    """Batches as server-sent events (HTML, 9.2), until they end; a comment when nothing has come for a while.

    Args:
        batches: as `Live.entries` gives them.
        acting: with which the listener hears at first.
        admit: gives the same anew, by what the listener may now; it is asked every quarter of a minute.
        write: the events of a batch, or what else there is to tell; empty if there is nothing.

    Raises:
        NotSignedIn, Forbidden: what `admit` refuses with.
    """
    told = admitted = time.monotonic()
    async with aclosing(batches):
        async for batch in batches:
            if time.monotonic() - admitted > ADMITTED_SECONDS:
                acting, admitted = await run_sync(admit), time.monotonic()
            text = await write(acting, batch)
            if text or time.monotonic() - told > _SILENCE_SECONDS:
                told = time.monotonic()
                yield text or ": nothing new\n\n"
