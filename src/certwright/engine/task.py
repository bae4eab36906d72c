"""A task of a managed certificate, made ready to work: with its material, and with what it remembers in the store."""

from collections.abc import Callable
from typing import Any

from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.triggers import BY_HAND, Occasion
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.material import material
from certwright.engine.revoked import revoked
from certwright.sdk.context import Credential, TaskContext
from certwright.sdk.journal import Journal
from certwright.sdk.params import credentials_named, read_params
from certwright.sdk.task import Action, Task
from certwright.store import Lease

MAX_PREDECESSORS = 5


def make_task(
    engine: Engine,
    managed: ManagedCertificate,
    version: CertificateVersion | None,
    settings: TaskSettings,
    journal: Journal,
    leases: tuple[Lease, ...],
    *,
    attended: bool,
    guard: Callable[[], None] = lambda: None,
    occasion: Occasion = BY_HAND,
) -> Task[Any]:
    """The task of `settings`, ready to work with `version`; without leases it can read but not remember.

    `guard` is called before each change, and raises if there must be no more.
    """
    found = catalog.plugin("tasks", settings.kind)
    params = read_params(found.params, settings.params, f"the task {settings.title!r}")
    kinds = dict(credentials_named(found.params, settings.params))
    with engine.store.read() as unit:
        mine = material(unit, version) if version else None
        older = [v for v in unit.versions.list(managed.id) if version and v.issued_at < version.issued_at]
        predecessors = tuple(material(unit, v) for v in older[:MAX_PREDECESSORS])

    context = TaskContext(
        certificate_title=managed.title,
        version=mine,
        predecessors=predecessors,
        credentials=lambda name: _credential(engine, name, kinds[name]),
        memory=TaskMemory(engine, settings.id, leases),
        journal=journal,
        now=engine.now,
        guard=guard,
        attended=attended,
        records=lambda subject, kind: _record(engine, subject, kind),
        occasion=occasion,
        places=engine.places,
        seen=engine.seen,
        revoked=lambda: revoked(engine),
    )
    made: Task[Any] = found.cls(params, context)
    return made


def is_action(settings: TaskSettings) -> bool:
    """Whether the task only does something, and puts no version to use.

    Raises:
        ConfigurationError: if there is no such kind of task here.
    """
    return issubclass(catalog.plugin("tasks", settings.kind).cls, Action)


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


def _credential(engine: Engine, name: str, kind: str) -> Credential:
    with engine.store.read() as unit:
        return unit.credentials.get(name, kind)


def _record(engine: Engine, subject: str, kind: str) -> Any:
    with engine.store.read() as unit:
        found = unit.records.last(subject, kind)
        return found.value if found else None
