"""Reads the parts of one subject; what cannot be read is kept with the reason, and nothing is guessed in its place."""

from collections.abc import Callable

from certwright.domain.errors import Unreachable
from certwright.exchange.model import Unknown
from certwright.remoting.clixml import Obj
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, Result


class Reading:
    """What was read of `subject`, through `run`, and what could not be.

    A cmdlet that the account may not use, or that fails, leaves an `Unknown` behind. A peer that answers once no more
    may do so later; one that does not answer twice in a row is gone, and that is raised.

    Args:
        run: runs commands that change nothing.
        subject: what is read: a server's name, or empty for the organisation.
        strict: raise all but a missing cmdlet, for what a change depends on.
    """

    def __init__(self, run: Callable[..., Result], subject: str = "", *, strict: bool = False) -> None:
        self.run = run
        self._subject = subject
        self._strict = strict
        self._silent = False
        self._unknown: list[Unknown] = []

    @property
    def unknown(self) -> tuple[Unknown, ...]:
        """What could not be read."""
        return tuple(self._unknown)

    def objects(self, what: str, *pipeline: Command, none: str = "") -> tuple[Obj, ...] | None:
        """The objects that the commands gave; None if they could not be run.

        `none` begins the id of the error by which a cmdlet says that there are none.

        Raises:
            CommandFailed: in a strict reading, for all but a missing cmdlet.
            Unreachable: if the peer is gone.
        """
        try:
            found = self.run(*pipeline).objects
        except CommandFailed as failure:
            if none and all(record.error_id.startswith(none) for record in failure.records):
                return ()
            if self._strict and not failure.is_missing_command:
                raise
            self.note(what, _reason(pipeline[0].name, failure))
            return None
        except Unreachable as lost:
            if self._strict or self._silent:
                raise
            self._silent = True
            self.note(what, lost.message)
            return None
        self._silent = False
        return found

    def note(self, what: str, why: str) -> None:
        """Keep that `what` is not known."""
        self._unknown.append(Unknown(self._subject, what, why))


def _reason(cmdlet: str, failure: CommandFailed) -> str:
    if failure.is_missing_command:
        return f"The account may not use {cmdlet}, or this version of Exchange does not have it."
    if any("ParameterBinding" in record.kind for record in failure.records):
        return f"The account may not use a parameter of {cmdlet}, or this version of Exchange does not know it."
    return failure.message
