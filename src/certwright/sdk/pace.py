"""How often others are asked: so many times a second at most, by all threads of this process together."""

import threading
from time import monotonic, sleep

_turns: dict[str, float] = {}
_lock = threading.Lock()


def await_turn(place: str, per_second: float) -> None:
    """Return when `place` may be asked once more.

    Args:
        place: what is asked, such as a host; whoever names the same place waits in one queue.
        per_second: how often it may be asked in a second.
    """
    with _lock:
        turn = max(_turns.get(place, 0.0), monotonic())
        _turns[place] = turn + 1 / per_second
    sleep(max(0.0, turn - monotonic()))
