"""Rules of notification, and what is the matter with each certificate by each of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, func, insert, select, update

from certwright.domain.audit import SubjectKind, named
from certwright.domain.clocks import SKEW
from certwright.domain.duties import PREFIX, Trouble
from certwright.domain.errors import NotFound
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.notices import DAY, Case, Pace, Subject, Topic
from certwright.domain.rules import Matter, Rule
from certwright.store.audit import Trail
from certwright.store.records import TROUBLE, Records
from certwright.store.schema import cases, events, managed, rules, versions, watches

Key = tuple[Matter, str]
"""Matter and managed certificate."""


@dataclass(frozen=True, slots=True)
class Notices:
    """The rules, and their cases."""

    connection: Connection
    trail: Trail

    def rules(self) -> list[tuple[Rule, Pace]]:
        """All, by name, each with how far it has come."""
        found = self.connection.execute(select(rules.c.body, rules.c.pace).order_by(rules.c.name))
        return [(row.body, row.pace) for row in found]

    def put_rule(self, rule: Rule) -> None:
        """Keep a rule, in place of the one of that name; a new one knows what happens from now on."""
        self.trail.change(named(SubjectKind.RULE, rule.name), self._find_rule(rule.name), rule)
        changed = self.connection.execute(update(rules).where(rules.c.name == rule.name).values(body=rule))
        if not changed.rowcount:
            known = self.connection.scalar(select(func.max(events.c.sequence))) or 0
            self.connection.execute(insert(rules).values(name=rule.name, body=rule, pace=Pace(after=known)))

    def rule(self, name: str) -> Rule:
        """The rule of this name.

        Raises:
            NotFound: with the names that there are.
        """
        if found := self._find_rule(name):
            return found
        known = ", ".join(rule.name for rule, _ in self.rules()) or "none"
        raise NotFound(f"There is no notification rule {name!r}.", hint=f"Rules: {known}.")

    def remove_rule(self, name: str) -> None:
        """Forget a rule with its cases.

        Raises:
            NotFound: as `rule`.
        """
        rule = self.rule(name)
        self.connection.execute(delete(rules).where(rules.c.name == name))
        self.trail.change(named(SubjectKind.RULE, name), rule, None)

    def _find_rule(self, name: str) -> Rule | None:
        return self.connection.scalar(select(rules.c.body).where(rules.c.name == name))

    def set_pace(self, name: str, pace: Pace) -> None:
        """Remember how far a rule has come."""
        self.connection.execute(update(rules).where(rules.c.name == name).values(pace=pace))

    def subjects(self, managed_ids: Collection[str]) -> dict[str, Subject]:
        """What cases are about, also what is watched and the duties of the service; what was removed is left out."""
        found = self.connection.execute(_with_current().where(managed.c.id.in_(managed_ids)))
        ours = {row.id: _subject(row) for row in found}
        seen = self.connection.scalars(select(watches.c.body).where(watches.c.id.in_(set(managed_ids) - ours.keys())))
        watched = {w.id: Subject(w.title, w.seen.not_before, w.seen.not_after) for w in seen}
        duties = Records(self.connection).newest(PREFIX, TROUBLE) if any(map(_is_duty, managed_ids)) else {}
        return ours | watched | {i: Subject(Trouble.model_validate(each.value).title) for i, each in duties.items()}

    def expiring(self, after: datetime, until: datetime) -> dict[str, Subject]:
        """Managed certificates of which the first version in use ends between the two moments; none that is revoked."""
        near = versions.c.not_after.between(after, until) | (managed.c.health != Health.OK)
        rows = self.connection.execute(_with_current().where(near & versions.c.revoked_at.is_(None)))
        subjects = {row.id: _subject(row) for row in rows}
        return {each: s for each, s in subjects.items() if s.ends and after <= s.ends <= until}

    def cases(self, rule: str, managed_ids: Collection[str]) -> dict[Key, Case]:
        """The cases of these certificates."""
        mine = (cases.c.rule == rule) & cases.c.managed_id.in_(managed_ids)
        return {
            (case.matter, case.managed_id): case for case in self.connection.scalars(select(cases.c.body).where(mine))
        }

    def keep(self, rule: str, changed: Mapping[Key, Case | None]) -> None:
        """Put cases in place of those that were; None forgets one."""
        if not changed:
            return
        row = (cases.c.matter == bindparam("a_matter")) & (cases.c.managed_id == bindparam("an_id"))
        keys = [{"a_matter": matter, "an_id": managed_id} for matter, managed_id in changed]
        self.connection.execute(delete(cases).where((cases.c.rule == rule) & row), keys)
        if kept := [_row(rule, case) for case in changed.values() if case]:
            self.connection.execute(insert(cases), kept)

    def hold(self, rule: str, held: Iterable[tuple[Case, datetime]]) -> None:
        """Let cases not be looked at before the moments given."""
        row = (cases.c.matter == bindparam("a_matter")) & (cases.c.managed_id == bindparam("an_id"))
        until = [{"a_matter": case.matter, "an_id": case.managed_id, "until": moment} for case, moment in held]
        if until:
            statement = update(cases).where((cases.c.rule == rule) & row).values(look_at=bindparam("until"))
            self.connection.execute(statement, until)

    def waits(self, now: datetime) -> bool:
        """Whether any case has news that may be told by now."""
        return self.connection.scalar(select(cases.c.rule).where(_has_come(now)).limit(1)) is not None

    def due(self, rule: str, now: datetime) -> Sequence[tuple[Case, Topic]]:
        """The cases whose news may be told by now, each with its topic."""
        mine = (cases.c.rule == rule) & _has_come(now)
        found = list(self.connection.scalars(select(cases.c.body).where(mine)))
        if not found:
            return ()
        same = (cases.c.rule == rule) & cases.c.topic.in_(select(cases.c.topic).where(mine))
        moments = (func.min(cases.c.since).label("began"), func.max(cases.c.told_at).label("told_at"))
        grouped = self.connection.execute(select(cases.c.topic, *moments).where(same).group_by(cases.c.topic))
        topics = {row.topic: Topic(row.began, row.told_at) for row in grouped}
        return [(case, topics[case.topic]) for case in found]

    def open_count(self) -> int:
        """How many certificates, and duties of the service, have a case that is not over."""
        return (
            self.connection.scalar(select(func.count(cases.c.managed_id.distinct())).where(cases.c.over_at.is_(None)))
            or 0
        )

    def prune(self, before: datetime) -> None:
        """Forget the cases that were over before this moment, and those of what was removed."""
        of_nothing = cases.c.managed_id.not_in(select(managed.c.id)) & cases.c.managed_id.not_in(select(watches.c.id))
        of_nothing &= ~cases.c.managed_id.startswith(PREFIX, autoescape=True)
        self.connection.execute(delete(cases).where((cases.c.over_at < before) | of_nothing))


def _has_come(now: datetime) -> ColumnElement[bool]:
    """Which cases are to be looked at: also those that are put off for longer than any is."""
    return (cases.c.look_at <= now) | (cases.c.look_at > now + DAY + SKEW)


def _is_duty(managed_id: str) -> bool:
    return managed_id.startswith(PREFIX)


def _with_current() -> Select[str, str, datetime | None, datetime | None, Condition | None]:
    """Managed certificates with the validity of their newest version, if there is one, and how they are."""
    newest = (
        select(func.max(versions.c.sequence))
        .where(versions.c.managed_id == managed.c.id)
        .correlate(managed)
        .scalar_subquery()
    )
    columns = (managed.c.id, managed.c.title, versions.c.not_before, versions.c.not_after, managed.c.condition)
    return select(*columns).select_from(managed.outerjoin(versions, versions.c.sequence == newest))


def _subject(row: Row[str, str, datetime | None, datetime | None, Condition | None]) -> Subject:
    ends = row.condition.ends if row.condition else None
    return Subject(row.title, row.not_before, row.not_after, ends if ends != row.not_after else None)


def _row(rule: str, case: Case) -> dict[str, object]:
    return {
        "rule": rule,
        "matter": case.matter,
        "managed_id": case.managed_id,
        "topic": case.topic,
        "since": case.since,
        "told_at": case.told_at,
        "over_at": case.over_at,
        "look_at": case.news_at,
        "body": case,
    }
