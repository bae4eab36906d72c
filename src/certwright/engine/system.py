"""The installation as a person looks at it: versions, the store, who works on what, and what is missing."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from certwright.domain.duties import Trouble
from certwright.domain.errors import NotFound
from certwright.engine.backup import backups
from certwright.engine.context import Engine
from certwright.engine.diagnostics import about_this_program
from certwright.engine.duties import troubles
from certwright.engine.gaps import advice, unproved
from certwright.engine.service import Service
from certwright.settings import without_passwords
from certwright.store import UnitOfWork
from certwright.store.leases import CERTIFICATE, JOB, PASSING, PLACE, SERVICE

_IN_HAND = {
    SERVICE: "The service: its schedule and its duties",
    "notifications": "The sending of notifications",
    PASSING.removesuffix(":"): "A request of a program",
    "dns": "credential",
}
"""What leases are about whose names do not say so, by the part before the first colon."""
_PROGRAM = ("version", "python", "platform", "sqlite")


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store: `size` in bytes and `last_backup` are None where its server knows them."""

    kind: str
    place: str
    id: str
    revision: str
    size: int | None
    last_backup: datetime | None


@dataclass(frozen=True, slots=True)
class Work:
    """What a process has in hand, and since when; `name` is empty where there is only one of its kind."""

    what: str
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Node:
    """A process that works on the store."""

    host: str
    process: int
    work: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class System:
    """All of it.

    `reasons` are why the service is not ready. `troubles` are duties that fail, on whichever node. `advice` is what is
    missing, each in one sentence with the next step.
    """

    reasons: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    advice: tuple[str, ...]
    nodes: tuple[Node, ...]
    store: StoreFacts
    program: tuple[tuple[str, str], ...]


def system(engine: Engine, service: Service) -> System:
    """How the installation is now.

    Raises:
        StoreError: if the store cannot be used.
    """
    about = about_this_program()
    with engine.store.read() as unit:
        missing = [*advice(unit), *_advice(engine, unit, service)]
        failing, nodes = troubles(unit), _nodes(engine, unit)
    return System(
        reasons=tuple(service.reasons()),
        troubles=tuple(failing),
        advice=tuple(missing),
        nodes=tuple(nodes),
        store=_store(engine, service),
        program=tuple((name, str(about[name])) for name in _PROGRAM),
    )


def _advice(engine: Engine, unit: UnitOfWork, service: Service) -> Sequence[str]:
    told = [str(gap) for gap in unproved(engine, unit)]
    presented = service.presented()
    if presented and presented.told:
        told.append(f"These pages present a self-signed certificate for now: {presented.told}")
    elif presented and presented.facts.is_self_signed and not service.settings.own_certificate:
        told.append(
            "These pages present a certificate that they have signed themselves, so browsers warn of it. Describe one "
            "for the name that people type, and name it in the setting own_certificate."
        )
    return told


def _nodes(engine: Engine, unit: UnitOfWork) -> Sequence[Node]:
    found: dict[tuple[str, int], list[Work]] = {}
    for held in unit.leases.held(engine.now()):
        if held.name.startswith(PLACE):  # beside the certificate that is worked on there
            continue
        found.setdefault((held.holder.host, held.holder.pid), []).append(Work(*_in_hand(unit, held.name), held.since))
    return [Node(host, process, tuple(work)) for (host, process), work in found.items()]


def _in_hand(unit: UnitOfWork, lease: str) -> tuple[str, str]:
    """What a lease is about, for people, and what that is called; empty if there is only one."""
    kind, _, name = lease.partition(":")
    with suppress(NotFound):
        if lease.startswith(CERTIFICATE):
            return kind, unit.managed.get(name).title
        if lease.startswith(JOB):
            job, _ = unit.jobs.get(lease.removeprefix(JOB))
            return job.what, ""
    return _IN_HAND.get(kind, kind), "" if lease.startswith(PASSING) else name


def _store(engine: Engine, service: Service) -> StoreFacts:
    store, settings = engine.store, service.settings
    if store.is_shared:
        return StoreFacts("PostgreSQL", without_passwords(settings.place), store.id, store.revision, None, None)
    size = sum(path.stat().st_size for path in settings.data_folder.glob(f"{settings.database.name}*"))
    made = backups(engine, settings.backups) if settings.backups.is_dir() else []
    return StoreFacts("SQLite", str(settings.database), store.id, store.revision, size, made[0][0] if made else None)
