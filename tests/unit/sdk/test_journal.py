import pytest

from certwright.sdk.journal import Journal, SilentJournal


def test_nobody_listens_to_a_silent_journal_and_errors_pass_through() -> None:
    journal: Journal = SilentJournal()
    journal.note("x")
    with journal.step("outer") as outer, journal.step("inner") as inner:
        outer.note("x")
        inner.skip("not needed")
    with pytest.raises(RuntimeError, match="lost"), journal.step("step"):
        raise RuntimeError("lost")
