"""Many runs at once: threads of one process, and several such processes on one store."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from certwright.domain.errors import CertwrightError
from certwright.engine.request import request
from world.site import Site


def request_all(folder: str, ids: Sequence[str]) -> None:
    """Request each certificate in a thread of its own; print what was issued, and what went wrong."""
    with Site(Path(folder)).engine() as engine, ThreadPoolExecutor(len(ids)) as threads:

        def attempt(managed_id: str) -> str:
            try:
                request(engine, managed_id)
            except CertwrightError as error:
                return " ".join(error.explain())
            return "issued"

        print(*threads.map(attempt, ids), sep="\n")  # noqa: T201 - whoever started the process reads it
