"""Pages of the managed certificates, by title or by their end: each begins after the last row of the one before."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    String,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)

from certwright.domain.errors import InvalidIdentifier
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import MAX_NAME, Identifier
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Stage
from certwright.store.schema import deployments, managed, names, searched, tags, targets, uses
from certwright.store.scope import Scope
from certwright.store.uses import Used

_MOST_DIFFERENT = 100
_FEW = 500
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
PageQuery = Select[ManagedCertificate, Condition | None, datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Listed:
    """A managed certificate in a list: how it was judged last, when it is looked at next, and when it ends."""

    managed: ManagedCertificate
    condition: Condition | None
    next_check: datetime | None
    not_after: datetime | None


class Ends(NamedTuple):
    """A list in the order of ends: after this moment and title, until that moment."""

    after: datetime
    title: str
    until: datetime


class Expiry(StrEnum):
    """Which are wanted by their end: those that are over, end within so many days, have one, or were never issued."""

    OVER = "over"
    WEEK = "7"
    MONTH = "30"
    QUARTER = "90"
    LATER = "later"
    NEVER = "never"

    def ends(self, after: str, now: datetime) -> Ends | None:
        """In which order, and until when, and from where on; None of those that were never issued."""
        match self:
            case Expiry.NEVER:
                return None
            case Expiry.OVER:
                begin, until = _FIRST, now
            case Expiry.LATER:
                begin, until = _FIRST, _LAST
            case _:
                begin, until = now, now + timedelta(days=int(self))
        moment, _space, title = after.partition(" ")
        try:
            begun = datetime.fromisoformat(moment)
            begun = begun.astimezone(UTC) if begun.tzinfo else begin
        except (ValueError, OverflowError):
            return Ends(begin, "", until)
        return Ends(begun, title, until)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which managed certificates are wanted: those of which all of this is true.

    Attributes:
        health: they are one of these; any, if there are none.
        issuer: this issuer signs them first.
        name: they have this name.
        tag: they have this tag.
        target: a task found or put them on this server.
        part: this stands in their title or in a name, whatever the capitals; or it is labels of a name, in whichever
            script.
        ends: they end in this span; then they are in the order of their ends.
        never_issued: they never were.
        has_tasks: they have some.
        stage: one of their tasks stands there; no index knows that.
    """

    health: Collection[Health] = ()
    issuer: str | None = None
    name: Identifier | None = None
    tag: str | None = None
    target: str | None = None
    part: str = ""
    ends: Ends | None = None
    never_issued: bool = False
    has_tasks: bool = False
    stage: Stage | None = None

    def place(self, last: Listed) -> str:
        """Where the page after this row begins."""
        if self.ends is None or last.not_after is None:
            return last.managed.title
        moment = last.not_after.isoformat().replace("+00:00", "Z")  # a plus sign in an address is a blank
        return f"{moment} {last.managed.title}"

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """All but `part` and `ends`."""
        if self.health:
            yield managed.c.health.in_(self.health)
        if self.issuer is not None:
            yield managed.c.issuer == self.issuer
        if self.name is not None:
            yield managed.c.id.in_(select(names.c.managed_id).where(names.c.identifier == str(self.name)))
        if self.tag is not None:
            yield managed.c.id.in_(select(tags.c.managed_id).where(tags.c.tag == self.tag))
        if self.target is not None:
            yield managed.c.id.in_(select(targets.c.managed_id).where(targets.c.target == self.target))
        if self.never_issued:
            yield managed.c.ends_at.is_(None)
        if self.has_tasks:
            yield managed.c.id.in_(select(uses.c.managed_id).where(uses.c.used == Used.TASK))
        if self.stage is not None:
            there = type_coerce(deployments.c.body, String).contains(f'"stage":"{self.stage}"')
            yield managed.c.id.in_(select(deployments.c.managed_id).where(there))


ALL = Filter()


@dataclass(frozen=True, slots=True)
class Listing:
    """The list of all managed certificates."""

    connection: Connection
    scope: Scope

    def page(self, after: str, limit: int, wanted: Filter = ALL) -> list[Listed]:
        """Those whose title comes after this one; or, by their ends, those after the place that these say.

        Args:
            after: the last title of the page before; empty for the first page.
            limit: how many at most.
            wanted: which; if by their ends, `after` is not heeded.
        """
        return [Listed(*row) for row in self.connection.execute(self._query(after, limit, wanted))]

    def ids(self, wanted: Filter, limit: int) -> list[str]:
        """The first of all that are wanted."""
        return list(self.connection.scalars(self._query("", limit, wanted).with_only_columns(managed.c.id)))

    def _query(self, after: str, limit: int, wanted: Filter) -> PageQuery:
        """There is no index of what stands in titles and names: all of these are read to their end.

        Where few have it they are named, and where many have it, their list itself comes upon them soon.
        """
        has = _has(wanted.part)
        if has is None:
            query = page_query(after, limit, wanted.ends)
        elif (ids := self._few(has)) is not None:
            query = page_query(after, limit, wanted.ends).where(managed.c.id.in_(ids))
        else:
            query = page_query(after, limit, wanted.ends, searched.c.title)
            query = query.where(searched.c.title == managed.c.title, has)
        for condition in wanted.conditions():
            query = query.where(condition)
        return self.scope.narrow(query, managed.c.id)

    def _few(self, has: ColumnElement[bool]) -> Sequence[str] | None:
        """All of which this is true; None if these are many."""
        ids = self.connection.scalars(select(searched.c.managed_id).where(has).limit(_FEW + 1)).all()
        return ids if len(ids) <= _FEW else None

    def targets(self) -> list[str]:
        """The first servers that certificates were found or put on, in order, of those that are seen."""
        return self._different(targets.c.target, targets.c.managed_id)

    def tags(self) -> list[str]:
        """The first tags that there are, in order."""
        if self.scope.tags:
            return sorted(self.scope.tags)
        return self._different(tags.c.tag, tags.c.managed_id)

    def _different(self, column: Column[str], managed_id: Column[str]) -> list[str]:
        """The first values; the index is read by leaps from one to the next."""
        least = self.scope.narrow(select(func.min(column).label("value")), managed_id)
        leaps = least.cte("leaps", recursive=True)
        following = least.where(column > leaps.c.value).scalar_subquery()
        leaps = leaps.union_all(select(following).where(leaps.c.value.is_not(None)))
        wanted = select(leaps.c.value).where(leaps.c.value.is_not(None)).limit(_MOST_DIFFERENT)
        return list(self.connection.scalars(wanted))


def page_query(after: str, limit: int, ends: Ends | None = None, title: Column[str] = managed.c.title) -> PageQuery:
    """What `page` asks; indexes answer it, in their order: that of `title`, which may be another table's."""
    query = select(managed.c.body, managed.c.condition, managed.c.next_action_at, managed.c.ends_at).limit(limit)
    if ends is None:
        return query.where(title > after).order_by(title)
    place = tuple_(managed.c.ends_at, managed.c.title)
    begin = tuple_(literal(ends.after, managed.c.ends_at.type), literal(ends.title))
    return query.where(place > begin, managed.c.ends_at <= ends.until).order_by(managed.c.ends_at, managed.c.title)


def _has(part: str) -> ColumnElement[bool] | None:
    """That this stands in a title, or in a name as names are kept; None if nothing was typed."""
    typed = part.strip().lower()
    if not typed:
        return None
    return or_(*(searched.c.text.contains(each, autoescape=True) for each in (typed, *_as_name(typed))))


def _as_name(typed: str) -> Iterator[str]:
    """How a name is kept of which this is all, or some labels, in its own script."""
    if not typed.isascii() and len(typed) <= MAX_NAME:
        with suppress(InvalidIdentifier):
            yield str(Identifier.parse(typed))
