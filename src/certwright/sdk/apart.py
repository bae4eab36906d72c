"""Work in a process of its own: one that can be ended in time, and from which nothing of it stays with us.

The process is a module of ours, run as a program. It reads a job as JSON and answers with a report as JSON; what is
secret goes through these pipes alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from certwright.settings import for_strangers

J = TypeVar("J", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)


class NoReport(Exception):
    """The process ended without a report."""


class Late(NoReport):
    """It took too long, and was ended."""


def done_apart(module: str, job: BaseModel, report: type[R], seconds: float) -> R:
    """What `module`, which calls `answer`, reports of `job`.

    Raises:
        Late: if it takes more than so many `seconds`.
        NoReport: if it ends in another way than with a report.
    """
    try:
        ended = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-m", module],
            input=job.model_dump_json().encode(),
            capture_output=True,
            env=for_strangers(os.environ),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Late(f"it took longer than {seconds:g} s and was ended") from None
    try:
        return report.model_validate_json(ended.stdout)
    except ValidationError:
        raise NoReport(f"its process ended with status {ended.returncode}") from None


def answer(job: type[J], work: Callable[[J], BaseModel]) -> None:
    """Do in this process what standard input says, and report it; what `work` prints goes elsewhere."""
    out, sys.stdout = sys.stdout, sys.stderr
    out.write(work(job.model_validate_json(sys.stdin.read())).model_dump_json())
