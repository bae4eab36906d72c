"""The journal: steps nest, also over threads; each ends as its block did; what a stranger's error says is not told."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest

from certwright.domain.errors import DeploymentError, LeaseLost
from certwright.domain.runs import Entry, Outcome, Phase
from certwright.engine.journal import RunJournal


class Kept:
    """Entries as a store would keep them, and as a listener hears them."""

    def __init__(self) -> None:
        self.heard: list[Entry] = []
        self._sequence = count(1)
        self.journal = RunJournal(self._append, self.heard.append)

    def _append(self, entry: Entry) -> Entry:
        return entry.model_copy(update={"sequence": next(self._sequence), "run_id": "run"})

    @property
    def lines(self) -> list[tuple[int, int, str, str]]:
        return [(e.step, e.parent, e.phase.value, e.title) for e in self.heard]

    def end_of(self, title: str) -> Entry:
        return next(e for e in self.heard if e.title == title and e.phase is Phase.END)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_steps_nest_and_notes_belong_to_the_innermost(kept: Kept) -> None:
    journal = kept.journal
    journal.note("before")
    with journal.step("outer") as outer:
        with journal.step("inner"):
            journal.note("in the inner")
        outer.note("in the outer")
    with journal.step("next"):
        pass
    assert kept.lines == [
        (0, 0, "note", "before"),
        (1, 0, "start", "outer"),
        (2, 1, "start", "inner"),
        (2, 0, "note", "in the inner"),
        (2, 0, "end", "inner"),
        (1, 0, "note", "in the outer"),
        (1, 0, "end", "outer"),
        (3, 0, "start", "next"),
        (3, 0, "end", "next"),
    ]
    assert [e.sequence for e in kept.heard] == list(range(1, 10))
    assert all(e.run_id == "run" for e in kept.heard)


def test_a_step_ends_as_its_block_does(kept: Kept) -> None:
    with kept.journal.step("done"):
        pass
    with kept.journal.step("skipped") as step:
        step.skip("nothing to do")
    with pytest.raises(DeploymentError), kept.journal.step("around"), kept.journal.step("failed"):
        raise DeploymentError("The disk is full.")
    ends = {title: kept.end_of(title) for title in ("done", "skipped", "failed", "around")}
    assert {title: end.outcome for title, end in ends.items()} == {
        "done": Outcome.DONE,
        "skipped": Outcome.SKIPPED,
        "failed": Outcome.FAILED,
        "around": Outcome.FAILED,
    }
    assert ends["skipped"].detail == "nothing to do"
    assert ends["failed"].detail == "The disk is full."


def test_a_step_around_tells_only_what_is_new(kept: Kept) -> None:
    inner = DeploymentError("The disk is full.", causes=["0 bytes are left"], hint="Make room.")
    around = DeploymentError(inner.message, causes=[*inner.causes, "of 9"], hint="Make room.")
    around.__cause__ = inner
    with suppress(DeploymentError), kept.journal.step("inner"):
        raise inner
    with suppress(DeploymentError), kept.journal.step("outer"), kept.journal.step("around"):
        raise around
    assert kept.end_of("inner").detail.splitlines() == list(inner.explain())
    assert kept.end_of("around").detail.splitlines() == ["The disk is full.", "  of 9"]
    assert kept.end_of("outer").detail == "The disk is full."


def test_another_error_is_told_in_full(kept: Kept) -> None:
    for title in ("first", "second"):
        with suppress(DeploymentError), kept.journal.step(title):
            raise DeploymentError("The disk is full.", hint="Make room.")
    assert kept.end_of("second").detail == "The disk is full.\nMake room."


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_a_strangers_error_says_is_not_told(error: type[BaseException], kept: Kept) -> None:
    with pytest.raises(error), kept.journal.step("failed"):
        raise error("c4nary")
    assert kept.end_of("failed").detail.endswith(f" {error.__name__}")
    assert "c4nary" not in str(kept.heard)


@pytest.mark.parametrize(("error", "told"), [(ZeroDivisionError, 1), (BrokenPipeError, 0)])
def test_a_listener_that_fails_stops_nothing_and_is_in_the_log_once(
    error: type[Exception], told: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "certwright")

    def fail(_: Entry) -> None:
        raise error

    journal = RunJournal(lambda entry: entry, fail)
    journal.note("first")
    journal.note("second")
    assert sum(record.exc_info is not None for record in caplog.records) == told


def test_a_run_that_was_overtaken_writes_nothing_more_and_its_steps_are_closed(kept: Kept) -> None:
    with suppress(LeaseLost), kept.journal.step("outer"), kept.journal.step("inner"):
        raise LeaseLost("It was taken over.")
    assert [e.phase for e in kept.heard] == [Phase.START, Phase.START]
    kept.journal.note("after")
    assert kept.heard[-1].step == 0


def test_threads_have_steps_of_their_own_and_numbers_are_never_given_twice(kept: Kept) -> None:
    together = threading.Barrier(8, timeout=20)

    def work(number: int) -> None:
        together.wait()
        for _ in range(20):
            with kept.journal.step(f"outer {number}"), kept.journal.step(f"inner {number}"):
                kept.journal.note(f"note {number}")

    with kept.journal.step("all"), _threads(work, 8):
        pass
    starts = [e for e in kept.heard if e.phase is Phase.START]
    assert len({e.step for e in starts}) == len(starts) == 1 + 8 * 40
    owner = {e.step: e.title for e in starts}
    for entry in starts:
        if entry.title.startswith("inner"):
            assert owner[entry.parent] == entry.title.replace("inner", "outer")
        else:
            assert entry.parent == 0
    for note in (e for e in kept.heard if e.phase is Phase.NOTE):
        assert owner[note.step] == note.title.replace("note", "inner")
    assert [e.sequence for e in kept.heard] == sorted(e.sequence for e in kept.heard)


@contextmanager
def _threads(work: object, number: int) -> Iterator[None]:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(number)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
