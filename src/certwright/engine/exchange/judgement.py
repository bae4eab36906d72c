"""The state of a whole organisation: overview, diagnosis, rights, and what a person acknowledged."""

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from certwright.domain.audit import Action, SubjectKind, named
from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, Inspection, ServedRow, Severity, Verdict
from certwright.domain.errors import ConfigurationError, DeploymentError, Unreachable
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import RunKind, Stage
from certwright.engine.context import Engine
from certwright.engine.exchange.discovery import SNAPSHOT, discover, last_seen
from certwright.engine.exchange.names import resolves
from certwright.engine.exchange.reach import KIND, last_record, progress, put_record
from certwright.engine.material import version_facts
from certwright.engine.schedule import reschedule
from certwright.engine.task import TaskMemory, make_task
from certwright.engine.windows import held
from certwright.exchange.account import MissingRight, missing_rights
from certwright.exchange.connection import Connection
from certwright.exchange.deployment import memory
from certwright.exchange.deployment.situation import Situation, replaced
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.judgement import drift
from certwright.exchange.judgement.doctor import Diagnosis, examine
from certwright.exchange.judgement.status import Overview, whole
from certwright.exchange.settings import Settings
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.steps import steps
from certwright.exchange.verification import ports, verify
from certwright.sdk.params import read_params
from certwright.store import UnitOfWork

DOCTOR, ACKNOWLEDGED = "doctor", "acknowledged"
_CHANGES = (RunKind.DEPLOY, RunKind.CLEANUP)


@dataclass(frozen=True, slots=True)
class Ours:
    """What we deploy to an organisation: a managed certificate, its task there, and the versions, newest first.

    `inspection` is what the task sees now; None if nothing was issued yet, or it cannot be looked at. `undeployed`
    tells in words why the newest version is not in use everywhere, empty if it is: before, it judges no port.
    """

    managed: ManagedCertificate
    task: TaskSettings
    versions: tuple[CertificateFacts, ...]
    public: bool
    inspection: Inspection | None
    undeployed: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An organisation as it was read last, and what stood where then.

    `outdated_by` are the titles of certificates that were deployed or cleaned up there since, whoever began it and
    however it ended: what they changed is not in it.
    """

    snapshot: Snapshot
    overview: Overview
    outdated_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rights:
    """What the account with which Exchange is asked lacks; nothing is missing where its rights are not `known`."""

    known: bool
    missing: tuple[MissingRight, ...]

    @property
    def are_enough(self) -> bool:
        """Whether it may do all that Certwright does."""
        return self.known and not self.missing

    def data(self) -> dict[str, Any]:
        """As JSON."""
        lacking = [{"cmdlet": m.cmdlet, "parameters": list(m.parameters), "job": m.job.name} for m in self.missing]
        return {"known": self.known, "missing": lacking}


def status(engine: Engine, connection: Connection) -> Overview:
    """Per server: certificates, services, connectors, expiry and drift; and what differs elsewhere; read now."""
    snapshot = discover(engine, connection).snapshot
    ours = deployed_to(engine, connection)
    return whole(snapshot, engine.now(), _titles(ours), (*_drift(ours), *_waiting(ours)))


def doctor(engine: Engine, connection: Connection) -> Diagnosis:
    """Examine the whole organisation; nothing is changed. That it passed is remembered: unattended work needs it.

    Where that was all that it lacked, what waits for a person there is judged anew at once.
    """
    snapshot = discover(engine, connection).snapshot
    ours = deployed_to(engine, connection)
    issued = next((one for one in ours if one.versions), None)
    with progress(engine).step("Look at the ports, look the names up"):
        found = examine(
            snapshot,
            engine.now(),
            wish=_wish(engine, issued, snapshot) if issued else None,
            rows=_rows(engine, snapshot, ours),
            resolve=cache(resolves),
            ours=_titles(ours),
            drift=(*_drift(ours), *_waiting(ours)),
            certificate=shlex.quote(issued.managed.title) if issued else "CERT",
            acknowledged=acknowledged(engine, connection),
            public=issued is None or issued.public,
        )
    told = {"passed": found.passed, "findings": [f.model_dump(mode="json") for f in found.findings]}
    put_record(engine, connection, DOCTOR, told, snapshot)
    if found.passed and last_record(engine, connection, "supervised"):
        _judge_anew(engine, connection)
    return found


def _judge_anew(engine: Engine, connection: Connection) -> None:
    """Have the deployments there that wait for a person tried again at once."""
    with engine.store.write() as unit:
        for managed in unit.managed.with_task(KIND):
            states = [unit.deployments.get(task.id) for task in tasks_there(managed, connection)]
            waiting = [state for state in states if state and state.stage is Stage.WAITING]
            for state in waiting:
                unit.deployments.save(state.model_copy(update={"retry_at": None}))
            if waiting:
                reschedule(engine, unit, managed)


def rights(engine: Engine, connection: Connection) -> Rights:
    """What the account lacks for all that Certwright does, by what its session offers."""
    offered = discover(engine, connection).snapshot.rights
    return Rights(offered is not None, missing_rights(offered))


def acknowledge(engine: Engine, connection: Connection, connectors: Collection[str]) -> frozenset[str]:
    """Remember that these connectors may present a certificate without client authentication.

    Returns:
        All connectors that are acknowledged now.

    Raises:
        ConfigurationError: if there is no send connector of such a name, by what was seen last.
    """
    seen = last_seen(engine, connection) or discover(engine, connection).snapshot
    known = acknowledged(engine, connection) | {_send_connector(seen, named) for named in connectors}
    about = named(SubjectKind.ORGANISATION, ", ".join(sorted(connection.organisations)))
    engine.note(Action.ACKNOWLEDGED, about, {"connectors": sorted(known)})
    put_record(engine, connection, ACKNOWLEDGED, sorted(known), seen)
    return known


def _send_connector(seen: Snapshot, named: str) -> str:
    """The identity of the send connector that a person means."""
    there = seen.send_connectors or ()
    for connector in there:
        if named.lower() in (connector.identity.lower(), connector.name.lower()):
            return connector.identity or connector.name
    raise ConfigurationError(
        f"There is no send connector {named!r}; there are: {', '.join(repr(c.name) for c in there) or 'none'}.",
        hint="Write it as `certwright exchange plan` does. If it is new: certwright exchange discover",
    )


def acknowledged(engine: Engine, connection: Connection) -> frozenset[str]:
    """The connectors that a person has acknowledged."""
    last = last_record(engine, connection, ACKNOWLEDGED)
    return frozenset(last.value if last else ())


def seen_last(engine: Engine, connection: Connection, ours: Collection[Ours]) -> Seen | None:
    """The organisation as it was read last, with what is meant for it: nobody is asked. None if it was never read."""
    snapshot, record = last_seen(engine, connection), last_record(engine, connection, SNAPSHOT)
    if snapshot is None or record is None:
        return None
    overview = whole(snapshot, engine.now(), _titles(ours), _differed(engine, ours))
    return Seen(snapshot, overview, tuple(_changed_since(engine, ours, record.at)))


def _changed_since(engine: Engine, ours: Iterable[Ours], moment: datetime) -> Iterator[str]:
    """Titles of what was deployed or cleaned up after that moment, or is now."""
    for one in {one.managed.id: one.managed for one in ours}.values():
        with engine.store.read() as unit:
            last = unit.runs.last(one.id, _CHANGES)
        if last and (last.ended_at is None or last.ended_at > moment):
            yield one.title


def deployed_to(engine: Engine, connection: Connection) -> list[Ours]:
    """What has a task for this organisation, looked at now."""
    return [replace(one, inspection=_inspect(engine, one)) for one in meant_for(engine, connection)]


def meant_for(engine: Engine, connection: Connection) -> list[Ours]:
    """What has a task for this organisation."""
    found = []
    with engine.store.read() as unit:
        for managed in unit.managed.with_task(KIND):
            for task in tasks_there(managed, connection):
                versions = tuple(version_facts(v) for v in unit.versions.list(managed.id))
                public = not unit.issuers.get(managed.issuer).capabilities.internal_names
                undeployed = _undeployed(engine, unit, managed, task)
                found.append(Ours(managed, task, versions, public, None, undeployed))
    return found


def tasks_there(managed: ManagedCertificate, connection: Connection) -> list[TaskSettings]:
    """The tasks of a managed certificate for this organisation."""
    return [task for task in managed.tasks if task.kind == KIND and _is_there(task, connection)]


def _undeployed(engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, task: TaskSettings) -> str:
    version, state = unit.managed.current(managed.id), unit.deployments.get(task.id)
    if version is None or state is None or state.version_id != version.id or state.stage is Stage.NEW:
        waits = next((waiting.message for waiting in held(engine, unit, managed) if waiting.task.id == task.id), "")
        return f"the newest certificate is not deployed yet, so ports serve what they did. {waits}".rstrip()
    if state.stage is Stage.DEPLOYED:
        return ""
    if state.is_undone:
        return "a person had its deployment taken back, so ports serve what they did."
    deploying = unit.runs.is_deploying(managed.id, engine.now())
    said, *more = state.told(deploying=deploying, by_itself=task.deploys).splitlines() or [""]
    how = more[-1] if more and state.stage is Stage.APPLYING else ""
    return f"its deployment is not finished ({state.word(deploying=deploying)}). {said} {how}".rstrip()


def _is_there(task: TaskSettings, connection: Connection) -> bool:
    theirs = read_params(Settings, task.params, f"the task {task.title!r}").organisations
    return bool(set(theirs) & set(connection.organisations))


def _inspect(engine: Engine, ours: Ours) -> Inspection | None:
    with engine.store.read() as unit:
        version = unit.managed.current(ours.managed.id)
    if version is None:
        return None
    task = make_task(engine, ours.managed, version, ours.task, progress(engine), (), attended=True)
    try:
        return task.inspect()
    except (Unreachable, DeploymentError):
        return None


def _titles(ours: Iterable[Ours]) -> dict[str, str]:
    return {facts.thumbprint: one.managed.title for one in ours for facts in one.versions}


def _drift(ours: Iterable[Ours]) -> tuple[Finding, ...]:
    return tuple(finding for one in ours if one.inspection for finding in one.inspection.findings)


def _differed(engine: Engine, ours: Iterable[Ours]) -> tuple[Finding, ...]:
    """What differed from what was deployed when it was looked at last."""
    with engine.store.read() as unit:
        looks = [unit.looks.get(one.managed.id).tasks.get(one.task.id) for one in ours]
    return tuple(finding for look in looks if look for finding in look.differences)


def _waiting(ours: Iterable[Ours]) -> tuple[Finding, ...]:
    """That a version was issued and is not in use everywhere: one line, however many ports serve another one."""
    return tuple(
        Finding(
            check="not-deployed",
            severity=Severity.NOTE,
            subject=one.managed.title,
            message=f"{one.managed.title}: {one.undeployed}",
            remedy=steps("To deploy it, begin with:", f"certwright exchange plan {shlex.quote(one.managed.title)}"),
        )
        for one in ours
        if one.versions and one.undeployed
    )


def _wish(engine: Engine, ours: Ours, snapshot: Snapshot) -> Wish:
    """What the task wants, with all that it would replace: the first time what the web sites use."""
    current, *older = ours.versions
    remembered = TaskMemory(engine, ours.task.id, ())
    settings = _settings(ours)
    states = {name: snapshot.state(name) for name in settings.chosen_servers}
    wish = Wish(
        facts=current,
        predecessors=tuple(f.thumbprint for f in older),
        services=settings.chosen,
        connectors=settings.connectors,
        servers=tuple(state.server if state else name for name, state in states.items()),
        last=drift.kept(remembered),
    )
    situation = Situation(snapshot, web_sites=memory.web_sites(remembered))
    return replace(wish, predecessors=replaced(situation, wish))


def _rows(engine: Engine, snapshot: Snapshot, ours: Iterable[Ours]) -> tuple[ServedRow, ...]:
    """What the ports of the tasks serve, or, if there is no task, the standard ones of every server."""
    seen = ((one, row) for one in ours if one.inspection for row in one.inspection.rows)
    if rows := tuple(_unjudged(row) if one.undeployed else row for one, row in seen):
        return rows
    for one in ours:
        if chosen := _settings(one).ports:
            asked = one.managed.identifiers[0].value.replace("*", "mail", 1)
            return verify.baseline(ports.look(chosen, asked), engine.now())
    servers = [state.info.fqdn or state.server for state in snapshot.servers]
    return verify.baseline(ports.look(ports.standard(servers), servers[0]), engine.now())


def _unjudged(row: ServedRow) -> ServedRow:
    """A port that serves what it did, because nothing was deployed yet."""
    is_stale = row.verdict is Verdict.STALE
    return row.model_copy(update={"verdict": Verdict.NOT_VERIFIED, "detail": ""}) if is_stale else row


def _settings(ours: Ours) -> Settings:
    return read_params(Settings, ours.task.params, f"the task {ours.task.title!r}")
