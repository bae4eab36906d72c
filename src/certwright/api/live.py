"""Journals as they are written: one reader of the store for all who listen, whichever process writes."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync

from certwright.domain.errors import StoreError
from certwright.domain.runs import Entry
from certwright.store import Store

log = logging.getLogger("certwright")
_EVERY_SECONDS = 0.5
_KEPT = 1_000


class Live:
    """Looks for new entries while somebody listens; whoever is far behind reads the store itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[Entry] = deque(maxlen=_KEPT)
        self._newest = 0
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
            known = self._newest if after is None else after
            yield ()
            while True:
                is_over, newest = run_id in self._ended, self._newest
                while batch := await self._after(known, run_id):
                    known = batch[-1].sequence
                    yield batch
                known = max(known, newest)
                if is_over:
                    return
                async with self._looked:
                    await self._looked.wait()
                if self._newest <= known:
                    yield ()

    async def _after(self, known: int, run_id: str | None) -> Sequence[Entry]:
        if known >= self._newest:
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
                self._newest = 0
                self._recent.clear()
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
            async with self._looked:
                self._looked.notify_all()

    async def _look(self) -> None:
        known = self._newest
        self._ended, self._newest, found = await run_sync(self._read, sorted(+self._awaited), known)
        if self._newest > known + _KEPT:
            self._recent.clear()
        self._recent.extend(found)

    def _read(self, awaited: Sequence[str], known: int) -> tuple[frozenset[str], int, Sequence[Entry]]:
        """What has ended of what is awaited, the newest sequence number, and the entries since `known`, or the last."""
        with self._store.read() as unit:
            ended, newest = frozenset(unit.runs.ended(awaited)), unit.runs.newest_entry()
            return ended, newest, unit.runs.entries_after(max(known, newest - _KEPT))
