"""Looks are taken by one each, conditions are kept, and both are found without reading what is not asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, update

from certwright.domain.deployment import Finding, ServedRow, Severity, Verdict
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.looks import Looks, ProofLook, TaskLook
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.store import Store, healths, listing, looks, runs
from certwright.store.schema import managed as table
from world.stores import on_sqlite

NOW = datetime(2026, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def add(store: Store, *titles: str) -> list[ManagedCertificate]:
    made = [ManagedCertificate(title=title, identifiers=[f"{title}.contoso.test"], issuer="le") for title in titles]
    with store.write() as unit:
        for each in made:
            unit.managed.add(each)
    return made


def condition(health: Health, until: datetime | None = None, rule: str = "well") -> Condition:
    return Condition(health=health, rule=rule, message="It is so.", until=until)


def test_what_was_seen_is_read_back_as_it_was_and_goes_with_the_certificate(store: Store, issuer: Issuer) -> None:
    (mail,) = add(store, "mail")
    row = ServedRow(server="ex01", service="IIS", address="192.0.2.1", port=443, protocol="TLSv1.3", verdict=Verdict.OK)
    finding = Finding(check="drift-port", severity=Severity.STOP, subject="ex01", message="It differs.")
    look = TaskLook(version_id="v", not_after=NOW, seen_at=NOW, rows=(row,), differences=(finding,), told=("drift",))
    seen = Looks(tasks={"task": look}, proof=ProofLook(ends=NOW, name="_validation-persist.contoso.test"))
    with store.write() as unit:
        assert unit.looks.get(mail.id) == Looks()
        unit.looks.save(mail.id, Looks())
        unit.looks.save(mail.id, seen)
    with store.read() as unit:
        assert unit.looks.get(mail.id) == seen
    with store.write() as unit:
        unit.managed.remove(mail.id)
        assert unit.looks.get(mail.id) == Looks()


def test_a_look_that_a_wrong_clock_has_put_off_is_taken(store: Store, issuer: Issuer) -> None:
    late, soon = add(store, "late", "soon")
    with store.write() as unit:
        unit.looks.schedule(late.id, NOW + 400 * 24 * HOUR)
        unit.looks.schedule(soon.id, NOW + 26 * HOUR)
        assert unit.looks.is_due(NOW)
        assert unit.looks.take(NOW, 5, NOW + HOUR) == [late]
        assert not unit.looks.is_due(NOW)


def test_a_condition_that_a_wrong_clock_judged_is_judged_anew(store: Store, issuer: Issuer) -> None:
    late, soon = add(store, "late", "soon")
    with store.write() as unit:
        unit.healths.put(late.id, condition(Health.CRITICAL, NOW + 400 * 24 * HOUR))
        unit.healths.put(soon.id, condition(Health.OK, NOW + 48 * HOUR))
        assert list(unit.healths.stale(NOW, 5)) == [late]


def test_what_is_due_is_taken_once_the_longest_overdue_first_and_comes_again(store: Store, issuer: Issuer) -> None:
    first, second, third, _never = add(store, "first", "second", "third", "never")
    with store.write() as unit:
        assert not unit.looks.is_due(NOW)
        for each, hours in ((second, 1), (first, 2), (third, -1)):
            unit.looks.schedule(each.id, NOW - hours * HOUR)
        assert unit.looks.is_due(NOW)
        assert unit.looks.take(NOW, 1, NOW + HOUR) == [first]
        assert unit.looks.take(NOW, 5, NOW + HOUR) == [second]
        assert unit.looks.take(NOW, 5, NOW + HOUR) == []
        assert unit.looks.next(first.id) == NOW + HOUR
        assert {each.id for each in unit.looks.take(NOW + HOUR, 5, NOW + 2 * HOUR)} == {first.id, second.id, third.id}


def test_conditions_are_counted_and_listed_the_worst_first(store: Store, issuer: Issuer) -> None:
    made = add(store, "b", "a", "d", "c")
    found = [Health.FAILING, Health.FAILING, Health.CRITICAL, Health.OK]
    with store.write() as unit:
        for each, health in zip(made, found, strict=True):
            unit.healths.put(each.id, condition(health))
    with store.read() as unit:
        counts = unit.healths.counts()
        listed = unit.healths.list([Health.FAILING, Health.CRITICAL])
        first = unit.healths.first([Health.FAILING, Health.CRITICAL], 2)
    assert list(counts.items()) == [(Health.CRITICAL, 1), (Health.FAILING, 2), (Health.OK, 1)]
    assert [each.title for each in listed] == ["d", "a", "b"]
    assert listed[0].condition == condition(Health.CRITICAL)
    assert first == listed[:2]


def test_what_was_never_judged_and_what_held_until_now_is_stale(store: Store, issuer: Issuer) -> None:
    new, over, holds, forever = add(store, "new", "over", "holds", "forever")
    with store.write() as unit:
        unit.healths.put(over.id, condition(Health.OK, NOW))
        unit.healths.put(holds.id, condition(Health.OK, NOW + HOUR))
        unit.healths.put(forever.id, condition(Health.OK))
        assert unit.healths.counts() == {Health.OK: 3}
        assert unit.healths.stale(NOW, 9) == [new, over]
        assert unit.healths.stale(NOW, 1) == [new]


def plan(store: Store, query: Select[*tuple[Any, ...]]) -> list[str]:
    with store.read() as unit:
        connection = unit.looks.connection
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


@on_sqlite
def test_indexes_answer(store: Store, issuer: Issuer) -> None:
    add(store, *(f"host{number}" for number in range(50)))
    with store.write() as unit:
        unit.looks.connection.execute(update(table).values(health="ok", next_look_at=NOW))
    look = "SEARCH managed USING INDEX ix_managed_look (next_look_at>? AND next_look_at<?)"
    assert plan(store, looks.due_query(NOW, 9)) == [look]
    judge = "SEARCH managed USING INDEX ix_managed_judge (health_until>? AND health_until<?)"
    assert plan(store, healths.stale_query(NOW, 9)) == [judge]
    (first, *_) = plan(store, healths.list_query([Health.FAILING]))
    assert first.startswith("SEARCH managed USING INDEX ix_managed_health (health=?)")
    assert plan(store, listing.page_query("", 9)) == ["SEARCH managed USING INDEX sqlite_autoindex_managed_2 (title>?)"]
    (first, *_) = plan(store, listing.page_query("", 9, listing.Ends(NOW, "", NOW + HOUR)))
    assert first.startswith("SEARCH managed USING INDEX ix_managed_ends (")
    assert plan(store, runs.under_way_query(9)) == ["SCAN runs USING INDEX ix_runs_open"]
