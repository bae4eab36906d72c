"""What deployment tasks speak in: the plan before, what is served after, and the verdict on each port."""

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from certwright.domain.managed import Value


class Change(Value):
    """One thing that a plan will do: `action` with `parameters` on `target`, and why.

    `typed` is the same as a person would type it, where it is a command. Parameters are what a person may see: a secret
    is written as its name, file contents as their size.
    """

    target: str
    action: str
    parameters: dict[str, str] = Field(default_factory=dict)
    why: str
    typed: str = ""


class Plan(Value):
    """An ordered list of changes; what preview shows and apply executes, nothing else.

    `refusals` are reasons why nothing may be done; `notes` are what a person should know before agreeing.
    """

    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A name for exactly this plan."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class Verdict(StrEnum):
    """What a probe of one port says about the deployment."""

    OK = "ok"
    STALE = "stale"
    REGRESSION = "regression"
    NOT_VERIFIED = "not verified"

    @property
    def is_failure(self) -> bool:
        """Whether the deployment must not be called done."""
        return self in (Verdict.STALE, Verdict.REGRESSION)


class ServedRow(Value):
    """One port before and after: certificates are shown by the first 16 hex digits of SHA-256 and their common name.

    `before` and `now` are None when nothing was served. `valid`: what is served now is in date and fits a name.
    """

    server: str
    service: str
    address: str
    port: int
    protocol: str
    before: str | None = None
    now: str | None = None
    names: tuple[str, ...] = ()
    valid: bool = False
    verdict: Verdict
    detail: str = ""


def failures(rows: Iterable[ServedRow]) -> list[ServedRow]:
    """The rows because of which a deployment is not done."""
    return [row for row in rows if row.verdict.is_failure]
