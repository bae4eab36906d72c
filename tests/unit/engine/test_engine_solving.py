"""Answers are taken away whatever goes wrong, and what goes wrong first is what is told."""

import logging
from collections.abc import Sequence

import pytest

from certwright.domain.errors import LeaseLost, SolverError
from certwright.domain.runs import Entry
from certwright.engine.journal import RunJournal
from certwright.engine.logs import Lines
from certwright.engine.solving import answered
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.solver import Challenge, Solver
from peers.answers import http01, solver_context


class _Params(PluginParams):
    """None."""


class Fragile(Solver[_Params]):
    """Fails as it is told to."""

    Params = _Params
    types = frozenset({"http-01"})
    at_check: Exception | None = None
    at_the_end: Exception | None = None
    was_cleaned = False

    def present(self, challenges: Sequence[Challenge]) -> None: ...

    def check(self, challenges: Sequence[Challenge]) -> None:
        if self.at_check:
            raise self.at_check

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        self.was_cleaned = True
        if self.at_the_end:
            raise self.at_the_end


@pytest.fixture
def two() -> list[tuple[Fragile, list[Challenge]]]:
    return [(Fragile(_Params(), solver_context()), [http01(f"{name}.contoso.test")]) for name in ("one", "two")]


@pytest.mark.parametrize("error", [ValueError("token=c4nary"), SolverError("The folder is gone.")])
def test_all_are_cleaned_and_what_fails_there_is_noted(
    error: Exception, two: list[tuple[Fragile, list[Challenge]]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "certwright")
    heard: list[Entry] = []
    two[0][0].at_the_end = error
    with answered(two, RunJournal(lambda entry: entry, heard.append)):
        pass
    told = "\n".join(f"{entry.title} {entry.detail}" for entry in heard)
    assert all(solver.was_cleaned for solver, _ in two)
    assert "The folder is gone." in told or "ValueError" in told
    logged = "\n".join(map(Lines().format, caplog.records))
    assert ("in clean_up" in logged) is isinstance(error, ValueError)
    assert "c4nary" not in f"{told} {logged}"


def test_what_failed_first_is_what_is_raised(two: list[tuple[Fragile, list[Challenge]]]) -> None:
    two[1][0].at_check = SolverError("The answer is wrong.")
    for solver, _ in two:
        solver.at_the_end = ValueError()
    with (
        pytest.raises(SolverError, match="The answer is wrong"),
        answered(two, RunJournal(lambda e: e, lambda _: None)),
    ):
        pass
    assert all(solver.was_cleaned for solver, _ in two)


def test_a_run_that_was_overtaken_takes_nothing_away(two: list[tuple[Fragile, list[Challenge]]]) -> None:
    two[0][0].at_the_end = LeaseLost("This run was overtaken.")
    with pytest.raises(LeaseLost), answered(two, RunJournal(lambda e: e, lambda _: None)):
        pass
    assert not two[1][0].was_cleaned
