"""Put the current version to use: probe, plan, apply, verify; and take it back when that fails."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from certwright.domain.deployment import Plan, ServedRow, failures
from certwright.domain.errors import (
    CertwrightError,
    ConfigurationError,
    DeploymentError,
    LeaseLost,
    NeedsPerson,
    Unreachable,
)
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, RunKind, Stage
from certwright.engine import catalog
from certwright.engine.context import ActiveRun, Engine, running
from certwright.engine.material import current_version, material
from certwright.engine.schedule import reschedule
from certwright.sdk.context import Credential, TaskContext
from certwright.sdk.journal import Journal, SilentJournal
from certwright.sdk.params import read_params
from certwright.sdk.task import Task
from certwright.store import Lease

MAX_PREDECESSORS = 5


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one task ended. `error` is None exactly when `stage` is deployed; `plan` is None if it was not reached."""

    task: TaskSettings
    stage: Stage
    rows: tuple[ServedRow, ...]
    plan: Plan | None
    error: CertwrightError | None

    @property
    def unchanged(self) -> bool:
        """Whether everything was in place already."""
        return self.error is None and self.plan is not None and not self.plan.changes


def deploy(engine: Engine, reference: str, task: str | None = None) -> list[TaskResult]:
    """Run the enabled tasks of a managed certificate in their order, or the one named, with the current version.

    A task that failed does not stop the next: each has its own result. What an earlier run could not undo is undone
    first, and that is then all this run does for that task.

    Raises:
        ConfigurationError: if there is nothing to deploy, or no task.
        LeaseHeld: if another run works on it.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    with engine.certificate_lease(found) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(found.id)
            version = current_version(unit, managed)
        chosen = [managed.task(task)] if task else [t for t in managed.tasks if t.enabled]
        if not chosen:
            raise ConfigurationError(
                f"{managed.title!r} has no deployment task.",
                hint=f"Add one: certwright task add {managed.id} exchange ...",
            )
        return [_deploy_one(engine, managed, version, settings, lease) for settings in chosen]


def make_task(
    engine: Engine,
    managed: ManagedCertificate,
    version: CertificateVersion,
    settings: TaskSettings,
    journal: Journal,
    leases: tuple[Lease, ...],
) -> Task[Any]:
    """The task of `settings`, ready to work with `version`; without leases it can read but not remember."""
    found = catalog.plugin("tasks", settings.kind)
    params = read_params(found.params, settings.params, f"the task {settings.title!r}")
    with engine.store.read() as unit:
        mine = material(unit, version)
        older = [v for v in unit.versions.list(managed.id) if v.issued_at < version.issued_at]
        predecessors = tuple(material(unit, v) for v in older[:MAX_PREDECESSORS])

    def guard() -> None:
        for lease in leases:
            lease.check()

    context = TaskContext(
        certificate_title=managed.title,
        material=mine,
        predecessors=predecessors,
        credentials=lambda name: _credential(engine, name),
        memory=TaskMemory(engine, settings.id, leases),
        journal=journal,
        now=engine.now,
        guard=guard,
    )
    made: Task[Any] = found.cls(params, context)
    return made


class TaskMemory:
    """What a task must still know after a crash, in the store, under the run's leases."""

    def __init__(self, engine: Engine, task_id: str, leases: tuple[Lease, ...]) -> None:
        self._engine = engine
        self._task_id = task_id
        self._leases = leases

    def get(self, key: str, default: Any = None) -> Any:
        """What was put last."""
        with self._engine.store.read() as unit:
            return unit.deployments.memory_get(self._task_id, key, default)

    def put(self, key: str, value: Any) -> None:
        """Store `value` durably."""
        with self._engine.store.write(*self._leases) as unit:
            unit.deployments.memory_put(self._task_id, key, value)


def _credential(engine: Engine, name: str) -> Credential:
    with engine.store.read() as unit:
        return unit.credentials.get(name)


def _deploy_one(
    engine: Engine, managed: ManagedCertificate, version: CertificateVersion, settings: TaskSettings, lease: Lease
) -> TaskResult:
    deployment = _Deployment(engine, managed, version, settings, lease)
    try:
        deployment.run()
    except LeaseLost:
        raise
    except CertwrightError as error:
        return deployment.result(error)
    return deployment.result(None)


class _Deployment:
    """One task, one version, one run: where it stands is stored before each change of direction."""

    def __init__(
        self,
        engine: Engine,
        managed: ManagedCertificate,
        version: CertificateVersion,
        settings: TaskSettings,
        lease: Lease,
    ) -> None:
        self._engine = engine
        self._managed = managed
        self._version = version
        self._settings = settings
        self._leases: tuple[Lease, ...] = (lease,)
        self._plan: Plan | None = None
        with engine.store.read() as unit:
            known = unit.deployments.get(settings.id)
        self._state = known or DeploymentState(task_id=settings.id, managed_id=managed.id)

    def result(self, error: CertwrightError | None) -> TaskResult:
        reached = self._state.version_id == self._version.id
        stage = (
            self._state.stage if reached and (error is None or self._state.stage is not Stage.DEPLOYED) else Stage.NEW
        )
        return TaskResult(self._settings, stage, self._state.served if reached else (), self._plan, error)

    def run(self) -> None:
        """Deploy, while nobody else changes the same targets."""
        reader = make_task(self._engine, self._managed, self._version, self._settings, SilentJournal(), ())
        with ExitStack() as stack:
            for organisation in sorted(set(reader.organisations)):
                self._leases += (stack.enter_context(self._engine.store.lease(f"organisation:{organisation}")),)
            with running(self._engine, self._managed, RunKind.DEPLOY, *self._leases) as run:
                self._go(run)

    def _go(self, run: ActiveRun) -> None:
        task = make_task(self._engine, self._managed, self._version, self._settings, run.journal, self._leases)
        if self._state.stage is Stage.UNDOING:
            run.journal.note("An earlier run could not take back all it had done; that is finished first.")
            self._undo(
                run, task, DeploymentError("An earlier deployment failed.", causes=self._state.message.splitlines())
            )
        resumed = self._state.stage is Stage.APPLYING and self._state.version_id == self._version.id
        if not resumed:
            with run.journal.step("Probe what every port serves now"):
                self._move(Stage.NEW, version_id=self._version.id, baseline=task.baseline(), served=())
        try:
            self._forward(run, task)
        except NeedsPerson as error:
            self._move(Stage.WAITING, served=self._meanwhile(run, task), message=_said(error))
            self._tell(run, EventKind.NEEDS_PERSON, error.message)
            raise
        except LeaseLost:
            raise
        except CertwrightError as error:
            if self._state.stage is not Stage.APPLYING:
                self._move(Stage.FAILED, message=_said(error))
                self._tell(run, EventKind.DEPLOYMENT_FAILED, error.message)
                raise
            self._undo(run, task, error)

    def _forward(self, run: ActiveRun, task: Task[Any]) -> None:
        with run.journal.step("Plan") as step:
            plan = self._plan = task.plan()
            for note in plan.notes:
                step.note(note)
            if not plan.changes:
                step.note("Everything is in place: nothing to change.")
        if plan.refusals:
            raise DeploymentError("Nothing was changed: the plan was refused.", causes=plan.refusals)
        if plan.changes:
            self._move(Stage.APPLYING)
            with run.journal.step(f"Apply {len(plan.changes)} changes"):
                task.apply(plan)
        with run.journal.step("Verify what every port serves"):
            self._verify(task.verify(self._state.baseline))
        self._move(Stage.DEPLOYED, message="")
        seen = "every checked port serves it" if self._state.served else "no port was looked at"
        self._tell(run, EventKind.DEPLOYED, f"{self._settings.title}: {seen}.")

    def _verify(self, rows: Sequence[ServedRow]) -> None:
        self._move(self._state.stage, served=tuple(rows))
        if wrong := failures(rows):
            raise DeploymentError(
                f"{len(wrong)} of {len(rows)} ports do not serve the new certificate.",
                causes=_lines(wrong),
            )

    def _meanwhile(self, run: ActiveRun, task: Task[Any]) -> tuple[ServedRow, ...]:
        """What every port serves while a person is waited for, beside what it served before the deployment."""
        before = {_port(row): row.before for row in self._state.baseline}
        with run.journal.step("Probe what every port serves meanwhile"):
            return tuple(row.model_copy(update={"before": before.get(_port(row))}) for row in task.baseline())

    def _undo(self, run: ActiveRun, task: Task[Any], cause: CertwrightError) -> None:
        """Go back; always ends in an error that says how far it came.

        Raises:
            NeedsPerson: if it could not be taken back now; the next run goes on.
            DeploymentError: when all is as it was.
        """
        self._move(Stage.UNDOING, message=_said(cause), served=())
        try:
            with run.journal.step("Take the changes back"):
                task.undo()
            with run.journal.step("Verify what every port serves after the undo"):
                self._verify_undone(task)
        except (NeedsPerson, Unreachable) as stuck:
            if not self._state.served:
                self._move(Stage.UNDOING, served=self._meanwhile(run, task))
            self._tell(run, EventKind.NEEDS_PERSON, stuck.message)
            raise NeedsPerson(
                f"The deployment failed and could not be taken back yet. {stuck.message}",
                causes=[cause, *stuck.causes],
                hint=stuck.hint or f"It goes on with the next run: certwright deploy {self._managed.id}",
            ) from stuck
        kept = [row for row in self._state.served if row.now != row.before and row.now is not None]
        result = f"{len(kept)} ports keep the new, valid certificate." if kept else "The old certificate is served."
        self._move(Stage.ROLLED_BACK)
        self._tell(run, EventKind.ROLLED_BACK, cause.message)
        raise DeploymentError(
            f"The deployment failed and was taken back. {result} {cause.message}",
            causes=cause.causes,
            hint=cause.hint or f"When the cause is gone, run: certwright deploy {self._managed.id}",
        ) from cause

    def _verify_undone(self, task: Task[Any]) -> None:
        rows = task.verify_undone(self._state.baseline)
        self._move(Stage.UNDOING, served=rows)
        if wrong := failures(rows):
            raise NeedsPerson(
                f"After the undo {len(wrong)} ports do not serve what they served before.",
                causes=_lines(wrong),
                hint="Look at these services; the next run checks them again.",
            )

    def _move(self, stage: Stage, **changes: Any) -> None:
        update = {"stage": stage, "updated_at": self._engine.now(), **changes}
        self._state = self._state.model_copy(update=update)
        with self._engine.store.write(*self._leases) as unit:
            unit.deployments.save(self._state)
            reschedule(self._engine, unit, self._managed)

    def _tell(self, run: ActiveRun, kind: EventKind, message: str) -> None:
        event = run.event(kind, self._managed, self._engine.now(), message)
        self._engine.record(event.model_copy(update={"version_id": self._version.id}), *self._leases)


def _port(row: ServedRow) -> tuple[str, str, str, int]:
    return row.server, row.service, row.address, row.port


def _said(error: CertwrightError) -> str:
    return "\n".join(error.explain())


def _lines(rows: Sequence[ServedRow]) -> list[str]:
    return [f"{r.service} {r.address}:{r.port}: {r.detail or r.verdict}" for r in rows]
