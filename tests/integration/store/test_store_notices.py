"""Rules, cases and the outbox; and stores that are older than they."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Select, create_engine, insert, select, text

from certwright.domain import certificates
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.events import Event, EventKind
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, Issuer, KeyForm, ManagedCertificate
from certwright.domain.messages import Message
from certwright.domain.notices import Case, Pace, Subject, Topic
from certwright.domain.rules import USUAL, Matter, QuietHours, Rule
from certwright.store import Store, lifecycle, schema
from unit.domain.workshop import START, Authority, ec_key
from world.stores import on_sqlite

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def managed(store: Store, title: str) -> str:
    made = ManagedCertificate(title=title, identifiers=(Identifier.parse("mail.contoso.com"),), issuer="le")
    with store.write() as unit:
        unit.managed.add(made)
    return made.id


def version(managed_id: str, days: int = 90) -> CertificateVersion:
    leaf = Authority("CA").certify("mail", ec_key(), lifetime=timedelta(days=days))
    return CertificateVersion(
        managed_id=managed_id,
        issuer="le",
        chain_pem=certificates.pem([leaf]).decode(),
        key_form=KeyForm.ELSEWHERE,
        fingerprint="f",
        issued_at=START,
    )


def case(managed_id: str, **changes: object) -> Case:
    values = {"matter": "drift", "managed_id": managed_id, "topic": "t", "title": "x", "message": "m", "since": NOW}
    return Case.model_validate({"news_at": NOW, **values, **changes})


def test_a_new_store_tells_of_all_problems_and_sums_up_once_a_week(store: Store) -> None:
    with store.read() as unit:
        rules = [rule for rule, _ in unit.notices.rules()]
    assert [rule.name for rule in rules] == ["problems", "summary"]
    assert {matter for rule in rules for matter in rule.matters} == set(USUAL)


def test_a_rule_keeps_its_pace_when_it_is_changed_and_a_new_one_begins_now(store: Store, issuer: Issuer) -> None:
    mail = managed(store, "mail")
    with store.write() as unit:
        unit.events.add(Event(kind=EventKind.DEPLOYED, managed_id=mail, at=NOW, message="m"))
        unit.notices.set_pace("problems", Pace(after=0, told_at=NOW))
        unit.notices.put_rule(Rule(name="problems", quiet=QuietHours.parse("22:00-07:00")))
        unit.notices.put_rule(Rule(name="later"))
    with store.read() as unit:
        found = {rule.name: (rule, pace) for rule, pace in unit.notices.rules()}
    assert found["problems"][0].quiet == QuietHours.parse("22:00-07:00")
    assert found["problems"][1].told_at == NOW
    assert found["later"][1] == Pace(after=1)


def test_a_rule_that_is_not_there_is_named_among_those_that_are(store: Store) -> None:
    with store.write() as unit, pytest.raises(NotFound, match="no notification rule 'x'") as caught:
        unit.notices.remove_rule("x")
    assert caught.value.hint == "Rules: problems, summary."


def test_subjects_have_the_validity_of_the_newest_version(store: Store, issuer: Issuer) -> None:
    mail, bare = managed(store, "mail"), managed(store, "bare")
    with store.write() as unit:
        unit.versions.add(version(mail, 30), None)
        unit.versions.add(version(mail, 60), None)
        found = unit.notices.subjects({mail, bare, "gone"})
    ends = START + timedelta(days=60)
    assert found == {mail: Subject("mail", START, ends), bare: Subject("bare")}
    with store.read() as unit:
        assert unit.notices.expiring(START, START + timedelta(days=59)) == {}
        assert list(unit.notices.expiring(START, ends)) == [mail]


def test_what_was_revoked_does_not_expire(store: Store, issuer: Issuer) -> None:
    mail = managed(store, "mail")
    with store.write() as unit:
        made = version(mail)
        unit.versions.add(made, None)
        unit.versions.mark_revoked(made.id, NOW)
        assert unit.notices.expiring(START, START + timedelta(days=100)) == {}


def test_due_cases_come_with_their_topic_over_all_cases(store: Store, issuer: Issuer) -> None:
    first, second, other = (managed(store, title) for title in ("first", "second", "other"))
    told = case(first, since=NOW - 5 * HOUR, told_at=NOW - HOUR, news_at=None)
    cases = [told, case(second), case(other, news_at=NOW + HOUR)]
    with store.write() as unit:
        unit.notices.keep("problems", {(c.matter, c.managed_id): c for c in cases})
        assert unit.notices.waits(NOW)
        assert unit.notices.due("problems", NOW) == [(case(second), Topic(NOW - 5 * HOUR, NOW - HOUR))]
        assert unit.notices.due("summary", NOW) == ()
        assert unit.notices.open_count() == 3
        unit.notices.hold("problems", [(case(second), NOW + HOUR)])
        assert not unit.notices.waits(NOW)
        unit.notices.keep("problems", {(Matter.DRIFT, first): told.model_copy(update={"over_at": NOW})})
        unit.notices.prune(NOW + HOUR)
        assert set(unit.notices.cases("problems", {first, second})) == {(Matter.DRIFT, second)}


def test_what_was_removed_has_no_cases(store: Store, issuer: Issuer) -> None:
    mail = managed(store, "mail")
    with store.write() as unit:
        unit.notices.keep("problems", {(Matter.DRIFT, mail): case(mail)})
        unit.notices.prune(NOW)
        assert len(unit.notices.due("problems", NOW)) == 1
        unit.managed.remove(mail)
        unit.notices.prune(NOW)
        assert unit.notices.due("problems", NOW) == ()


def message(name: str) -> Message:
    return Message(id=name, at=NOW, subject="s", text="t", html="h")


def test_a_posting_waits_until_it_is_taken(store: Store) -> None:
    with store.write() as unit:
        unit.outbox.add(message("a"), ["mail", "chat"], NOW)
        unit.outbox.add(message("b"), ["mail"], NOW + HOUR)
        postings = {posting.channel: posting for posting in unit.outbox.due(NOW, 10)}
        unit.outbox.end(postings["chat"], "202", NOW)
        unit.outbox.failed(postings["mail"], "451", NOW + 2 * HOUR)
        assert unit.outbox.due(NOW + HOUR, 10) == []  # the other one for that channel waits along
        unit.outbox.hurry("mail", NOW + HOUR)
        again = unit.outbox.due(NOW + HOUR, 10)
        assert [(p.message.id, p.attempts, p.told) for p in again] == [("a", 1, "451"), ("b", 0, "")]
        unit.outbox.prune(NOW + HOUR)
        assert len(unit.outbox.waiting()) == 2
        unit.outbox.forget("mail")
        assert unit.outbox.waiting() == []


@on_sqlite
@pytest.mark.parametrize(
    ("query", "index"),
    [
        (select(schema.cases.c.rule).where(schema.cases.c.look_at <= NOW).limit(1), "ix_cases_look_at"),
        (select(schema.outbox).where(schema.outbox.c.next_attempt_at <= NOW), "ix_outbox_next_attempt_at"),
        (select(schema.versions.c.id).where(schema.versions.c.not_after.between(NOW, NOW)), "ix_versions_not_after"),
    ],
)
def test_what_every_tick_asks_is_answered_by_an_index(store: Store, query: Select[Any], index: str) -> None:
    with store.read() as unit:
        connection = unit.managed.connection
        written = query.compile(connection, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}")]
    assert any(f"USING INDEX {index}" in step or f"USING COVERING INDEX {index}" in step for step in plan), plan


def test_credentials_of_one_family_are_not_another_s(store: Store) -> None:
    with store.write() as unit:
        unit.credentials.add_typed("notify", "webhook", "chat", {"fields": {}}, {"url": "https://x.test/"})
        unit.credentials.add_typed("dns", "cloudflare", "zone", {}, {"api_token": "t"})
        assert unit.credentials.kinds("notify") == {"chat": "webhook"}
        assert unit.credentials.typed("notify", "chat") == ("webhook", {"fields": {}, "url": "https://x.test/"})
        with pytest.raises(ConfigurationError, match="the kind dns:cloudflare, and not for a notification channel"):
            unit.credentials.typed("notify", "zone")
        unit.notices.put_rule(Rule(name="night", channels=("chat",)))
        with pytest.raises(ConfigurationError, match="used by the notification rule 'night'"):
            unit.credentials.remove("chat")


def test_an_older_store_learns_how_long_its_versions_are_valid_and_tells_of_nothing_old(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    made = version("m", 60)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        command.upgrade(config, "0006")
        connection.execute(text("INSERT INTO issuers VALUES ('le', '{}')"))
        connection.execute(
            text("INSERT INTO managed (id, title, issuer, revision, body) VALUES ('m', 't', 'le', 1, '{}')")
        )
        old = made.model_dump()
        connection.execute(insert(schema.versions).values({k: v for k, v in old.items() if k in schema.versions.c}))
        connection.execute(insert(schema.versions).values({**old, "id": "odd", "chain_pem": "no certificate"}))
        connection.execute(
            text("INSERT INTO events (kind, managed_id, at, message) VALUES ('drift', 'm', '2026-11-01', 'm')")
        )
        lifecycle.migrate(connection)
        ends = connection.execute(select(schema.versions.c.id, schema.versions.c.not_after)).all()
        assert {row.id: row.not_after for row in ends} == {made.id: START + timedelta(days=60), "odd": None}
        assert set(connection.scalars(select(schema.rules.c.pace))) == {Pace(after=1)}
        assert connection.scalars(select(schema.events.c.hint)).all() == [""]
    engine.dispose()


def test_a_rule_of_an_older_store_that_tells_of_all_problems_tells_of_the_service_too(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        command.upgrade(config, "0011")
        connection.execute(
            text("""INSERT INTO rules VALUES ('some', '{"name": "some", "matters": ["drift"]}', '{}')""")
        )
        lifecycle.migrate(connection)
        rules = connection.scalars(select(schema.rules.c.body)).all()
        assert {rule.name for rule in rules if Matter.SERVICE in rule.matters} == {"problems"}
    engine.dispose()
