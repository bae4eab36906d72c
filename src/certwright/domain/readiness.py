"""Would a request and a deployment succeed? What a test before the request found, check by check. Pure."""

from enum import StrEnum
from typing import Any

from certwright.domain.errors import CertwrightError
from certwright.domain.managed import Value


class Readiness(StrEnum):
    """The verdict of one check; only `failed` keeps a request from succeeding."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_LOOKED_AT = "not looked at"


class Check(Value):
    """What one check found of one subject: a name, the authority, a credential, a target.

    `check` is its stable name, `evidence` what was seen in one sentence, `fix` the exact next step if there is one.
    """

    check: str
    subject: str
    verdict: Readiness
    evidence: str
    fix: str = ""


class Report(Value):
    """All checks, in the order in which a request would meet them."""

    managed_id: str
    title: str
    checks: tuple[Check, ...]

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands in the way, as far as could be seen."""
        return not any(check.verdict is Readiness.FAILED for check in self.checks)

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {**self.model_dump(mode="json"), "ready": self.is_ready}

    def count(self, verdict: str) -> int:
        """How many checks ended so."""
        return sum(check.verdict == verdict for check in self.checks)


def failed(check: str, subject: str, error: CertwrightError) -> Check:
    """The check that ended in `error`."""
    evidence, *rest = error.explain()
    causes = rest[: len(rest) - len(error.hint.splitlines())]
    return Check(
        check=check,
        subject=subject,
        verdict=Readiness.FAILED,
        evidence=" ".join([evidence, *(line.strip() for line in causes)]),
        fix=error.hint,
    )
