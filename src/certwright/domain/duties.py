"""What the service does beside renewals, as far as it fails: since when, and why."""

from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime

from certwright.domain.health_rules import REPEATED, Health
from certwright.domain.managed import Value

PREFIX = "duty:"
"""Before the name of a duty, in place of a managed certificate's id, wherever something happens to it."""
TOLD_EVERY = timedelta(hours=1)
"""An event follows from failures so often at most, however often a duty is tried, or fails and works by turns."""


class Trouble(Value):
    """That a duty fails, or failed.

    `times` counts the failures in a row, one in each `TOLD_EVERY` at most; `at` is when the last of these was, or when
    the duty worked again, if it `is_over`.
    """

    title: str
    since: AwareDatetime
    at: AwareDatetime
    times: int
    message: str
    hint: str = ""
    is_over: bool = False

    @property
    def health(self) -> Health:
        """How bad that is."""
        if self.is_over:
            return Health.OK
        return Health.FAILING if self.times >= REPEATED else Health.ATTENTION

    def again(self, now: datetime, message: str, hint: str) -> Self:
        """After one more failure."""
        begun = {"since": now, "times": 1} if self.is_over else {"times": self.times + 1}
        return self.model_copy(update={**begun, "at": now, "message": message, "hint": hint, "is_over": False})

    def over(self, now: datetime) -> Self:
        """After it worked."""
        return self.model_copy(update={"at": now, "is_over": True})
