"""Several requests at once: their order, their errors, and Ctrl-C."""

import signal
import subprocess
import sys
import threading

import pytest

from certwright.acme import parallel

HANGING = """
import threading
from certwright.acme import parallel
never, begun = threading.Event(), threading.Barrier(3)
def hang(_):
    begun.wait()
    never.wait()
def tell():
    begun.wait()
    print("begun", flush=True)
threading.Thread(target=tell).start()
parallel.each(hang, [1, 2])
"""


def test_results_come_in_the_order_of_the_items() -> None:
    first = threading.Event()

    def number(item: int) -> int:
        if item == 0:
            assert first.wait(10)
        first.set()
        return item * 2

    assert parallel.each(number, range(50)) == [2 * item for item in range(50)]
    assert parallel.each(number, [21]) == [42]
    assert parallel.each(number, []) == []


def test_the_first_error_is_raised_when_all_have_ended() -> None:
    ended: list[int] = []

    def fail(item: int) -> None:
        ended.append(item)
        if item % 2:
            raise ValueError(item)

    with pytest.raises(ValueError, match=r"^1$"):
        parallel.each(fail, range(20))
    assert sorted(ended) == list(range(20))


def test_an_interrupt_does_not_wait_for_what_hangs() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)  # without the mend it never ends
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in told
