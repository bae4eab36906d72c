"""Every error of Certwright, in one tree.

```
CertwrightError
├── ConfigurationError      what was asked for cannot work; nothing was done
│   ├── InvalidIdentifier   a name that is no name, or that this authority cannot issue
│   ├── InvalidMaterial     a key, CSR, certificate or PFX that cannot be read or does not fit
│   ├── InUse               what is to go is used by something; that is named
│   ├── NotFound            nothing of that name is in the store
│   └── Taken               something of that name is in the store
├── IssuanceError           the authority did not issue
│   ├── OrderDead           an order that was begun earlier cannot be resumed
│   │   └── NotProved       the authority looked for the proof of a name and did not find it
│   ├── NotReplaced         the authority does not take the order for a renewal
│   ├── Unfinished          the authority has the order and did not finish it in time
│   ├── LimitReached        a rate limit of the authority forbids it for now
│   └── AuthorityFailed     the authority had a fault of its own
├── SolverError             control of a name could not be proved
├── DeploymentError         a target did not take the certificate; what was done is undone
│   └── NeedsPerson         it could not be undone now; it goes on when the target is back
├── WindowClosed            the maintenance window is closed; nothing was done
├── NotificationError       a message did not get through its channel
├── NotSignedIn             who asks has not shown who it is
├── Forbidden               who asks may not
├── Throttled               who asks has to wait: there were too many attempts
├── Unreachable             a peer did not answer, or not in its protocol
│   └── AuthorityAway       that peer is the authority
└── StoreError              the store refused or cannot be used
    ├── NoStore             there is none yet
    ├── Changed             it was changed by somebody else meanwhile
    ├── LeaseHeld           another run works on the same thing
    └── LeaseLost           this run was overtaken: it must write nothing more
```
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self


class CertwrightError(Exception):
    """Base of the tree.

    Args:
        message: one sentence: what happened, with what evidence.
        hint: one sentence: what to do next; empty when there is nothing to do.
        causes: what lies beneath, most important first.
        retryable: whether the same attempt can succeed later unchanged; None takes the class's own answer.
        retry_after: how long the peer asked us to wait, if it said so.

    Attributes:
        run_id: the run that ended with it; empty if there was none.
    """

    retryable: bool = False
    run_id: str = ""

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

    def detached(self) -> Self:
        """The same for people, to be kept: it holds nothing that was at work, as frames and causes do."""
        told = type(self).__new__(type(self), self.message)
        causes = ("\n".join(c.explain()) if isinstance(c, CertwrightError) else str(c) for c in self.causes)
        told.__dict__.update(self.__dict__, causes=tuple(causes))
        return told

    def explain(self) -> Iterator[str]:
        """The error for a person, line by line: what happened, why, and what to do."""
        yield self.message
        for cause in self.causes:
            lines = cause.explain() if isinstance(cause, CertwrightError) else iter(str(cause).splitlines())
            yield from (f"  {line}" for line in lines)
        yield from self.hint.splitlines()


class ConfigurationError(CertwrightError):
    """What was asked for cannot work; nothing was done."""


class InvalidIdentifier(ConfigurationError):
    """A name that is no name, or one that this authority cannot issue."""


class InvalidMaterial(ConfigurationError):
    """A key, CSR, certificate or PFX that cannot be read, or that does not fit."""


class InUse(ConfigurationError):
    """What is to go is used by something; that is named."""


class NotFound(ConfigurationError):
    """Nothing of that name is in the store."""


class Taken(ConfigurationError):
    """Something of that name is in the store, and was to be new."""


class IssuanceError(CertwrightError):
    """The authority did not issue."""


class OrderDead(IssuanceError):
    """An order that was begun earlier cannot be resumed: the authority forgot it, or it failed or expired."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the authority did not accept the proof of `name`: the `problem` (RFC 8555 section 6.7) and its `words`.

    A wildcard is written as such.

    `challenge` is the type of the challenge that failed; empty if the authority does not say.
    """

    name: str
    challenge: str
    problem: str
    words: str


class NotProved(OrderDead):
    """The authority looked for the proof of a name and did not find it; `rejections` are its words for each name."""

    def __init__(self, message: str, rejections: Sequence[Rejection], **told: Any) -> None:
        super().__init__(message, **told)
        self.rejections = tuple(rejections)


class NotReplaced(IssuanceError):
    """The authority does not take the order for the renewal of the certificate that it names: ask without naming it."""

    retryable = True


class Unfinished(IssuanceError):
    """The authority has the order and did not finish it in time; it can be resumed."""

    retryable = True


class LimitReached(IssuanceError):
    """A rate limit of the authority forbids it for now, by the authority's words or by our ledger of its limits."""

    retryable = True


class AuthorityFailed(IssuanceError):
    """The authority had a fault of its own: an internal error, an outage, an answer without sense."""

    retryable = True


class SolverError(CertwrightError):
    """Control of a name could not be proved."""


class DeploymentError(CertwrightError):
    """A target did not take the certificate."""


class NeedsPerson(DeploymentError):
    """A change could not be undone now; it goes on when the target is back.

    `causes` holds the mixed state per port and the exact commands; `can_wait` says that no target is between two
    versions.
    """

    def __init__(self, message: str, *, can_wait: bool = False, **told: Any) -> None:
        super().__init__(message, **told)
        self.can_wait = can_wait


class WindowClosed(CertwrightError):
    """The maintenance window is closed; nothing was done.

    `until` is when what was asked for may be done; None if the window does not open.
    """

    retryable = True

    def __init__(self, message: str, until: datetime | None, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.until = until


class NotificationError(CertwrightError):
    """A message did not get through its channel."""


class NotSignedIn(CertwrightError):
    """Who asks has not shown who it is."""


class Forbidden(CertwrightError):
    """Who asks may not."""


class Throttled(CertwrightError):
    """Who asks has to wait, `retry_after` long: there were too many attempts."""

    retryable = True


class Unreachable(CertwrightError):
    """A peer did not answer, or not in its protocol."""

    retryable = True


class AuthorityAway(Unreachable):
    """The authority did not answer, or not in its protocol."""


class StoreError(CertwrightError):
    """The store refused, or cannot be used."""


class NoStore(StoreError):
    """There is none yet."""


class Changed(StoreError):
    """It was changed by somebody else meanwhile; nothing was done."""


class LeaseHeld(StoreError):
    """Another run works on the same thing; `holder` is its process, where that is known."""

    retryable = True

    def __init__(self, message: str, *, hint: str = "", holder: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class LeaseLost(StoreError):
    """This run was overtaken: it must write nothing more."""

    retryable = True
