"""Every error of Certwright, in one tree.

```
CertwrightError
├── ConfigurationError      what was asked for cannot work; nothing was done
│   ├── InvalidIdentifier   a name that is no name, or that this authority cannot issue
│   ├── InvalidMaterial     a key, CSR, certificate or PFX that cannot be read or does not fit
│   └── NotFound            nothing of that name is in the store
├── IssuanceError           the authority did not issue
│   └── OrderDead           an order that was begun earlier cannot be resumed
├── SolverError             control of a name could not be proved
├── DeploymentError         a target did not take the certificate; what was done is undone
│   └── NeedsPerson         it could not be undone now; it goes on when the target is back
├── Unreachable             a peer did not answer, or not in its protocol
└── StoreError              the store refused or cannot be used
    ├── LeaseHeld           another run works on the same thing
    └── LeaseLost           this run was overtaken: it must write nothing more
```
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta


class CertwrightError(Exception):
    """Base of the tree.

    Args:
        message: one sentence: what happened, with what evidence.
        hint: one sentence: what to do next; empty when there is nothing to do.
        causes: what lies beneath, most important first.
        retryable: whether the same attempt can succeed later unchanged; None takes the class's own answer.
        retry_after: how long the peer asked us to wait, if it said so.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        causes: Sequence[Exception | str] = (),
        retryable: bool | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.causes = tuple(causes)
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable

    def explain(self) -> Iterator[str]:
        """The error for a person, line by line: what happened, why, and what to do."""
        yield self.message
        for cause in self.causes:
            lines = cause.explain() if isinstance(cause, CertwrightError) else iter(str(cause).splitlines())
            yield from (f"  {line}" for line in lines)
        if self.hint:
            yield self.hint


class ConfigurationError(CertwrightError):
    """What was asked for cannot work; nothing was done."""


class InvalidIdentifier(ConfigurationError):
    """A name that is no name, or one that this authority cannot issue."""


class InvalidMaterial(ConfigurationError):
    """A key, CSR, certificate or PFX that cannot be read, or that does not fit."""


class NotFound(ConfigurationError):
    """Nothing of that name is in the store."""


class IssuanceError(CertwrightError):
    """The authority did not issue."""


class OrderDead(IssuanceError):
    """An order that was begun earlier cannot be resumed: the authority forgot it, or it failed or expired."""

    retryable = True


class SolverError(CertwrightError):
    """Control of a name could not be proved."""


class DeploymentError(CertwrightError):
    """A target did not take the certificate."""


class NeedsPerson(DeploymentError):
    """A change could not be undone now; it goes on when the target is back.

    `causes` holds the mixed state per port and the exact commands.
    """


class Unreachable(CertwrightError):
    """A peer did not answer, or not in its protocol."""

    retryable = True


class StoreError(CertwrightError):
    """The store refused, or cannot be used."""


class LeaseHeld(StoreError):
    """Another run works on the same thing."""

    retryable = True


class LeaseLost(StoreError):
    """This run was overtaken: it must write nothing more."""

    retryable = True
