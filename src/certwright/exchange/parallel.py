"""The same piece of work on several servers at the same time, one thread each."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from certwright.domain.errors import CertwrightError, DeploymentError, LeaseLost, Unreachable

MAX_THREADS = 32


def side_by_side(
    servers: Iterable[str], work: Callable[[str], None], stop: threading.Event
) -> dict[str, CertwrightError]:
    """Do `work` for each server; all have ended when this returns.

    Returns:
        What failed, by server, in the order of `servers`.

    Raises:
        LeaseLost, or whatever is no failure of a server: after `stop` was set, by which the others end early.
    """
    names = list(servers)
    if len(names) <= 1:
        return in_turn(names, work)
    with ThreadPoolExecutor(min(len(names), MAX_THREADS), thread_name_prefix="server") as pool:
        try:
            under_way = [pool.submit(_outcome, work, server, stop) for server in names]
            outcomes = [future.result() for future in under_way]
        except BaseException:
            stop.set()
            raise
    return {server: failure for server, failure in zip(names, outcomes, strict=True) if failure is not None}


def in_turn(servers: Iterable[str], work: Callable[[str], None]) -> dict[str, CertwrightError]:
    """The same, one after the other."""
    never = threading.Event()
    outcomes = {server: _outcome(work, server, never) for server in servers}
    return {server: failure for server, failure in outcomes.items() if failure is not None}


def first_of(failed: dict[str, CertwrightError]) -> CertwrightError:
    """One error for what failed on one or more servers."""
    first, *others = failed.values()
    if not others:
        return first
    return DeploymentError(f"{len(failed)} servers failed: {', '.join(failed)}.", causes=tuple(failed.values()))


def _outcome(work: Callable[[str], None], server: str, stop: threading.Event) -> CertwrightError | None:
    try:
        work(server)
    except LeaseLost:
        stop.set()
        raise
    except (DeploymentError, Unreachable) as failure:
        return failure
    except BaseException:
        stop.set()
        raise
    return None
