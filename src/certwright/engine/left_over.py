"""What runs that died have left in the DNS and in folders, taken away by whichever run of the same owner comes next."""

from collections.abc import Iterator
from contextlib import contextmanager

from certwright.domain.errors import CertwrightError, StoreError
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.outstanding import Left, give_up, left_by_others
from certwright.engine.solving import solver
from certwright.engine.unexpected import in_words
from certwright.engine.written import REMEMBERED, WrittenRecords


@contextmanager
def cleared(engine: Engine, run: ActiveRun) -> Iterator[None]:
    """Clear what is left over once the block ends, also if it fails: a resumed order still finds its records."""
    try:
        yield
    except StoreError:
        raise
    except CertwrightError:
        clear_left_over(engine, run)
        raise
    clear_left_over(engine, run)


def clear_left_over(engine: Engine, run: ActiveRun, *, last: bool = False) -> None:
    """Remove what earlier runs of the same owner have left, whatever wrote it; what cannot be removed is noted.

    What a person made by hand stays while an order goes on with it.

    Args:
        engine: what to work with.
        run: it removes, and tells in its journal.
        last: whether none comes after it, so that nothing is remembered any more.

    Raises:
        StoreError: if the store cannot be used, or another run has taken over.
    """
    WrittenRecords(engine, run).clear(last=last)
    if left := left_by_others(engine, run):
        with run.journal.step("Take answers away that are left over"):
            for each in left:
                _take_away(engine, run, each, last=last)


def _take_away(engine: Engine, run: ActiveRun, left: Left, *, last: bool) -> None:
    try:
        solver(engine, left.by, run, again="").clean_up([left.challenge])
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; the rest is taken away all the same
        told = in_words(error, "taking away an answer that is left over")
        causes = error.causes if isinstance(error, CertwrightError) else ()
        is_over = last or left.given_at < engine.now() - REMEMBERED
        when = "and not tried again" if is_over else "the next run tries again"
        run.journal.note(f"Not taken away, {when}. {' '.join([told, *map(str, causes)])}")
        if is_over:
            give_up(engine, run, [left])
