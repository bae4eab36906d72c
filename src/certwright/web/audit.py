"""Audit: who did what to which, filtered by what the address says; downloaded, verified and signed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from os.path import commonprefix
from typing import Any

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from certwright.domain.access import Permission
from certwright.domain.audit import Action, Entry, SubjectKind
from certwright.domain.errors import CertwrightError, ConfigurationError, StoreError
from certwright.engine.audit import entries, exported, head, verify
from certwright.engine.context import Engine
from certwright.sdk.params import Params, read_params
from certwright.store.audit import Wanted
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, attempt, with_query

_ALL = "/audit"
_ROWS = 50
_LONGEST = 300
_AHEAD = 40
_DAY = timedelta(days=1)


class Asked(Params):
    """What the address asks for: whole days, in UTC, and the number of the last entry of the page before."""

    by: str | None = Field(default=None, max_length=300)
    action: Action | None = None
    kind: SubjectKind | None = None
    to: str | None = Field(default=None, max_length=300)
    since: date | None = None
    until: date | None = Field(default=None, lt=date.max)
    before: int | None = Field(default=None, ge=1, lt=2**63)

    @property
    def wanted(self) -> Wanted:
        """Which entries that are.

        Raises:
            ConfigurationError: if the last day is before the first one.
        """
        if self.since and self.until and self.until < self.since:
            raise ConfigurationError(_("The last day is before the first one."))
        since = _begin(self.since) if self.since else None
        until = _begin(self.until + _DAY) if self.until else None
        return Wanted(self.by, self.action, self.kind, self.to, since, until)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was another one before; empty where it was not there."""

    name: str
    before: str
    after: str


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _audit(visit: Visit, error: CertwrightError | None = None) -> Response:
    query = visit.request.query_params
    filters = {name: query[name].strip() for name in Asked.model_fields if query.get(name, "").strip()}
    found: Sequence[Entry] = ()
    try:
        asked = read_params(Asked, dict(filters), "what is looked for")
        found = entries(visit.engine, asked.wanted, _ROWS, asked.before)
    except ConfigurationError as wrong:
        error = wrong
    with visit.engine.store.read() as unit:
        signed = unit.trail.last_head()
    first = {name: value for name, value in filters.items() if name != "before"}
    following = {**filters, "before": str(found[-1].number)} if len(found) == _ROWS else {}
    return visit.page(
        "audit.html",
        error=error,
        rows=[(entry, differences(entry)) for entry in found],
        actions=list(Action),
        kinds=list(SubjectKind),
        filters=filters,
        first=with_query(_ALL, **first) if first != filters else "",
        following=with_query(_ALL, **following) if following else "",
        signed=signed,
    )


def differences(entry: Entry) -> list[Difference]:
    """What the entry says was another one before, by name; without what is empty before and after."""
    states = (entry.before or {}, entry.after or {})
    called = {each["id"]: each["title"] for state in states for value in state.values() for each in _titled(value)}
    old, new = (dict(_flat(state, called)) for state in states)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    shown = ((name, _text(old.get(name)), _text(new.get(name))) for name in names)
    return [Difference(name, *_cut(before, after)) for name, before, after in shown if before or after]


def _titled(value: Any) -> Sequence[Mapping[str, Any]]:
    """The parts of a list that go by an id and a title, such as tasks; none if it is no such list."""
    is_titled = isinstance(value, list) and all(
        isinstance(each, dict) and {"id", "title"} <= each.keys() for each in value
    )
    return value if is_titled else ()


def _flat(state: Mapping[str, Any], called: Mapping[str, str], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each value by its whole name, such as `key.type`; of what has titles the order, and each as it is `called`."""
    for name, value in state.items():
        path = f"{above}{name}"
        if titled := {called.get(each["id"], each["title"]): each for each in _titled(value)}:
            yield path, list(titled)
            yield from _flat(titled, called, f"{path}.")
        elif isinstance(value, Mapping) and value:
            yield from _flat(value, called, f"{path}.")
        else:
            yield path, value


def _text(value: Any) -> str:
    """A JSON value for people."""
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(*texts: str) -> Iterator[str]:
    """Not too much of each, so that it is seen where they differ."""
    begin = max(0, len(commonprefix(texts)) - _AHEAD)  # noqa: RUF071 - of characters
    for text in texts:
        first = begin if len(text) > _LONGEST else 0
        last = first + _LONGEST
        yield f"{'… ' if first else ''}{text[first:last]}{' …' if len(text) > last else ''}"


def _export(visit: Visit) -> Response:
    """The whole trail as a file."""
    name = f"certwright-audit-{visit.engine.now():%Y%m%d-%H%M}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(exported(visit.engine), media_type="application/jsonl", headers=headers)


def _verify(visit: Visit) -> Response:
    def work(engine: Engine) -> str:
        found = verify(engine, {})
        if found.faults:
            raise StoreError("The audit trail is not as it was written.", causes=found.told, hint=found.advice)
        return found.whole

    return visit.begin(later("Verify the audit trail"), work, None, _ALL)


def _sign(visit: Visit) -> Response:
    return attempt(visit, lambda: head(visit.engine), _audit, _ALL)


PAGES = (
    Page(_ALL, Permission.AUDIT, _audit, label=later("Audit")),
    Page("/audit/export", Permission.AUDIT, _export, "POST"),
    Page("/audit/verify", Permission.AUDIT, _verify, "POST"),
    Page("/audit/head", Permission.AUDIT, _sign, "POST"),
)
