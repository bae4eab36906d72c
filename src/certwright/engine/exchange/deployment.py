"""Plan, apply and inspect what is deployed to Exchange: what a person does with a hash in hand."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, Inspection, Plan, ServedRow
from certwright.domain.errors import ConfigurationError, NeedsPerson
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import Stage
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.deployment import TaskResult
from certwright.engine.exchange.agreement import Agreement
from certwright.engine.exchange.reach import exchange_tasks, progress
from certwright.engine.material import current_version, version_facts
from certwright.engine.schedule import turn_by_hand
from certwright.engine.task import make_task
from certwright.engine.windows import entered
from certwright.exchange.deployment.scripts import do_script, file_content, undo_script
from certwright.exchange.settings import Settings
from certwright.exchange.verification import outside
from certwright.probe.outside import read_outside_report
from certwright.sdk.params import read_params
from certwright.sdk.task import Task

_PLANS = Agreement("plan", "exchange plan {}")


@dataclass(frozen=True, slots=True)
class Planned:
    """A task's plan, which `apply` takes by its hash."""

    managed: ManagedCertificate
    task: TaskSettings
    plan: Plan

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {"task": self.task.id, "hash": self.plan.digest, **self.plan.model_dump(mode="json")}


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a task's ports serve now, and what differs from what was deployed."""

    task: TaskSettings
    inspection: Inspection

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {"task": self.task.id, **self.inspection.model_dump(mode="json")}


def plan(engine: Engine, reference: str, servers: Sequence[str] = ()) -> list[Planned]:
    """What has to be done on Exchange for the current version; kept, so that it can be applied by its hash.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        servers: the servers to work on; none stands for all.

    Raises:
        ConfigurationError: if nothing was issued yet, or no task deploys to Exchange.
        NeedsPerson: if an earlier deployment is still to be taken back.
        Unreachable, DeploymentError: if a server cannot be read.
    """
    refuse_unfinished(engine, reference)
    return [
        Planned(managed, task, _PLANS.keep(engine, task, made.plan()))
        for managed, task, made in _tasks(engine, reference, servers)
    ]


def rehearse(engine: Engine, reference: str, servers: Sequence[str] = ()) -> list[tuple[Planned, tuple[Finding, ...]]]:
    """The plan, and what Exchange says to each of its changes when it is asked with -WhatIf; nothing is changed."""
    refuse_unfinished(engine, reference)
    rehearsed = []
    for managed, task, made in _tasks(engine, reference, servers):
        found = made.plan()
        answers = () if found.refusals else made.rehearse(found)
        rehearsed.append((Planned(managed, task, _PLANS.keep(engine, task, found)), answers))
    return rehearsed


def check_window(engine: Engine, reference: str) -> None:
    """Return if the plan of each task may be carried out now.

    Raises:
        WindowClosed: if the maintenance window of one of them has to be waited for.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        turns = [turn_by_hand(unit, managed, task) for task in exchange_tasks(managed)]
    for turn in turns:
        entered(engine, managed, turn, anytime=False)


def apply(
    engine: Engine, reference: str, hashes: Sequence[str], servers: Sequence[str] = (), *, anytime: bool = False
) -> list[TaskResult]:
    """Carry out plans that a person has seen, each only if it is still what has to be done.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        hashes: the plans agreed to; a prefix of eight digits is enough.
        servers: the servers that they were made for.
        anytime: whether the person wishes it though the maintenance window is closed.

    Raises:
        ConfigurationError: if a hash is too short, or no plan of the certificate has it; then nothing is done.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    _check_servers(managed, servers)
    agreed = _PLANS.agreed(engine, managed, hashes)
    results = []
    for task in exchange_tasks(managed):
        if task.id in agreed:
            results += deploy(
                engine,
                reference,
                task.id,
                attended=True,
                anytime=anytime,
                approved=_PLANS.still(agreed[task.id], reference),
                changed={"only": list(servers)} if servers else {},
            )
    return results


def scripts(engine: Engine, planned: Sequence[Planned]) -> dict[str, bytes]:
    """The plans as PowerShell files by name: do.ps1 and undo.ps1, numbered where there are several tasks."""
    written = {}
    for number, one in enumerate(planned, 1):
        suffix = f"-{number}" if len(planned) > 1 else ""
        written[f"do{suffix}.ps1"] = file_content(do_script(one.plan, one.managed.title, engine.now()))
        written[f"undo{suffix}.ps1"] = file_content(undo_script(one.plan, one.managed.title, engine.now()))
    return written


def inspect(engine: Engine, reference: str) -> list[Inspected]:
    """What every port of every server, and the public names, serve now; nothing is changed and nothing waited for."""
    return [Inspected(task, made.inspect()) for _, task, made in _tasks(engine, reference)]


def outside_script(engine: Engine, reference: str) -> str:
    """A program that looks at the public names from any computer elsewhere, for Python alone."""
    settings, facts = _deployed(engine, reference)
    return outside.script(settings.ports, facts)


def outside_rows(engine: Engine, reference: str, report: bytes) -> tuple[ServedRow, ...]:
    """What that program saw, by its report.

    Raises:
        InvalidMaterial: if it is no such report.
        ConfigurationError: if it is about another version.
    """
    _, facts = _deployed(engine, reference)
    read = read_outside_report(report)
    if read.expected_sha256 != facts.sha256:
        raise ConfigurationError(
            f"The report of {read.taken_at:%Y-%m-%d %H:%M} looked for another version than the current one.",
            hint=f"Make the program anew: certwright exchange verify {shlex.quote(reference)} --outside FILE",
        )
    return outside.from_outside(read, facts)


def _deployed(engine: Engine, reference: str) -> tuple[Settings, CertificateFacts]:
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        facts = version_facts(current_version(unit, managed))
    task = exchange_tasks(managed)[0]
    return read_params(Settings, task.params, f"the task {task.title!r}"), facts


def _tasks(
    engine: Engine, reference: str, servers: Sequence[str] = ()
) -> list[tuple[ManagedCertificate, TaskSettings, Task[Any]]]:
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        version = current_version(unit, managed)
    _check_servers(managed, servers)
    changed = {"only": list(servers)} if servers else {}
    chosen = [t.model_copy(update={"params": {**t.params, **changed}}) for t in exchange_tasks(managed)]
    return [
        (managed, task, make_task(engine, managed, version, task, progress(engine), (), attended=True))
        for task in chosen
    ]


def _check_servers(managed: ManagedCertificate, servers: Sequence[str]) -> None:
    """Each must be one that every task deploys to."""
    for task in exchange_tasks(managed) if servers else ():
        known = read_params(Settings, task.params, f"the task {task.title!r}").servers
        if strangers := [s for s in servers if s.lower() not in map(str.lower, known)]:
            raise ConfigurationError(
                f"{strangers[0]!r} is no server of the task {task.title!r}: it deploys to {', '.join(known)}.",
                hint="Write the server as it stands there.",
            )


def refuse_unfinished(engine: Engine, reference: str) -> None:
    """What has to be taken back comes first, and is not a matter of plans."""
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        states = [state for task in managed.tasks if (state := unit.deployments.get(task.id))]
    for state in states:
        if state.stage is Stage.UNDOING:
            raise NeedsPerson(
                "An earlier deployment failed and is still to be taken back: that comes before any plan.",
                causes=state.message.splitlines(),
                hint=f"Go on with it, once its servers answer: certwright deploy {managed.id}",
            )
