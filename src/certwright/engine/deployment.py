"""One task puts one version to use: probe, plan, apply, verify; `rollback` takes it back when that fails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from certwright.domain.deployment import Plan, ServedRow, failures, is_seen, outcome
from certwright.domain.errors import CertwrightError, DeploymentError, LeaseLost, NeedsPerson, WindowClosed
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.retry import Cause, cause_of
from certwright.domain.runs import RunKind, Stage
from certwright.domain.triggers import Turn
from certwright.engine.context import ActiveRun, Engine, running
from certwright.engine.journal import RunJournal
from certwright.engine.rollback import Rollback, served_meanwhile
from certwright.engine.standing import Standing, fault, said
from certwright.engine.task import make_task
from certwright.sdk.task import Task
from certwright.store import Lease


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended. `error` is None exactly when it succeeded; `plan` is None if it was not reached."""

    task: TaskSettings
    stage: Stage
    rows: tuple[ServedRow, ...]
    plan: Plan | None
    error: CertwrightError | None

    @property
    def unchanged(self) -> bool:
        """Whether everything was in place already."""
        return self.error is None and self.plan is not None and not self.plan.changes

    @property
    def is_held(self) -> bool:
        """Whether nothing was done because its maintenance window is closed."""
        return isinstance(self.error, WindowClosed)

    def data(self) -> dict[str, Any]:
        """As JSON."""
        held_until = self.error.until if isinstance(self.error, WindowClosed) else None
        return {
            "task": self.task.id,
            "title": self.task.title,
            "stage": self.stage.value,
            "unchanged": self.unchanged,
            "plan": self.plan.model_dump(mode="json") if self.plan else None,
            "ports": [row.model_dump(mode="json") for row in self.rows],
            "error": list(self.error.explain()) if self.error else None,
            "held_until": held_until.isoformat() if held_until else None,
        }


@dataclass(frozen=True, slots=True)
class How:
    """Whether a person looks on, and wishes it though the window is closed; `approved` raises if not agreed to.

    `undone`: what was deployed is to be taken back, though it was verified.
    """

    attended: bool = False
    anytime: bool = False
    approved: Callable[[Plan, Stage], None] = lambda *_: None
    undone: bool = False


class _Stopped(Exception):
    """Nothing was changed, and where the task stands is as it was."""

    def __init__(self, error: CertwrightError) -> None:
        super().__init__(error.message)
        self.error = error


class _NotAgreed(_Stopped):
    """The plan is not what was agreed to."""


class _NotGoneOn(_Stopped):
    """What a killed run had begun cannot be gone on with now."""


class Deployment:
    """One task, one version, one run: where it stands is stored before each change of direction."""

    def __init__(
        self,
        engine: Engine,
        managed: ManagedCertificate,
        version: CertificateVersion,
        turn: Turn,
        lease: Lease,
        how: How,
    ) -> None:
        self._engine = engine
        self._how = how
        self._managed = managed
        self._version = version
        self._settings = turn.task
        self._standing = Standing(engine, managed, version, turn, lease)
        self._organisations: tuple[str, ...] = ()
        self._unidentified: CertwrightError | None = None
        self._plan: Plan | None = None

    def carry_out(self, told: str) -> TaskResult:
        """Deploy, while nobody else changes the same targets; a failure is the result.

        `told` is what the journal is to say of the maintenance window; empty if there is nothing.

        Raises:
            LeaseLost: if another run has taken over.
        """
        try:
            self._run(told)
        except LeaseLost:
            raise
        except CertwrightError as error:
            return self._result(error)
        return self._result(None)

    def _result(self, error: CertwrightError | None) -> TaskResult:
        state = self._standing.state
        reached = state.version_id == self._version.id
        stage = state.stage if reached and (error is None or state.stage is not Stage.DEPLOYED) else Stage.NEW
        return TaskResult(self._settings, stage, state.served if reached else (), self._plan, error)

    def _run(self, told: str) -> None:
        self._organisations = self._identified()
        with self._engine.organisation_leases(self._organisations) as leases:
            self._standing.leases += leases
            with running(self._engine, self._managed, RunKind.DEPLOY, *self._standing.leases) as run:
                if told:
                    run.journal.note(told)
                try:
                    self._go(run)
                except CertwrightError:
                    raise
                except Exception as error:
                    raise self._fault(run, error) from error

    def _fault(self, run: ActiveRun, error: Exception) -> CertwrightError:
        """A plugin's own mistake: what was begun is gone on with later, and nothing but the task has failed."""
        failure, standing = fault(self._settings, error), self._standing
        if standing.state.stage is Stage.UNDOING:
            standing.move(Stage.UNDOING, **standing.later(Cause.UNEXPECTED))
        elif standing.state.stage is Stage.APPLYING:
            standing.move(Stage.APPLYING, message=said(failure), **standing.later(Cause.UNEXPECTED))
        else:
            standing.begin()
            standing.move(Stage.FAILED, message=said(failure), **standing.later(Cause.UNEXPECTED))
        standing.tell(run, EventKind.DEPLOYMENT_FAILED, failure.message, failure.hint)
        return failure

    def _identified(self) -> tuple[str, ...]:
        """All names of what this run may change; where the target does not tell its own, nothing is changed."""
        journal = RunJournal(lambda entry: entry, self._engine.listen)
        reader = self._task(journal, ())
        try:
            return (*reader.organisations, *reader.identify())
        except CertwrightError as error:
            self._unidentified = error
            return reader.organisations

    def _task(self, journal: RunJournal, leases: tuple[Lease, ...]) -> Task[Any]:
        return make_task(
            self._engine,
            self._managed,
            self._version,
            self._settings,
            journal,
            leases,
            attended=self._how.attended,
            guard=self._guard,
            occasion=self._standing.turn.occasion,
        )

    def _guard(self) -> None:
        for lease in self._standing.leases:
            lease.check()
        if self._unidentified:
            raise self._unidentified

    def _go(self, run: ActiveRun) -> None:
        task = self._task(run.journal, self._standing.leases)
        stood = self._standing.state
        rollback = Rollback(self._managed, self._version, self._standing, run, task)
        if stood.stage is Stage.UNDOING:
            rollback.go_on()
            return
        if self._how.undone:
            self._undo(run, task, rollback)
            return
        resumed = stood.stage is Stage.APPLYING and stood.version_id == self._version.id
        if not resumed:
            with run.journal.step("Probe what every port serves now"):
                self._standing.begin(task.baseline())
        try:
            self._forward(run, task, self._planned(run, task, resumed=resumed))
        except _NotAgreed as refused:
            self._standing.state = stood
            raise refused.error from refused
        except _NotGoneOn as stopped:
            error = stopped.error
            self._standing.move(Stage.APPLYING, message=said(error), **self._standing.later(cause_of(error)))
            self._standing.move(Stage.APPLYING, served=served_meanwhile(self._standing, run, task))
            waits = isinstance(error, NeedsPerson)
            kind = EventKind.NEEDS_PERSON if waits else EventKind.DEPLOYMENT_FAILED
            self._standing.tell(run, kind, error.message, error.hint)
            raise error from stopped
        except NeedsPerson as error:
            meanwhile = served_meanwhile(self._standing, run, task)
            between = {"changed": self._standing.state.changed and not error.can_wait}
            self._standing.move(Stage.WAITING, wait=error.retry_after, served=meanwhile, message=said(error), **between)
            self._standing.tell(run, EventKind.NEEDS_PERSON, error.message, error.hint)
            raise
        except LeaseLost:
            raise
        except CertwrightError as error:
            if self._standing.state.stage is not Stage.APPLYING:
                self._standing.move(Stage.FAILED, message=said(error), retryable=error.retryable)
                self._standing.tell(run, EventKind.DEPLOYMENT_FAILED, error.message, error.hint)
                raise
            rollback.after(error)

    def _undo(self, run: ActiveRun, task: Task[Any], rollback: Rollback) -> None:
        """Take back what was verified, because a person wishes it, if the plan is what they agreed to."""
        with run.journal.step("Plan"):
            if self._unidentified:
                raise self._unidentified
            plan = self._plan = task.plan_undo()
        if plan.refusals:
            raise DeploymentError(f"{self._nothing}: the plan was refused.", causes=plan.refusals)
        self._how.approved(plan, self._standing.state.stage)
        if not plan.changes:
            run.journal.note("Nothing has to be taken back.")
            return
        task.reopen()
        rollback.wished()

    def _planned(self, run: ActiveRun, task: Task[Any], *, resumed: bool) -> Plan:
        """The plan, agreed to.

        What keeps a run from going on with what a killed one had begun is no reason to take that back: it waits.
        """
        try:
            plan = self._plan = self._readable_plan(run, task)
            if plan.questions:
                hint = f"To go on with what was begun, run it yourself: certwright deploy {self._managed.id}"
                raise NeedsPerson(
                    f"{self._nothing}: a person has to agree first.",
                    causes=plan.questions,
                    hint=hint if resumed else "",
                )
        except LeaseLost:
            raise
        except CertwrightError as error:
            if resumed:
                raise _NotGoneOn(error) from error
            raise
        try:
            self._how.approved(plan, self._standing.state.stage)
        except CertwrightError as error:
            raise _NotAgreed(error) from error
        return plan

    @property
    def _nothing(self) -> str:
        """That nothing was changed: by this run, if an earlier one had begun to."""
        return "Nothing more was changed" if self._standing.state.is_unfinished else "Nothing was changed"

    def _readable_plan(self, run: ActiveRun, task: Task[Any]) -> Plan:
        with run.journal.step("Plan") as step:
            if self._unidentified:
                raise self._unidentified
            plan = task.plan()
            for note in plan.notes:
                step.note(note)
            if plan.refusals:
                self._plan = plan
                raise DeploymentError(f"{self._nothing}: the plan was refused.", causes=plan.refusals)
            if not plan.changes:
                step.note("Everything is in place: nothing to change.")
        return plan

    def _forward(self, run: ActiveRun, task: Task[Any], plan: Plan) -> None:
        if plan.changes:
            self._standing.move(Stage.APPLYING, message="")
            with run.journal.step(f"Apply {len(plan.changes)} changes"):
                task.apply(plan)
        with run.journal.step("Verify what every port serves"):
            self._verify(task.verify(self._standing.state.baseline))
        self._standing.move(Stage.DEPLOYED, message="")
        served = self._standing.state.served
        if self._how.attended and plan.changes and is_seen(served):
            self._release()
        self._standing.tell(run, EventKind.DEPLOYED, f"{self._settings.title}: {outcome(served)}.")

    def _release(self) -> None:
        """Remember that a person has seen a deployment to these targets succeed."""
        with self._engine.store.write(*self._standing.leases) as unit:
            for organisation in sorted(set(self._organisations)):
                seen = {"task": self._settings.id, "version": self._version.id}
                unit.records.put(f"organisation:{organisation}", "supervised", seen, self._engine.now())

    def _verify(self, rows: Sequence[ServedRow]) -> None:
        self._standing.move(self._standing.state.stage, served=tuple(rows))
        if wrong := failures(rows):
            raise DeploymentError(
                f"{len(wrong)} of {len(rows)} ports do not serve the new certificate.",
                causes=[row.summary for row in wrong],
            )
