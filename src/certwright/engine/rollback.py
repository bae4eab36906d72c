"""What one task has put to use is taken back: after a failure, or because a person wishes it."""

from typing import Any

from certwright.domain.deployment import ServedRow, failures
from certwright.domain.errors import CertwrightError, DeploymentError, LeaseLost, NeedsPerson, Unreachable
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.domain.retry import Cause, cause_of
from certwright.domain.runs import Stage
from certwright.engine.context import ActiveRun
from certwright.engine.standing import Standing, said
from certwright.sdk.task import Task


class Rollback:
    """The way back of one task in one run; where it stands is stored before each change of direction."""

    def __init__(
        self,
        managed: ManagedCertificate,
        version: CertificateVersion,
        standing: Standing,
        run: ActiveRun,
        task: Task[Any],
    ) -> None:
        self._managed = managed
        self._version = version
        self._standing = standing
        self._run = run
        self._task = task

    def go_on(self) -> None:
        """Finish what an earlier run has begun to take back; ends as that would have ended."""
        self._run.journal.note("An earlier run could not take back all it had done; that is finished first.")
        stood = self._standing.state
        if stood.undone:
            self.wished()
        else:
            self.after(DeploymentError("An earlier deployment failed.", causes=stood.message.splitlines()))

    def wished(self) -> None:
        """Take it back, as a person wished in this run or an earlier one: it stays so until they say otherwise.

        Raises:
            NeedsPerson: if it could not be taken back now; the next run goes on.
        """
        standing = self._standing
        undone = standing.state.undone or self._version.id
        wish = DeploymentError("A person wished it to be taken back.")
        standing.move(Stage.UNDOING, message=said(wish), served=(), undone=undone, retry_at=None)
        for sentence in self._taken_back(wish):
            self._run.journal.note(sentence)
        standing.undone(is_kept=bool(self._kept))
        message = f"{standing.task.title}: a person had it taken back. {self._kept}".rstrip()
        standing.tell(self._run, EventKind.ROLLED_BACK, message)

    def after(self, cause: CertwrightError) -> None:
        """Go back; always ends in an error that says how far it came.

        Raises:
            NeedsPerson: if it could not be taken back now; the next run goes on.
            DeploymentError: when all is as it was.
        """
        self._standing.move(Stage.UNDOING, message=said(cause), served=(), retry_at=None)
        left = self._taken_back(cause)
        result = self._kept or "The old certificate is served."
        if left:
            result += " Something is left for a person."
        self._standing.move(Stage.ROLLED_BACK, **self._standing.later(Cause.DEPLOYMENT))
        self._standing.tell(self._run, EventKind.ROLLED_BACK, cause.message, cause.hint)
        raise DeploymentError(
            f"The deployment failed and was taken back. {result} {cause.message}",
            causes=[*left, *cause.causes],
            hint=cause.hint or f"When the cause is gone, run: certwright deploy {self._managed.id}",
        ) from cause

    @property
    def _kept(self) -> str:
        """How many ports go on serving the version that was taken back, in words; empty if none does."""
        kept = [row for row in self._standing.state.served if row.now != row.before and row.now is not None]
        return f"{len(kept)} ports keep the new, valid certificate." if kept else ""

    def _taken_back(self, cause: CertwrightError) -> tuple[str, ...]:
        """Take it back, and look; what is left for a person is returned.

        Raises:
            NeedsPerson: if it could not be taken back now; the next run goes on.
        """
        left: tuple[str, ...] = ()
        failed = "It" if self._standing.state.undone else "The deployment failed and"
        try:
            with self._run.journal.step("Take the changes back"):
                left = self._task.undo()
            with self._run.journal.step("Verify what every port serves after the undo"):
                self._verify()
        except (NeedsPerson, Unreachable) as stuck:
            self._standing.move(Stage.UNDOING, **self._standing.later(Cause.DEPLOYMENT))
            if not self._standing.state.served:
                meanwhile = served_meanwhile(self._standing, self._run, self._task)
                self._standing.move(Stage.UNDOING, served=meanwhile)
            self._standing.tell(self._run, EventKind.NEEDS_PERSON, stuck.message, stuck.hint)
            raise NeedsPerson(
                f"{failed} could not be taken back yet. {stuck.message}",
                causes=[cause, *left, *stuck.causes],
                hint=stuck.hint or f"It goes on with the next run: certwright deploy {self._managed.id}",
            ) from stuck
        except LeaseLost:
            raise
        except CertwrightError as error:
            self._standing.move(Stage.UNDOING, **self._standing.later(cause_of(error)))
            raise
        return left

    def _verify(self) -> None:
        rows = self._task.verify_undone(self._standing.state.baseline)
        self._standing.move(Stage.UNDOING, served=rows)
        if wrong := failures(rows):
            raise NeedsPerson(
                f"After the undo {len(wrong)} ports do not serve what they served before.",
                causes=[row.summary for row in wrong],
                hint="Look at these services; the next run checks them again.",
            )


def served_meanwhile(standing: Standing, run: ActiveRun, task: Task[Any]) -> tuple[ServedRow, ...]:
    """What every port serves while a person is waited for, beside what it served before the deployment."""
    before = {row.key: row.before for row in standing.state.baseline}
    with run.journal.step("Probe what every port serves meanwhile"):
        seen = task.baseline()
    return tuple(row.model_copy(update={"before": before.get(row.key), "certificate_before": None}) for row in seen)
