"""Work that goes on beside whoever began it, who comes back for its result.

A job is in the store with a lease of its own, which it holds until it is stored how it ended. So one that has not ended
and whose lease is free was interrupted.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from certwright.domain.errors import CertwrightError, LeaseHeld, NeedsPerson, NotFound
from certwright.domain.jobs import Fault, Job
from certwright.domain.runs import Entry, Outcome, Phase
from certwright.engine.context import Engine
from certwright.engine.refusals import refuse_work
from certwright.store.leases import JOB

log = logging.getLogger("certwright")
Work = Callable[[Engine], Any]
"""What is done with the engine that it is given; its result is a JSON value."""
_DIED = Fault(message="Its process ended before the job did.", hint="Begin it again.")
_DIED_ABOUT = _DIED.model_copy(
    update={"hint": "Look first at what it was about: what had begun there goes on by itself. Else begin it again."}
)


class Jobs:
    """The jobs of this process, a few at the same time.

    Args:
        engine: what to work with.
        most: how many at the same time.
    """

    def __init__(self, engine: Engine, most: int = 8) -> None:
        self._engine = engine
        self._most = most
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="job")
        self._lock = threading.Lock()
        self._going: dict[str, Job] = {}

    def begin(self, engine: Engine, what: str, subject: str, work: Work) -> Job:
        """Begin a job.

        Args:
            engine: with which whoever begins it acts.
            what: is done, in the words of the command line.
            subject: what it is about, such as the id of a managed certificate.
            work: does it.

        Raises:
            LeaseHeld: if too many are under way.
        """
        by, tags = str(engine.caller.actor), tuple(engine.caller.tags)
        job = Job(what=what, subject=subject, by=by, tags=tags, takes=engine.takes, begun_at=engine.now())
        with self._lock:
            if len(self._going) >= self._most:
                told = ", ".join(each.what for each in self._going.values())
                raise LeaseHeld(f"{len(self._going)} jobs are under way: {told}.", hint="Wait until one has ended.")
            self._going[job.id] = job
        held = ExitStack()
        try:
            held.enter_context(self._engine.store.lease(_lease(job), first=lambda unit: unit.jobs.add(job)))
            self._pool.submit(self._do, held, engine, job, work)
        except BaseException:
            held.close()
            with self._lock:
                del self._going[job.id]
            raise
        return job

    def get(self, engine: Engine, job_id: str) -> tuple[Job, Any]:
        """The job as it is now, and its result; None as long as it has none.

        Who is limited to tags sees their own; what came of it is told to who has the permission that it took.

        Raises:
            NotFound: if there is none.
        """
        with engine.store.read() as unit:
            job, result = unit.jobs.get(job_id)
        if not _is_seen(engine, job):
            raise NotFound(f"There is no job {job_id!r}.")
        with self._lock:
            going = self._going.get(job_id)
        return (going, None) if going else _told(engine, *self._settled(job, result))

    def list(self, engine: Engine, limit: int, before: str | None = None) -> list[Job]:
        """The jobs that `engine.caller` sees, newest first; those before the one of this id if it is given.

        Raises:
            NotFound: if there is no such job.
        """
        with engine.store.read() as unit:
            if engine.caller.tags:
                own = unit.jobs.list(before, by=str(engine.caller.actor))
                found = [job for job in own if _is_seen(engine, job)][:limit]
            else:
                found = unit.jobs.list(before, limit=limit)
        with self._lock:
            going = dict(self._going)
        return [going.get(job.id) or _told(engine, *self._settled(job))[0] for job in found]

    def close(self) -> None:
        """Wait until all have ended."""
        self._pool.shutdown()

    def _do(self, held: ExitStack, engine: Engine, job: Job, work: Work) -> None:
        try:
            with held:
                ended, result = self._come_of(engine, job, work)
                with self._lock:
                    job = self._going[job.id].model_copy(update={**ended, "ended_at": self._engine.now()})
                with self._engine.store.write() as unit:
                    unit.jobs.end(job, result)
        except CertwrightError as error:
            log.warning("What became of the job %s could not be kept: %s", job.what, error.message)
        except Exception:
            log.exception("unexpected, at the end of the job %s", job.what)
        finally:
            with self._lock:
                del self._going[job.id]

    def _come_of(self, engine: Engine, job: Job, work: Work) -> tuple[dict[str, Any], Any]:
        """How it ended, and its result."""
        try:
            result = work(replace(engine, listen=lambda entry: self._hear(job.id, entry)))
        except CertwrightError as error:
            refuse_work(engine, error)
            outcome = Outcome.WAITING if isinstance(error, NeedsPerson) else Outcome.FAILED
            return {"outcome": outcome, "fault": Fault.of(error)}, None
        except Exception as error:
            log.exception("unexpected, at the job %s", job.what)
            told = f"An unexpected {type(error).__name__} stopped it: this is a fault in Certwright; its log says more."
            return {"outcome": Outcome.FAILED, "fault": Fault(message=told)}, None
        return {"outcome": Outcome.DONE}, result

    def _hear(self, job_id: str, entry: Entry) -> None:
        self._engine.listen(entry)
        with self._lock:
            job = self._going[job_id]
            step = entry.title if entry.phase is Phase.START else job.step
            runs = tuple(dict.fromkeys((*job.runs, *filter(None, (entry.run_id,)))))
            self._going[job_id] = job.model_copy(update={"step": step, "runs": runs})

    def _settled(self, job: Job, result: Any = None) -> tuple[Job, Any]:
        """As it is stored, and if it had not ended, whether somebody else is still at it, or has ended it since."""
        if job.ended_at:
            return job, result
        try:
            with self._engine.store.lease(_lease(job)), self._engine.store.write() as unit:
                found, result = unit.jobs.get(job.id)
                if found.ended_at is None:
                    fault = _DIED_ABOUT if job.subject else _DIED
                    ended = {"outcome": Outcome.INTERRUPTED, "fault": fault, "ended_at": self._engine.now()}
                    found = found.model_copy(update=ended)
                    unit.jobs.end(found)
        except LeaseHeld:
            return job, None
        return found, result


def _is_seen(engine: Engine, job: Job) -> bool:
    """A result may tell of certificates that are out of sight, but for that of one's own job.

    It is one's own if it was begun under the same name, which a token made anew may have too, and with no wider sight.
    """
    sight = engine.caller.tags
    return not sight or (job.by == str(engine.caller.actor) and bool(job.tags) and sight.issuperset(job.tags))


def _told(engine: Engine, job: Job, result: Any) -> tuple[Job, Any]:
    """What whoever asks is told of a job and its result: what came of it may tell what another permission shows."""
    if job.takes in engine.caller.permissions:
        return job, result
    fault = Fault(message=f"Why it failed is shown to whoever has the permission {job.takes.value!r}.")
    return job.model_copy(update={"fault": job.fault and fault}), None


def _lease(job: Job) -> str:
    return f"{JOB}{job.id}"
