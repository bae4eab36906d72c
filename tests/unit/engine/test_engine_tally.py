"""What a worker counts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from certwright.domain.errors import CertwrightError, DeploymentError, LeaseHeld, LimitReached, NeedsPerson, Unreachable
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import CertificateVersion, KeyForm, ManagedCertificate, TaskSettings
from certwright.domain.renewal import Decision, Reason
from certwright.domain.retry import Cause
from certwright.domain.runs import RunKind, Stage
from certwright.engine.deployment import TaskResult
from certwright.engine.renew import Renewal
from certwright.engine.request import RequestResult
from certwright.engine.tally import DONE, Tally

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAIL = ManagedCertificate(title="mail", identifiers=parse_all(["mail.contoso.com"]), issuer="ca")


@dataclass(frozen=True)
class Told:
    """What came of one renewal, in short."""

    error: CertwrightError | None = None
    issued: bool = False
    tasks: tuple[CertwrightError | None, ...] = ()

    def renewal(self) -> Renewal:
        version = CertificateVersion(
            managed_id=MAIL.id,
            issuer="ca",
            chain_pem="",
            key_form=KeyForm.ELSEWHERE,
            fingerprint="f",
            issued_at=NOW,
        )
        decision = Decision(due=self.issued, reason=Reason.NEVER_ISSUED, message="m", next_check=NOW)
        request = None if self.error else RequestResult(decision, version if self.issued else None)
        settings = TaskSettings(kind="exchange", title="exchange", params={})
        tasks = tuple(TaskResult(settings, Stage.NEW, (), None, error) for error in self.tasks)
        return Renewal(MAIL, request, tasks, self.error)


def test_what_was_done_and_what_failed_is_counted_by_its_cause() -> None:
    tally = Tally()
    for told in (
        Told(issued=True, tasks=(None, DeploymentError("x"))),
        Told(issued=True, tasks=(NeedsPerson("x"),)),
        Told(error=Unreachable("x")),
        Told(error=LimitReached("x", retry_after=timedelta(hours=1)), tasks=(None,)),
        Told(),
    ):
        tally.add(told.renewal())
    tally.add_unexpected()
    assert tally.attempts == {
        (RunKind.REQUEST, DONE): 2,
        (RunKind.REQUEST, Cause.UNREACHABLE): 1,
        (RunKind.REQUEST, Cause.UNEXPECTED): 1,
        (RunKind.REQUEST, Cause.LIMIT): 1,
        (RunKind.DEPLOY, DONE): 2,
        (RunKind.DEPLOY, Cause.DEPLOYMENT): 1,
        (RunKind.DEPLOY, Cause.PERSON): 1,
    }


def test_that_somebody_else_works_on_it_is_no_failure() -> None:
    tally = Tally()
    tally.add(Told(error=LeaseHeld("x"), tasks=(LeaseHeld("x"),)).renewal())
    assert tally.attempts == {}


def test_what_is_worked_on_is_known_until_it_ends() -> None:
    tally = Tally()
    assert (tally.working, tally.longest) == (0, 0)
    tally.began("a")
    tally.began("b")
    assert tally.working == 2
    assert tally.longest > 0
    tally.ended("a")
    tally.ended("b")
    assert (tally.working, tally.longest) == (0, 0)


def test_all_failures_of_a_renewal_are_known_the_request_first() -> None:
    first, second = Unreachable("a"), DeploymentError("b")
    assert Told(error=first, tasks=(None, second)).renewal().failures == [first, second]
