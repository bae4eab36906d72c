"""Remove what Certwright imported and nothing uses any more."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from certwright.domain.deployment import Change
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.runs import RunKind, Stage
from certwright.engine.context import Engine, running
from certwright.engine.exchange.judgement import DOCTOR
from certwright.engine.exchange.reach import exchange_tasks, open_organisation, progress
from certwright.engine.material import current_version, version_facts
from certwright.engine.task import TaskMemory, make_task
from certwright.engine.windows import check_open
from certwright.exchange.deployment import memory
from certwright.exchange.deployment.cleanup import CleanupPlan, Deferred, Ours, plan_cleanup, stopped
from certwright.exchange.deployment.cleanup import carry_out as remove
from certwright.exchange.discovery.discover import discover
from certwright.exchange.settings import Settings
from certwright.sdk.journal import Journal
from certwright.sdk.params import read_params


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one task's servers hold of earlier versions: what is to be removed and why the rest is kept; what was."""

    task: TaskSettings
    plan: CleanupPlan
    removed: tuple[Change, ...] = ()
    deferred: tuple[Deferred, ...] = ()

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "task": self.task.id,
            "removals": [change.model_dump(mode="json") for change in self.plan.removals],
            "removed": [change.model_dump(mode="json") for change in self.removed],
            "kept": [asdict(kept) for kept in self.plan.kept],
            "deferred": [{**d.change.model_dump(mode="json"), "reason": d.reason} for d in self.deferred],
        }


def plan(engine: Engine, reference: str) -> list[Cleaned]:
    """What would be removed from each organisation; servers and ports are read, nothing is changed.

    Raises:
        ConfigurationError: if nothing was issued yet, or no task deploys to Exchange.
        Unreachable, DeploymentError: if a server cannot be read.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        version = current_version(unit, managed)
    return [Cleaned(task, _plan(engine, managed, version, task, progress(engine))) for task in exchange_tasks(managed)]


def check_window(engine: Engine, reference: str) -> None:
    """Return if earlier versions may be removed now.

    Raises:
        WindowClosed: if a maintenance window has to be waited for.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    check_open(engine, managed, exchange_tasks(managed))


def carry_out(
    engine: Engine, reference: str, shown: Collection[Change] | None = None, *, anytime: bool = False
) -> list[Cleaned]:
    """Plan again, and remove what the plan says; nobody else changes the certificate or the organisation meanwhile.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        shown: the removals to which a person agreed, and no others are made; None if nobody was asked.
        anytime: whether a person wishes it though the maintenance window is closed.

    Raises:
        WindowClosed: if its maintenance window is closed.
        LeaseHeld: if another run works on it.
    """
    if not anytime:
        check_window(engine, reference)
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    done = []
    with engine.certificate_lease(found) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(found.id)
            version = current_version(unit, managed)
        for task in exchange_tasks(managed):
            settings = read_params(Settings, task.params, f"the task {task.title!r}")
            target = make_task(engine, managed, version, task, progress(engine), (), attended=True)
            with engine.organisation_leases((*target.organisations, *target.identify())) as organisations:
                leases = (lease, *organisations)
                with running(engine, managed, RunKind.CLEANUP, *leases) as run:
                    made = _plan(engine, managed, version, task, run.journal)
                    if shown is not None:
                        made = made.agreed(shown)
                    for kept in made.kept:
                        run.journal.note(f"{kept.server} keeps {kept.thumbprint}: {'; '.join(kept.reasons)}")
                    with open_organisation(engine, settings) as organisation:
                        removed, deferred = remove(made, organisation, run.journal, run.guard)
                    for change in removed:
                        remembered = TaskMemory(engine, task.id, leases)
                        memory.forget_import(remembered, change.target, change.parameters["Thumbprint"])
            done.append(Cleaned(task, made, removed, deferred))
    return done


def crowded(engine: Engine) -> list[ManagedCertificate]:
    """The managed certificates of which a server holds more than one version that we imported; nothing is asked."""
    with engine.store.read() as unit:
        remembering = unit.deployments.remembering(memory.IMPORTED)
        ids = dict.fromkeys(m for m, task in remembering if _holds_several(TaskMemory(engine, task, ())))
        return [unit.managed.get(managed_id) for managed_id in ids]


def _holds_several(remembered: TaskMemory) -> bool:
    return any(len(thumbprints) > 1 for thumbprints in memory.imported(remembered).values())


def is_released(engine: Engine, managed: ManagedCertificate) -> bool:
    """Whether Certwright may clean up with nobody looking on: where it may deploy so (see decision 12)."""
    connections = [read_params(Settings, t.params, f"the task {t.title!r}") for t in exchange_tasks(managed)]
    subjects = [f"organisation:{name}" for one in connections for name in one.organisations]
    with engine.store.read() as unit:
        examined = [unit.records.last(subject, DOCTOR) for subject in subjects]
        supervised = [unit.records.last(subject, "supervised") for subject in subjects]
    return all(record and record.value.get("passed") for record in examined) and all(supervised)


def _plan(
    engine: Engine, managed: ManagedCertificate, version: CertificateVersion, task: TaskSettings, journal: Journal
) -> CleanupPlan:
    settings = read_params(Settings, task.params, f"the task {task.title!r}")
    with open_organisation(engine, settings) as organisation:
        snapshot = discover(organisation, settings.servers, journal)
        idle = stopped(organisation, settings.servers)
    inspected = make_task(engine, managed, version, task, journal, (), attended=True).inspect()
    with engine.store.read() as unit:
        state = unit.deployments.get(task.id)
        versions = tuple(version_facts(v).thumbprint for v in unit.versions.list(managed.id))
    in_use = state is not None and state.stage is Stage.DEPLOYED and state.version_id == version.id
    ours = Ours(
        versions=versions,
        current=version_facts(version).thumbprint,
        since=state.updated_at if state and in_use else None,
        imported=memory.imported(TaskMemory(engine, task.id, ())),
        inspection=inspected,
        stopped=idle,
    )
    return plan_cleanup(snapshot, ours, engine.now())
