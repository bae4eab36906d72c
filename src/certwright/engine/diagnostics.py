"""What somebody needs who is to say what is wrong: without a secret and, if wanted, without a real name."""

import io
import json
import os
import platform
import re
import sqlite3
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from pydantic import TypeAdapter

from certwright.domain.audit import Action, the_store
from certwright.domain.errors import ConfigurationError
from certwright.domain.events import Event
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.runs import DeploymentState, Entry, Run
from certwright.domain.watching import Watched
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.credentials import credentials
from certwright.engine.exchange.discovery import last_seen
from certwright.engine.exchange.reach import organisations
from certwright.engine.managed import Details, summaries
from certwright.engine.scrub import Scrubber
from certwright.exchange.discovery.pseudonyms import Pseudonyms
from certwright.exchange.snapshot import Snapshot, dump
from certwright.sdk.params import Params
from certwright.settings import Settings, shown
from certwright.store import UnitOfWork

RUNS, EVENTS, CERTIFICATES = 50, 500, 1000
LOG_BYTES = 2_000_000
_SENTENCES = {"message", "detail"}
_OURS = frozenset(
    """
    kind outcome phase stage reason severity verdict protocol service challenge solver source type deployed due
    id run_id version_id managed_id task_id account_id sequence step parent enabled revision fingerprint
    role trigger watched setting
    """.split()  # noqa: SIM905 - a list of words is read as such
)
_EXTRA = frozenset(
    """
    due message next_check not_after thumbprint sha256 deployed versions deployments issued_at journal used_by
    held until
    file key_folder settings value where environment
    """.split()  # noqa: SIM905 - a list of words is read as such
)
"""Fields that only this module, or `Details.data`, gives a name."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*(Z|[+-]\d\d:\d\d)?")


def collect(engine: Engine, settings: Settings, *, pseudonyms: bool) -> Mapping[str, str]:
    """Name and text of each file of the bundle; see `docs/guide/diagnostics.md` for what is in which.

    Args:
        engine: what to work with.
        settings: the places of the installation.
        pseudonyms: whether names of hosts, domains and people are replaced, each by the same everywhere.
    """
    scrubber = Scrubber(_known(engine, settings))
    same = {"about": about_this_program(), "store": _store(engine, settings)}
    named = {
        "settings": _settings(settings),
        "certificates": _certificates(engine),
        **_history(engine),
        "organisations": [dump(seen) for seen in _snapshots(engine)],
    }
    values = {name: scrubber.value(value) for name, value in named.items()}
    logs = {name: scrubber.text(text) for name, text in _logs(settings)}
    if pseudonyms:
        names = Pseudonyms()
        _renamed(values, logs, names)  # what is a name anywhere is one in every sentence
        values, logs = _renamed(values, logs, Pseudonyms(names.originals))
    texts = {f"{name}.json": _text(value) for name, value in (scrubber.value(same) | values).items()}
    return {**texts, **{f"logs/{name}": text for name, text in logs.items()}}


def bundle(engine: Engine, settings: Settings, *, pseudonyms: bool) -> tuple[bytes, Sequence[str]]:
    """The files of `collect` in one ZIP file, and their names."""
    engine.note(Action.EXPORTED, the_store(engine.store.id), {"diagnostics": "all that is not secret"})
    files, made = collect(engine, settings, pseudonyms=pseudonyms), io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return made.getvalue(), sorted(files)


def _renamed(
    values: Mapping[str, Any], logs: Mapping[str, str], names: Pseudonyms
) -> tuple[dict[str, Any], dict[str, str]]:
    fields = _fields()

    def renamed(value: Any, key: str, sentences: Collection[str]) -> Any:
        if isinstance(value, dict):
            return {k if k in fields else names.data(k): renamed(v, k, sentences) for k, v in value.items()}
        if isinstance(value, list):
            return [renamed(one, key, sentences) for one in value]
        if not isinstance(value, str) or key in _OURS or _MOMENT.fullmatch(value):
            return value
        return names.prose(value) if key in sentences else names.data(value)

    made = {
        name: renamed(value, name, _SENTENCES | {"title"} if name == "runs" else _SENTENCES)
        for name, value in values.items()
    }
    return made, {name: names.prose(text) for name, text in logs.items()}


@cache
def _fields() -> frozenset[str]:
    """The names of all fields of what is collected: those are ours, whatever else is a key is a name."""
    kinds = (ManagedCertificate, Issuer, Run, Entry, Event, DeploymentState, Watched, Snapshot)
    found = set(_EXTRA)
    for kind in (*kinds, *_params()):
        _properties(TypeAdapter(kind).json_schema(), found)
    return frozenset(found)


def _params() -> Iterator[type[Params]]:
    """The models of what is stored in certificates and issuers; what cannot be loaded here counts as not known."""
    kinds: tuple[catalog.Kind, ...] = ("issuers", "solvers", "tasks")
    for kind in kinds:
        for name in catalog.names(kind):
            with suppress(ConfigurationError):
                yield catalog.plugin(kind, name).params


def _properties(schema: Any, found: set[str]) -> None:
    if isinstance(schema, dict):
        found.update(schema.get("properties", {}))
        for part in schema.values():
            _properties(part, found)
    elif isinstance(schema, list):
        for part in schema:
            _properties(part, found)


def about_this_program() -> Mapping[str, Any]:
    """Versions of the program, of what it stands on, and of the system."""
    packages = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
    return {
        "version": metadata.version("certwright"),
        "python": sys.version,
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": dict(sorted(packages.items())),
    }


def _settings(settings: Settings) -> Mapping[str, Any]:
    return {
        "file": str(settings.file) if settings.file else None,
        "key_folder": str(settings.key_folder),
        "settings": [{"setting": one.name, "value": one.value, "where": one.where} for one in shown(settings)],
        "environment": sorted(name for name in os.environ if name.startswith("CERTWRIGHT_")),
    }


def _store(engine: Engine, settings: Settings) -> Mapping[str, Any]:
    return {
        "id": engine.store.id,
        "revision": engine.store.revision,
        "rows": dict(engine.store.rows()),
        "files": {path.name: path.stat().st_size for path in sorted(settings.data_folder.glob("*.db*"))},
        "damages": engine.store.damages(),
    }


def _certificates(engine: Engine) -> list[dict[str, Any]]:
    return [_data(one) for one in summaries(engine, limit=CERTIFICATES)]


def _data(details: Details) -> dict[str, Any]:
    return {**details.data(), "versions": [{"id": v.id, "issued_at": str(v.issued_at)} for v in details.versions]}


def _history(engine: Engine) -> dict[str, Any]:
    with engine.store.read() as unit:
        runs = [_run(unit, run) for run in unit.runs.list(limit=RUNS)]
        events = [event.model_dump(mode="json") for event in unit.events.last(EVENTS)]
        issuers = [issuer.model_dump(mode="json") for issuer in unit.issuers.list()]
        watches = [watched.model_dump(mode="json") for watched in unit.watches.list()]
    shown = [{"name": c.name, "kind": c.kind, "used_by": list(c.used_by.first)} for c in credentials(engine)]
    return {"runs": runs, "events": events, "watches": watches, "issuers": issuers, "credentials": shown}


def _run(unit: UnitOfWork, run: Run) -> dict[str, Any]:
    journal = [entry.model_dump(mode="json") for entry in unit.runs.entries(run.id)]
    return {**run.model_dump(mode="json"), "journal": journal}


def _snapshots(engine: Engine) -> Iterable[Snapshot]:
    for known in organisations(engine):
        if seen := last_seen(engine, next(iter(known.values()))):
            yield seen


def _known(engine: Engine, settings: Settings) -> Iterable[bytes]:
    """The secrets that do not look like one."""
    with engine.store.read() as unit:
        found = [
            unit.secrets.get(name) for name in unit.secrets.names() if name.startswith(("credential:", "issuer-eab:"))
        ]
    return [*found, *([settings.master_key.encode()] if settings.master_key else [])]


def _logs(settings: Settings) -> Iterable[tuple[str, str]]:
    for path in sorted((settings.data_folder / "logs").glob("*.log*")):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            yield path.name, file.read(LOG_BYTES).decode("utf-8", "replace")


def _text(value: Any) -> str:
    return json.dumps(value, indent=1, default=str, ensure_ascii=False) + "\n"
