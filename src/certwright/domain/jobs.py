"""Jobs: what takes longer than an answer may, begun by somebody who comes back for the result."""

from typing import Self

from pydantic import AwareDatetime, Field

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import Tags, Value, new_id
from certwright.domain.runs import Outcome


class Fault(Value):
    """What went wrong, as an error says it: `causes` are lines, most important first."""

    message: str
    hint: str = ""
    causes: tuple[str, ...] = ()
    retryable: bool = False

    @classmethod
    def of(cls, error: CertwrightError) -> Self:
        """What this error says."""
        causes = tuple(line for cause in error.causes for line in _lines(cause))
        return cls(message=error.message, hint=error.hint, causes=causes, retryable=error.retryable)


class Job(Value):
    """One piece of work that goes on by itself.

    Attributes:
        id: names it for ever.
        what: is done, in the words of the command line, such as "exchange plan".
        subject: the id of the managed certificate that it is about, or what else it is about; may be empty.
        by: who began it.
        tags: those of the certificates that were in the sight of that one; none if all were.
        takes: the permission that it took, and that what came of it is shown to; an earlier version did not keep it.
        begun_at: when.
        step: the title of the step that it is at.
        runs: the runs that it began, whose journals tell more.
        ended_at: when it ended.
        outcome: how it ended: done, failed, waiting for a person, or interrupted, if its process died.
        fault: why, if it is not done.
    """

    id: str = Field(default_factory=new_id)
    what: str
    subject: str = ""
    by: str
    tags: Tags = ()
    takes: Permission = Permission.ADMINISTER
    begun_at: AwareDatetime
    step: str = ""
    runs: tuple[str, ...] = ()
    ended_at: AwareDatetime | None = None
    outcome: Outcome | None = None
    fault: Fault | None = None


def _lines(cause: Exception | str) -> list[str]:
    return list(cause.explain()) if isinstance(cause, CertwrightError) else str(cause).splitlines()
