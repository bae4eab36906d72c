"""Audit: who did what to which, filtered by what the address says; downloaded, verified and signed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from certwright.domain.access import Permission
from certwright.domain.audit import Action, Entry, SubjectKind
from certwright.domain.errors import CertwrightError, StoreError
from certwright.engine.audit import entries, exported, head, verify
from certwright.engine.context import Engine
from certwright.sdk.params import Params, read_params
from certwright.store.audit import Wanted
from certwright.web.language import later
from certwright.web.pages import Page, Visit, attempt, with_query

_ALL = "/audit"
_ROWS = 50
_LONGEST = 300
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
        """Which entries that are."""
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
    asked = read_params(Asked, dict(filters), "what is looked for")
    found = entries(visit.engine, asked.wanted, _ROWS, asked.before)
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
    old, new = dict(_flat(entry.before or {})), dict(_flat(entry.after or {}))
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    shown = (Difference(name, _text(old.get(name)), _text(new.get(name))) for name in names)
    return [each for each in shown if each.before or each.after]


def _flat(state: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each value by its whole name, such as `key.type`."""
    for name, value in state.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _text(value: Any) -> str:
    """A JSON value for people, not too long of it."""
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = ", ".join(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


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
