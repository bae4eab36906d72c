"""The same request for several resources at once."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

_MOST_THREADS = 8
_INTERRUPT_SECONDS = 0.5  # a signal that comes just before a wait begins does not end it

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """``function`` of every item, in their order; the first error is raised when all have ended.

    An interrupt (Ctrl-C) is raised at once: nothing more is begun, and what is under way is left to itself.
    """
    if len(items) <= 1:
        return [function(item) for item in items]
    outcomes: list[Future[R]] = [Future() for _ in items]
    work = deque(zip(outcomes, items, strict=True))

    def take() -> None:
        while work:
            try:
                outcome, item = work.popleft()
            except IndexError:
                return  # another thread took the last one
            try:
                outcome.set_result(function(item))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
                outcome.set_exception(error)

    # A pool's threads are waited for, even when the program is to end: these are not.
    for _ in range(min(_MOST_THREADS, len(items))):
        threading.Thread(target=take, name="acme", daemon=True).start()
    try:
        while wait(outcomes, _INTERRUPT_SECONDS).not_done:
            pass
    except BaseException:
        work.clear()
        raise
    return [outcome.result() for outcome in outcomes]
