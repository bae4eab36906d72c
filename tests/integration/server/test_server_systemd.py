"""systemd is told over real datagram sockets; a scheduler that hangs tells nothing."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from certwright.engine.context import Engine
from certwright.engine.worker import Worker
from certwright.server.systemd import State, tell

_SECONDS = 60


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(address)
        made.settimeout(_SECONDS)
        yield made


@pytest.mark.parametrize("abstract", [False, True])
def test_each_state_is_one_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"certwright-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with listening(f"\0{name}" if abstract else name) as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
        for state in State:
            tell(state)
        assert [systemd.recv(100) for _ in State] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with caplog.at_level(logging.WARNING):
        tell(State.READY)
    assert not caplog.messages


def test_a_socket_that_is_gone_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with caplog.at_level(logging.WARNING, "certwright"):
        tell(State.WATCHDOG)
    (told,) = caplog.messages
    assert told.startswith("systemd was not told WATCHDOG=1: ")


def test_the_watchdog_is_fed_by_each_tick_and_not_while_the_scheduler_hangs(engine: Engine) -> None:
    going, hangs, hung, fed = threading.Event(), threading.Event(), threading.Event(), threading.Semaphore(0)
    stop = threading.Event()
    going.set()

    def now() -> datetime:
        if hangs.is_set():
            hung.set()
            assert going.wait(_SECONDS)
        return engine.now()

    worker = Worker(replace(engine, now=now), ticked=fed.release)
    running = threading.Thread(target=worker.run, args=(stop,))
    running.start()
    try:
        for _ in range(3):
            assert fed.acquire(timeout=_SECONDS)
            worker.wake()
        going.clear()
        hangs.set()
        worker.wake()
        assert hung.wait(_SECONDS)
        while fed.acquire(blocking=False):
            pass
        worker.wake()
        assert not fed.acquire(timeout=0.5)
        going.set()
        assert fed.acquire(timeout=_SECONDS)
    finally:
        stop.set()
        going.set()
        worker.wake()
        running.join(_SECONDS)
    assert not running.is_alive()
