"""`certwright serve`: the worker and the duties beside it until a signal comes.

Duties that look at others, which may be slow to answer, keep none of the rest waiting. It is alone on its data folder,
or beside those of other nodes on a shared store.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

from certwright.domain.errors import ConfigurationError, LeaseHeld
from certwright.engine.backup import back_up_daily
from certwright.engine.channels import advice
from certwright.engine.check import require_whole
from certwright.engine.context import Engine
from certwright.engine.housekeeping import keep_house
from certwright.engine.looks import look_at_due
from certwright.engine.notify import deliver
from certwright.engine.status import judge_stale
from certwright.engine.watch import look_at_all
from certwright.engine.worker import Worker
from certwright.probe import Endpoint
from certwright.server import systemd
from certwright.server.duties import Duties, Duty
from certwright.server.readiness import Readiness

log = logging.getLogger("certwright")
_SIGNALS = (
    (signal.SIGINT, signal.SIGTERM) if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
)


def serve(engine: Engine, threads: int, backups: Path, listen: Endpoint | None, welcome: Callable[[str], None]) -> None:
    """Do what is due until SIGTERM, SIGINT or SIGHUP.

    What is under way then is finished, or gone on with by the next start.

    Args:
        engine: what to work with.
        threads: how many certificates are worked on at the same time.
        backups: the folder for the daily backup.
        listen: where the pages, the API, health and metrics are, on loopback; None for nowhere.
        welcome: is told the address, a secret in it, at which the first administrator is made; if there is none yet.

    Raises:
        ConfigurationError: if another service works on this store, and it is not one for several; or if
            nothing can listen there.
        StoreError: if the store is damaged.
    """
    stop, worker = threading.Event(), Worker(engine, threads, lambda: systemd.tell(systemd.State.WATCHDOG))
    duties = Duties(
        engine,
        (
            Duty("health", "The judgement of health", timedelta(minutes=1), judge_stale),
            Duty("notifications", "The sending of notifications", timedelta(minutes=1), deliver),
            Duty("backup", "The daily backup", timedelta(hours=6), lambda one: back_up_daily(one, backups)),
            Duty("housekeeping", "Housekeeping", timedelta(days=1), keep_house),
        ),
    )
    looking = Duties(
        engine,
        (
            Duty("watch", "The look at what is watched", timedelta(minutes=1), look_at_all),
            Duty("looks", "The daily look at what is served", timedelta(seconds=10), look_at_due),
        ),
    )
    answering = _answering(engine, worker, (duties, looking), stop, listen, welcome) if listen else nullcontext()
    with _alone(engine), _until_signal(stop, worker), answering:
        require_whole(engine)
        with _beside(duties.run, stop), _beside(looking.run, stop):
            log.info("The service has begun, with %s threads.", threads)
            systemd.tell(systemd.State.READY)
            _warn_of_silence(engine)
            worker.run(stop)
    log.info("The service has ended.")


def _warn_of_silence(engine: Engine) -> None:
    """Say whether problems would be told to anybody."""
    with engine.store.read() as unit:
        missing = advice(unit)
    for line in missing:
        log.warning("%s", line)


@contextmanager
def _answering(
    engine: Engine,
    worker: Worker,
    duties: Sequence[Duties],
    stop: threading.Event,
    listen: Endpoint,
    welcome: Callable[[str], None],
) -> Iterator[None]:
    """Answer whoever asks there."""
    from certwright import api, web  # noqa: PLC0415 - only who is asked pays for a web server
    from certwright.server import endpoints, http, metrics  # noqa: PLC0415 - as above

    readiness = Readiness(engine.store, worker.tally)
    exposition = metrics.Exposition(engine, worker.tally, duties, readiness)
    setup = web.SetupToken()
    pages = web.application(engine, setup, worker.wake)
    pages.router.routes.extend(endpoints.routes(readiness, exposition))
    with (
        http.listening(listen, http.joined(api.PREFIX, api.application(engine, worker.wake), pages)),
        _beside(readiness.run, stop),
    ):
        log.info("The pages, the API, health and metrics are at http://%s/", listen)
        if not web.is_begun(engine):
            welcome(f"http://{listen}/first-start?token={setup.secret}")
        yield


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
        with engine.store.lease("service"):
            yield
    except LeaseHeld as error:
        raise ConfigurationError(
            "Another certwright serve works on this data folder.",
            causes=[error.message],
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
