"""Whether the service says that it can work."""

import logging
import threading
import time
from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy import text

from certwright.domain.errors import StoreError
from certwright.engine.context import Engine
from certwright.engine.tally import Tally
from certwright.server import readiness
from certwright.server.readiness import Readiness


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def test_it_is_ready_when_the_store_has_been_written(engine: Engine) -> None:
    made = Readiness(engine.store, Tally())
    assert list(made.reasons()) == ["The store cannot be used: it has not been tried yet."]
    made.look()
    assert list(made.reasons()) == []


def test_it_is_not_ready_while_the_store_cannot_be_written(engine: Engine) -> None:
    def rename(before: str, after: str) -> None:
        with engine.store.write() as unit:
            unit.managed.connection.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))

    made = Readiness(engine.store, Tally())
    rename("memory", "elsewhere")
    made.look()
    (reason,) = made.reasons()
    assert reason.startswith("The store cannot be used: ")
    assert ".." not in reason
    rename("elsewhere", "memory")
    made.look()
    assert list(made.reasons()) == []


def test_the_log_says_once_that_it_is_not_ready_and_that_it_is_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "certwright")
    monkeypatch.setattr(readiness, "EVERY_SECONDS", 0.01)
    made, stop, looks = Readiness(engine.store, Tally()), threading.Event(), count()
    touch = engine.store.touch

    def failing() -> None:
        if next(looks) < 3:
            raise StoreError("The disk is full.")
        touch()

    monkeypatch.setattr(engine.store, "touch", failing)
    running = threading.Thread(target=made.run, args=(stop,))
    running.start()
    until(lambda: not any(made.reasons()))
    until(lambda: len(caplog.messages) > 1)
    stop.set()
    running.join()
    assert caplog.messages == ["Not ready: The disk is full.", "Ready: the store takes what is written."]


def test_it_is_not_ready_while_the_store_keeps_it_waiting(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Readiness(engine.store, Tally())
    made.look()
    monkeypatch.setattr(readiness, "LATE_SECONDS", 0.0)
    with engine.store.write():
        looking = threading.Thread(target=made.look)
        looking.start()
        until(lambda: any("has not taken what is written" in reason for reason in made.reasons()))
    looking.join()
    assert list(made.reasons()) == []


def test_it_is_not_ready_while_the_worker_stands_still(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    made = Readiness(engine.store, tally)
    made.look()
    monkeypatch.setattr(readiness, "STALLED_SECONDS", -1.0)
    assert list(made.reasons()) == ["The worker has not looked at the schedule for 0 seconds."]
    monkeypatch.undo()
    tally.ticked()
    assert list(made.reasons()) == []


def test_it_looks_again_until_it_is_stopped(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    made, stop = Readiness(engine.store, Tally()), threading.Event()
    looking = threading.Thread(target=made.run, args=(stop,))
    looking.start()
    until(lambda: not list(made.reasons()))
    stop.set()
    looking.join()
