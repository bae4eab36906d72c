"""`certwright serve`: the worker and the duties beside it until a signal comes.

Duties that look at others, which may be slow to answer, keep none of the rest waiting. It is alone on its data folder,
or beside those of other nodes on a shared store.
"""

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from certwright.domain.access import SERVICE
from certwright.domain.errors import ConfigurationError, LeaseHeld, StoreError
from certwright.domain.identifiers import covered
from certwright.engine.audit import note_settings, sign_head
from certwright.engine.backup import back_up_daily
from certwright.engine.check import require_whole
from certwright.engine.clock import ClockWatch
from certwright.engine.context import Engine
from certwright.engine.dead_runs import close_dead_runs
from certwright.engine.gaps import advice
from certwright.engine.housekeeping import keep_house
from certwright.engine.jobs import Jobs
from certwright.engine.looks import look_at_due
from certwright.engine.notify import deliver
from certwright.engine.service import Service
from certwright.engine.status import judge_stale
from certwright.engine.watch import look_at_all
from certwright.engine.worker import Worker
from certwright.probe import Endpoint
from certwright.sdk.reach import guard
from certwright.server import systemd
from certwright.server.address import address, listens_at, own_names, speaks_tls
from certwright.server.duties import Duties, Duty
from certwright.server.readiness import Readiness
from certwright.settings import Settings
from certwright.store import leases

log = logging.getLogger("certwright")
_SIGNALS = (
    (signal.SIGINT, signal.SIGTERM) if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
)

_AGAIN_SECONDS = 5
T = TypeVar("T")


def serve(engine: Engine, settings: Settings, threads: int, welcome: Callable[[str], None]) -> None:
    """Do what is due until SIGTERM, SIGINT or SIGHUP.

    What is under way then is finished, or gone on with by the next start.

    Args:
        engine: what to work with.
        settings: where the data folder is, and where the pages, the API, health and metrics are.
        threads: how many certificates are worked on at the same time.
        welcome: is told the address, a secret in it, at which the first administrator is made; if there is none yet.

    Raises:
        ConfigurationError: if another service works on this store, and it is not one for several; or if
            nothing can listen there.
        StoreError: if the store is damaged.
    """
    engine, listen = engine.acting(SERVICE), listens_at(settings)
    guard()
    stop, worker = threading.Event(), Worker(engine, threads, lambda: systemd.tell(systemd.State.WATCHDOG))
    duties = Duties(
        engine,
        (
            Duty("runs", "The look for work whose process is gone", timedelta(seconds=10), close_dead_runs),
            Duty("clock", "The look at the clock", timedelta(minutes=1), ClockWatch().look),
            Duty("health", "The judgement of health", timedelta(minutes=1), judge_stale),
            Duty("notifications", "The sending of notifications", timedelta(minutes=1), deliver),
            Duty("backup", "The daily backup", timedelta(hours=6), lambda one: back_up_daily(one, settings.backups)),
            Duty("housekeeping", "Housekeeping", timedelta(days=1), keep_house),
            Duty("audit", "The signature of the audit trail", timedelta(hours=1), sign_head),
        ),
    )
    looking = Duties(
        engine,
        (
            Duty("watch", "The look at what is watched", timedelta(minutes=1), look_at_all),
            Duty("looks", "The daily look at what is served", timedelta(seconds=10), look_at_due),
        ),
    )
    own = _Own(engine, settings, worker, (duties, looking), stop)
    answering = _answering(own, listen, welcome) if listen else nullcontext()
    with _alone(engine), _until_signal(stop, worker), answering:
        _patiently(stop, lambda: require_whole(engine))
        _patiently(stop, lambda: note_settings(engine, socket.gethostname(), settings))
        with _beside(duties.run, stop), _beside(looking.run, stop):
            log.info("The service has begun, with %s threads.", threads)
            systemd.tell(systemd.State.READY)
            _warn_of_silence(engine)
            worker.run(stop)
    log.info("The service has ended.")


def _patiently(stop: threading.Event, work: Callable[[], T]) -> T | None:
    """Do it; if the store goes away meanwhile, once more, until `stop` is set: None then."""
    while not stop.is_set():
        try:
            return work()
        except StoreError as error:
            if not error.retryable:
                raise
            log.warning("%s", " ".join(map(str.strip, error.explain())))
            stop.wait(_AGAIN_SECONDS)
    return None


def _warn_of_silence(engine: Engine) -> None:
    """Say whether problems would be told to anybody; a store that is away at this moment is waited for by the work."""
    missing: list[str] = []
    with suppress(StoreError), engine.store.read() as unit:
        missing = advice(unit)
    for line in missing:
        log.warning("%s", line)


@dataclass(frozen=True, slots=True)
class _Own:
    """What this process has."""

    engine: Engine
    settings: Settings
    worker: Worker
    duties: Sequence[Duties]
    stop: threading.Event


@contextmanager
def _answering(own: _Own, listen: Endpoint, welcome: Callable[[str], None]) -> Iterator[None]:
    """Answer whoever asks there."""
    from certwright import api, web  # noqa: PLC0415 - only who is asked pays for a web server
    from certwright.engine.live import Live  # noqa: PLC0415 - as above
    from certwright.engine.sign_in import is_begun  # noqa: PLC0415 - as above
    from certwright.server import endpoints, http, metrics  # noqa: PLC0415 - as above
    from certwright.server.tls import OwnTls  # noqa: PLC0415 - as above

    engine, settings, worker = own.engine, own.settings, own.worker
    names = own_names(settings, listen)
    tls = OwnTls(engine, settings, names) if speaks_tls(settings, listen) else None

    def knows(host: str) -> bool:
        return bool(covered(names, (host,))) or (tls is not None and tls.covers(host))

    readiness = Readiness(engine.store, worker.tally)
    service = Service(
        settings,
        address(settings, listen),
        readiness.reasons,
        lambda: [state for each in own.duties for state in each.states()],
        lambda: tls.presented if tls else None,
    )
    setup = web.SetupToken()
    live, jobs = Live(engine.store), Jobs(engine)
    pages = web.application(engine, setup, worker.wake, live, jobs)
    pages.state.service = service
    exposition = metrics.Exposition(engine, worker.tally, own.duties, readiness)
    pages.router.routes.extend(endpoints.routes(engine, readiness, exposition))
    app = http.joined(api.PREFIX, api.application(engine, worker.wake, live, jobs, settings), pages)
    with (
        http.listening(listen, app, tls, knows),
        _beside(readiness.run, own.stop),
        _beside(tls.run, own.stop) if tls else nullcontext(),
    ):
        log.info("The pages, the API, health and metrics are at %s", service.address)
        if _patiently(own.stop, lambda: is_begun(engine)) is False:
            welcome(f"{service.address}first-start?token={setup.secret}")
        yield
    jobs.close()


@contextmanager
def _beside(work: Callable[[threading.Event], None], stop: threading.Event) -> Iterator[None]:
    """Have a thread do it until the block ends, or before that `stop` is set."""
    thread = threading.Thread(target=work, args=(stop,), name=work.__qualname__)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    if engine.store.is_shared:
        yield
        return
    try:
        with engine.store.lease(leases.SERVICE):
            yield
    except LeaseHeld as error:
        raise ConfigurationError(
            "Another certwright serve works on this data folder.",
            causes=[f"It is {error.holder}. {error.message}"],
            hint="One is enough: commands work beside it. If it hangs, end it; the next goes on with what it began.",
        ) from error


@contextmanager
def _until_signal(stop: threading.Event, worker: Worker) -> Iterator[None]:
    def end(number: int, _frame: object) -> None:
        log.info("Ending, because of signal %s.", signal.Signals(number).name)
        systemd.tell(systemd.State.STOPPING)
        stop.set()
        worker.wake()

    before = {
        number: signal.signal(number, end)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup sets it
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
