"""Lists of managed certificates: what a filter finds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, delete, select, text, update

from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import Issuer, ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState
from certwright.domain.validation import Validation
from certwright.store import Store, lifecycle, listing, schema
from certwright.store.listing import Ends, Filter
from certwright.store.uses import used_by
from world.stores import on_sqlite

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TASK = TaskSettings(id="ba9876543210", kind="script", title="put it there", params={})


def add(store: Store, title: str, *names: str, tasks: tuple[TaskSettings, ...] = ()) -> ManagedCertificate:
    made = ManagedCertificate(title=title, identifiers=parse_all(names), issuer="le", tasks=tasks)
    with store.write() as unit:
        unit.managed.add(made)
    return made


def titles(store: Store, wanted: Filter, after: str = "", limit: int = 50) -> list[str]:
    with store.read() as unit:
        found = unit.listing.page(after, limit, wanted)
        if len(found) < limit and not after:
            assert unit.listing.ids(wanted, limit) == [each.managed.id for each in found]
    return [each.managed.title for each in found]


def served(server: str) -> ServedRow:
    return ServedRow(server=server, service="IIS", address="192.0.2.1", port=443, protocol="https", verdict=Verdict.OK)


def state(made: ManagedCertificate, *servers: str, baseline: tuple[str, ...] = ()) -> DeploymentState:
    rows = {"served": tuple(map(served, servers)), "baseline": tuple(map(served, baseline))}
    return DeploymentState(task_id=TASK.id, managed_id=made.id, **rows)


def test_a_part_is_looked_for_in_titles_and_names_whatever_the_capitals(store: Store, issuer: Issuer) -> None:
    add(store, "Front door", "www.contoso.com", "contoso.com")
    add(store, "100% of_it", "mail.fabrikam.com")
    for part, found in {
        "front d": ["Front door"],
        "oso.c": ["Front door"],
        "fabrikam": ["100% of_it"],
        ".com": ["100% of_it", "Front door"],
        "%": ["100% of_it"],
        "f_i": ["100% of_it"],
        "r_n": [],
        "doorwww": [],
    }.items():
        assert titles(store, Filter(part=part)) == found, part


def test_a_part_is_looked_for_as_it_is_written_and_as_names_are_kept(store: Store, issuer: Issuer) -> None:
    add(store, "Bücher in München", "www.bücher.example", "contoso.com")
    add(store, "by name", "münchen.example")
    for part, found in {
        " BÜCHER.example": ["Bücher in München"],
        "www.bücher": ["Bücher in München"],
        "xn--bcher-kva": ["Bücher in München"],
        "mün": ["Bücher in München"],
        "München": ["Bücher in München", "by name"],
        "in mün": ["Bücher in München"],
        "ü": ["Bücher in München"],
        "ü" * 300: [],
        "  ": ["Bücher in München", "by name"],
    }.items():
        assert titles(store, Filter(part=part)) == found, part


def test_what_is_called_otherwise_is_found_as_it_is_called_now(store: Store, issuer: Issuer) -> None:
    made = add(store, "before", "www.contoso.com")
    with store.write() as unit:
        unit.managed.update(made.model_copy(update={"title": "after", "identifiers": parse_all(["a.contoso.com"])}))
    add(store, "before", "mail.contoso.com")
    assert titles(store, Filter(part="before")) == ["before"]
    assert titles(store, Filter(part="www")) == []
    assert titles(store, Filter(part="a.con")) == ["after"]
    with store.write() as unit:
        unit.managed.remove(made.id)
    assert titles(store, Filter(part="contoso")) == ["before"]


def test_a_part_that_many_have_goes_with_pages_and_other_filters(store: Store, issuer: Issuer) -> None:
    """More than are named one by one: then the list itself looks."""
    made = [
        ManagedCertificate(title=f"host{number:04}", identifiers=parse_all([f"h{number}.contoso.com"]), issuer="le")
        for number in range(600)
    ]
    ends = [NOW + timedelta(days=600 - number) for number in range(600)]
    with store.write() as unit:
        for each, end in zip(made, ends, strict=True):
            unit.managed.add(each)
            health = Health.FAILING if each.title.endswith("77") else Health.OK
            condition = Condition(health=health, rule="r", message="m")
            values = {"health": health, "condition": condition, "ends_at": end}
            mine = schema.managed.c.id == each.id
            unit.looks.connection.execute(update(schema.managed).where(mine).values(**values))
    assert titles(store, Filter(part="contoso"), "host0009", 3) == ["host0010", "host0011", "host0012"]
    assert titles(store, Filter(part="contoso", health=[Health.FAILING])) == [
        f"host0{hundreds}77" for hundreds in range(6)
    ]
    by_end = Filter(part="contoso", ends=Ends(NOW, "", NOW + timedelta(days=3)))
    assert titles(store, by_end) == ["host0599", "host0598", "host0597"]
    assert titles(store, Filter(part="h77.")) == ["host0077"]


def test_a_list_goes_by_the_servers_that_tasks_found_or_put_it_on(store: Store, issuer: Issuer) -> None:
    one, two = add(store, "one", "a.contoso.com", tasks=(TASK,)), add(store, "two", "b.contoso.com")
    with store.write() as unit:
        unit.deployments.save(state(one, "ex2", baseline=("ex1", "ex2")))
        unit.deployments.save(state(two, "ex1").model_copy(update={"task_id": "another"}))
    assert titles(store, Filter(target="ex1")) == ["one", "two"]
    assert titles(store, Filter(target="ex2")) == ["one"]
    with store.write() as unit:
        assert unit.listing.targets() == ["ex1", "ex2"]
        unit.deployments.save(state(one, "ex3"))
        assert unit.listing.targets() == ["ex1", "ex3"]
        unit.managed.update(one.model_copy(update={"tasks": ()}))
        assert unit.listing.targets() == ["ex1"]
        unit.managed.remove(two.id)
        assert unit.listing.targets() == []


def test_what_an_earlier_version_described_is_found_after_the_housekeeping(store: Store, issuer: Issuer) -> None:
    made, renamed = add(store, "made", "a.contoso.com", tasks=(TASK,)), add(store, "renamed", "b.contoso.com")
    with store.write() as unit:
        connection = unit.looks.connection
        for table in (schema.searched, schema.uses):
            connection.execute(delete(table).where(table.c.managed_id == made.id))
        connection.execute(update(schema.managed).where(schema.managed.c.id == made.id).values(referred=None))
        mine = schema.managed.c.id == renamed.id
        connection.execute(
            update(schema.managed)
            .where(mine)
            .values(title="now", revision=2, body=renamed.model_copy(update={"title": "now"}))
        )
    with store.write() as unit:
        assert unit.managed.find_again(1) == 1
        assert unit.managed.find_again(9) == 1
        assert unit.managed.find_again(9) == 0
    assert [titles(store, Filter(part=part)) for part in ("made", "now")] == [["made"], ["now"]]
    assert titles(store, Filter(has_tasks=True)) == ["made"]


def test_an_older_store_learns_what_its_certificates_use(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    by_dns = Validation(challenge="dns-01", solver="dns", params={"credential": "dns"})
    task = TaskSettings(kind="exchange", title="mail", params={"credential": "admin", "server": "ex1"})
    fields = {"fallback_issuers": ("zerossl",), "pfx_password_credential": "pfx", "validations": (by_dns, by_dns)}
    made = ManagedCertificate(title="mail", identifiers=parse_all(["a.b"]), issuer="le", tasks=(task,), **fields)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        command.upgrade(config, "0020")
        connection.execute(text("INSERT INTO issuers VALUES ('le', '{}')"))
        row = {"id": made.id, "body": made.model_dump_json()}
        connection.execute(
            text("INSERT INTO managed (id, title, issuer, revision, body) VALUES (:id, 'mail', 'le', 3, :body)"), row
        )
        lifecycle.migrate(connection)
        found = {(used, name) for used, name, _ in connection.execute(select(schema.uses))}
        assert found == used_by(made)
        assert ("task", "exchange") in found
        assert connection.scalars(select(schema.managed.c.referred)).all() == [3]
    engine.dispose()


@on_sqlite
def test_the_list_of_what_is_searched_lies_in_its_order(store: Store, issuer: Issuer) -> None:
    with store.read() as unit:
        query = listing.page_query("", 9, title=schema.searched.c.title).where(
            schema.searched.c.title == schema.managed.c.title, schema.searched.c.text.contains("x")
        )
        told = str(query.compile(unit.looks.connection, compile_kwargs={"literal_binds": True}))
        plan = [row.detail for row in unit.looks.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {told}")]
    assert plan[0].startswith("SEARCH searched USING PRIMARY KEY (title>"), plan
    assert not [step for step in plan if "TEMP B-TREE" in step]
