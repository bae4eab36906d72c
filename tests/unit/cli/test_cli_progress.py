"""What a terminal shows of runs while they are under way, and afterwards."""

import os
import pty
import select
import time
from collections.abc import Iterator

import pytest

from certwright.cli.progress import Progress
from certwright.domain.runs import Entry, Outcome, Phase

PATIENCE = 20.0
REDRAWN = 0.5  # seconds, in which a spinner is drawn several times


class Screen:
    """A terminal, and progress on it."""

    def __init__(self) -> None:
        self._leader, follower = pty.openpty()
        self._out = os.fdopen(follower, "w")
        self.progress = Progress(self._out)

    def begin(self, run: str, step: int, parent: int = 0) -> None:
        self._hear(run, step, Phase.START, parent=parent)

    def end(self, run: str, step: int) -> None:
        self._hear(run, step, Phase.END, outcome=Outcome.DONE)

    def _hear(self, run: str, step: int, phase: Phase, **more: object) -> None:
        told = {"run_id": run, "step": step, "phase": phase, "title": f"step {step} of {run}", **more}
        self.progress.hear(Entry.model_validate(told))

    def shows(self, words: str) -> bool:
        """Whether they are drawn anew before long."""
        self._drain()
        drawn, end = "", time.monotonic() + PATIENCE
        while words not in drawn and time.monotonic() < end:
            if select.select([self._leader], [], [], 0.1)[0]:
                drawn += os.read(self._leader, 65536).decode()
        return words in drawn

    def is_still(self) -> bool:
        """Whether nothing is drawn any more."""
        self._drain()
        return not select.select([self._leader], [], [], REDRAWN)[0]

    def _drain(self) -> None:
        while select.select([self._leader], [], [], 0)[0]:
            os.read(self._leader, 65536)

    def close(self) -> None:
        self.progress.close()
        self._out.close()
        os.close(self._leader)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    yield screen
    screen.close()


def test_the_spinner_shows_what_is_under_way_and_goes_with_the_last_step(screen: Screen) -> None:
    screen.begin("mail", 1)
    screen.begin("mail", 2, parent=1)
    screen.begin("web", 1)
    assert screen.shows("step 1 of web")
    screen.end("web", 1)
    assert screen.shows("step 2 of mail")
    screen.end("mail", 2)
    assert screen.shows("step 1 of mail")
    screen.end("mail", 1)
    assert screen.is_still()
    screen.begin("web", 2)
    assert screen.shows("step 2 of web")
