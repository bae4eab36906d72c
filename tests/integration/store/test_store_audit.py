"""What changes tells of itself: in its own transaction, in one chain, whoever writes."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certwright.domain.access import SERVICE, ApiToken, Caller, Identity, Permission, Person, Role, SignedIn
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.audit import Action, Entry, SubjectKind, named
from certwright.domain.audit_faults import Verification
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.rules import Rule
from certwright.domain.totp import SecondFactor
from certwright.domain.watching import Place, Seen, Watched
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.sdk.context import Credential
from certwright.settings import Settings
from certwright.store import Store, UnitOfWork
from certwright.store.audit import KEY, Wanted, list_query
from world.stores import execute, on_sqlite

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ANNA = Caller(Actor(kind=ActorKind.PERSON, name="anna"), frozenset(Permission))
SECRET = "correct horse battery staple"

STATE_ALONE = {
    "secrets": "written by the aggregates that they belong to, which tell",
    "listing": "reads",
    "renewals": "failures, advice, and what engine/hold.py tells of itself",
    "looks": "what was seen",
    "healths": "what was judged",
    "versions": "what was issued; engine/revoke.py tells of itself",
    "orders": "what is under way",
    "runs": "what was tried; engine/context.py tells who began it",
    "answers": "what is under way",
    "deployments": "what was done",
    "events": "what happened",
    "records": "what was seen",
    "ledger": "what was counted",
    "outbox": "what is to be sent",
    "leases": "who works on what",
    "jobs": "what was begun over the API, whose use cases tell",
    "repeats": "what was answered",
    "trail": "the trail itself",
}
READS_OR_STATE = {
    "issuers": {"get", "list", "account_key", "external_account_binding"},
    "managed": {
        *("get", "list", "with_task", "revision", "current", "next_check", "due", "backlog", "count", "next_moment"),
        *("set_next_check", "hurry", "hurry_ending", "find_again", "count_change"),
        *("there", "holders", "check_title"),
    },
    "credentials": {"get", "sealed", "typed", "kinds", "of_kind", "shown", "names", "list", "check_unused"},
    "watches": {"get", "list", "page", "due", "save"},
    "windows": {"get", "list", "users"},
    "tokens": {"find", "get", "list", "update", "subject"},
    "people": {"find", "get", "password", "vouched", "list", "factor", "session", "update_session", "put_out"},
    "notices": {
        *("rules", "rule", "subjects", "expiring", "cases", "waits", "due", "open_count"),
        *("set_pace", "keep", "hold", "prune"),
    },
}


def managed(title: str = "mail", **fields: Any) -> ManagedCertificate:
    names = (Identifier.parse("mail.contoso.com"),)
    return ManagedCertificate(id="0123456789ab", title=title, identifiers=names, issuer="le", **fields)


def watched(title: str = "mail") -> Watched:
    said = {"sha256": "00", "thumbprint": "00", "subject": "CN=mail", "issuer": "CN=CA", "key": "rsa-2048"}
    seen = Seen(**said, names=("mail.contoso.com",), not_before=NOW, not_after=NOW + timedelta(days=90))
    place = Place(host="mail.contoso.com", port=443)
    return Watched(id="ba9876543210", title=title, place=place, seen=seen, since=NOW, looked_at=NOW)


def window(zone: str = "UTC") -> MaintenanceWindow:
    return MaintenanceWindow(name="nights", zone=zone, spans=(Span.parse("Mon-Fri 02:00-04:00"),))


def person(**fields: Any) -> Person:
    return Person.model_validate({"name": "anna", "role": Role.OPERATOR, "created_at": NOW, **fields})


TOKEN = ApiToken(
    id="0123456789ab", name="ci", permissions=(Permission.READ,), created_at=NOW, expires_at=NOW + timedelta(days=1)
)
SESSION = SignedIn(person="anna", since=NOW, seen_at=NOW)
IDENTITY = Identity(provider="contoso", issuer="https://login.contoso.test", subject="4711")
FACTOR = SecondFactor(key=SECRET, confirmed=True, recovery=("digest",))
OTHER = Issuer(name="zero", kind="acme", params={})
Act = Callable[[UnitOfWork], object]
TELLS: list[tuple[str, Act, Action, SubjectKind]] = [
    ("issuers.add", lambda u: u.issuers.add(OTHER, b"key", ("kid", b"mac")), Action.ADDED, SubjectKind.ISSUER),
    (
        "issuers.update",
        lambda u: u.issuers.update(OTHER.model_copy(update={"kind": "x"})),
        Action.CHANGED,
        SubjectKind.ISSUER,
    ),
    ("issuers.remove", lambda u: u.issuers.remove("zero"), Action.REMOVED, SubjectKind.ISSUER),
    ("managed.add", lambda u: u.managed.add(managed()), Action.ADDED, SubjectKind.CERTIFICATE),
    ("managed.update", lambda u: u.managed.update(managed("post")), Action.CHANGED, SubjectKind.CERTIFICATE),
    ("managed.remove", lambda u: u.managed.remove("0123456789ab"), Action.REMOVED, SubjectKind.CERTIFICATE),
    (
        "credentials.add",
        lambda u: u.credentials.add("exchange", Credential("ex", "user", SECRET)),
        Action.ADDED,
        SubjectKind.CREDENTIAL,
    ),
    (
        "credentials.add_typed",
        lambda u: u.credentials.add_typed("dns", "powerdns", "pdns", {"url": "http://x"}, {"key": SECRET}),
        Action.ADDED,
        SubjectKind.CREDENTIAL,
    ),
    ("credentials.remove", lambda u: u.credentials.remove("ex"), Action.REMOVED, SubjectKind.CREDENTIAL),
    ("watches.add", lambda u: u.watches.add(watched(), NOW), Action.ADDED, SubjectKind.WATCHED),
    ("watches.replace", lambda u: u.watches.replace(watched(), watched("x"), NOW), Action.CHANGED, SubjectKind.WATCHED),
    ("watches.remove", lambda u: u.watches.remove("ba9876543210"), Action.REMOVED, SubjectKind.WATCHED),
    ("windows.put", lambda u: u.windows.put(window()), Action.ADDED, SubjectKind.WINDOW),
    ("windows.remove", lambda u: u.windows.remove("nights"), Action.REMOVED, SubjectKind.WINDOW),
    ("tokens.add", lambda u: u.tokens.add(TOKEN, SECRET.encode()), Action.ADDED, SubjectKind.TOKEN),
    ("tokens.remove", lambda u: u.tokens.remove("ci"), Action.REMOVED, SubjectKind.TOKEN),
    ("people.add", lambda u: u.people.add(person(), SECRET), Action.ADDED, SubjectKind.PERSON),
    ("people.update", lambda u: u.people.update(person(role=Role.VIEWER)), Action.CHANGED, SubjectKind.PERSON),
    ("people.put_factor", lambda u: u.people.put_factor(person(), FACTOR), Action.CHANGED, SubjectKind.PERSON),
    (
        "people.use_code",
        lambda u: u.people.use_code(person(), FACTOR.model_copy(update={"recovery": ()})),
        Action.CHANGED,
        SubjectKind.PERSON,
    ),
    ("people.attempted", lambda u: u.people.attempted(person(failures=1)), Action.REFUSED, SubjectKind.PERSON),
    (
        "people.refuse_vouched",
        lambda u: u.people.refuse_vouched(IDENTITY, "no role"),
        Action.REFUSED,
        SubjectKind.PERSON,
    ),
    ("people.bar", lambda u: u.people.bar(person(role=Role.VIEWER)), Action.CHANGED, SubjectKind.PERSON),
    ("people.refuse_stranger", lambda u: u.people.refuse_stranger(), Action.REFUSED, SubjectKind.PERSON),
    (
        "people.begin_session",
        lambda u: u.people.begin_session(SECRET.encode(), SESSION, NOW),
        Action.SIGNED_IN,
        SubjectKind.PERSON,
    ),
    ("people.end_session", lambda u: u.people.end_session(SECRET.encode()), Action.SIGNED_OUT, SubjectKind.PERSON),
    ("people.remove", lambda u: u.people.remove("anna"), Action.REMOVED, SubjectKind.PERSON),
    (
        "notices.put_rule",
        lambda u: u.notices.put_rule(Rule(name="nightly")),
        Action.ADDED,
        SubjectKind.RULE,
    ),
    ("notices.remove_rule", lambda u: u.notices.remove_rule("nightly"), Action.REMOVED, SubjectKind.RULE),
]


def faults(store: Store, **known: Any) -> list[str]:
    with store.read() as unit:
        return [fault.message for fault in Verification(**known).faults(unit.trail.whole())]


def give_up(store: Store, act: Act) -> None:
    with store.write() as unit:
        act(unit)
        raise RuntimeError("thought better of it")


def test_all_that_can_be_written_tells_or_is_named_here(store: Store) -> None:
    with store.read() as unit:
        aggregates = dict(vars(unit))
    assert set(aggregates) == STATE_ALONE.keys() | READS_OR_STATE.keys()
    tells = {name for name, *_ in TELLS}
    for name, silent in READS_OR_STATE.items():
        public = {member for member, _ in inspect.getmembers(type(aggregates[name]), inspect.isfunction)}
        written = {member for member in public if not member.startswith("_")}
        assert written == silent | {tell.partition(".")[2] for tell in tells if tell.startswith(f"{name}.")}, name


@pytest.mark.usefixtures("issuer")
def test_each_change_tells_who_did_what_to_which_in_its_own_transaction(store: Store, settings: Settings) -> None:
    acting = store.acting(ANNA)
    for name, act, action, kind in TELLS:
        with store.read() as unit:
            before = unit.trail.end()
        with pytest.raises(RuntimeError, match="thought better"):
            give_up(acting, act)
        with store.read() as unit:
            assert unit.trail.end() == before, name
        with acting.write() as unit:
            act(unit)
        with store.read() as unit:
            (entry,) = unit.trail.list(limit=1)
        assert entry.number == (before[0] if before else 0) + 1, name
        assert (entry.actor, entry.action, entry.subject.kind) == (ANNA.actor, action, kind), name
        assert abs(entry.at - datetime.now(UTC)) < timedelta(minutes=5)
        assert (entry.before is None, entry.after is None) == {
            Action.ADDED: (True, False),
            Action.CHANGED: (False, False),
            Action.REMOVED: (False, True),
        }.get(action, (True, entry.after is None)), name
    assert faults(store) == []
    assert not any(SECRET in text for (text,) in execute(settings, "SELECT text FROM audit"))


@pytest.mark.usefixtures("issuer")
def test_what_stays_as_it_was_tells_nothing_and_a_new_secret_is_told_of(store: Store) -> None:
    def told() -> list[Any]:
        with store.write() as unit:
            unit.windows.put(window())
            unit.issuers.update(unit.issuers.get("le"))
            unit.credentials.add("exchange", Credential("ex", "user", SECRET))
        with store.read() as unit:
            return [entry.number for entry in unit.trail.list()]

    assert told() == told()
    with store.write() as unit:
        unit.credentials.add("exchange", Credential("ex", "user", "another one"))
        (entry,) = unit.trail.list(limit=1)
    assert (entry.action, entry.before, entry.after) == (Action.CHANGED, {}, {"hidden": "another one"})


def test_only_what_differs_is_told(store: Store) -> None:
    with store.write() as unit:
        unit.windows.put(window())
        unit.windows.put(window("Europe/Berlin"))
        (entry,) = unit.trail.list(limit=1)
    assert (entry.before, entry.after) == ({"zone": "UTC"}, {"zone": "Europe/Berlin"})


def test_strangers_at_the_door_are_told_of_once_a_minute(store: Store) -> None:
    with store.write() as unit:
        for _ in range(3):
            unit.people.refuse_stranger()
        assert len(unit.trail.list(Wanted(action=Action.REFUSED))) == 1


def test_who_opened_the_store_acts_until_somebody_else_does(store: Store) -> None:
    with store.write() as unit:
        unit.windows.put(window())
    with store.acting(SERVICE).write() as unit:
        unit.windows.remove("nights")
    with store.read() as unit:
        removed, put = unit.trail.list(limit=2)
    assert removed.actor == SERVICE.actor
    assert put.actor.kind is ActorKind.COMMAND_LINE
    assert put.actor.name.partition("@")[2]


def test_it_is_found_by_who_what_to_which_and_when(store: Store) -> None:
    with store.acting(ANNA).write() as unit:
        unit.windows.put(window())
        unit.notices.put_rule(Rule(name="nightly"))
    with store.read() as unit:
        list_ = unit.trail.list
        assert [e.subject.id for e in list_(Wanted(actor="anna"))] == ["nightly", "nights"]
        assert [e.subject.id for e in list_(Wanted(actor="anna"), before=list_()[0].number)] == ["nights"]
        assert [e.subject.id for e in list_(Wanted(kind=SubjectKind.WINDOW))] == ["nights"]
        assert [e.subject.id for e in list_(Wanted(subject="nights", action=Action.ADDED))] == ["nights"]
        assert list_(Wanted(subject="nights", action=Action.REMOVED)) == []
        assert list_(Wanted(since=list_()[0].at + timedelta(seconds=1))) == []
        assert list_(Wanted(until=list_()[-1].at)) == []
        assert list_(Wanted(until=list_()[0].at + timedelta(seconds=1))) == list_()


def test_pages_from_a_moment_on_miss_nothing_though_the_clock_was_set_back(store: Store) -> None:
    with store.write() as unit:
        clock = iter(NOW + timedelta(minutes=minutes) for minutes in (60, 5, 10, 0))
        trail = replace(unit.trail, clock=lambda _: next(clock))
        for name in ("first", "second", "third", "fourth"):
            trail.note(Action.ADDED, named(SubjectKind.WINDOW, name))
        recent = Wanted(kind=SubjectKind.WINDOW, since=NOW + timedelta(minutes=5))
        seen: list[Entry] = []
        while page := unit.trail.list(recent, 1, seen[-1].number if seen else None):
            seen += page
    assert [entry.subject.title for entry in seen] == ["first", "third", "second"]


@on_sqlite
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(action=Action.REFUSED, kind=SubjectKind.TOKEN, subject="ci", since=NOW), "ix_audit_at"),
        (Wanted(action=Action.REFUSED, subject="nobody", since=NOW), "ix_audit_at"),
        (Wanted(action=Action.BEGAN, subject_id="0123456789ab"), "ix_audit_subject"),
    ],
)
@pytest.mark.parametrize("before", [None, 9])
def test_what_strangers_and_those_who_wait_have_asked_is_answered_by_an_index(
    store: Store, wanted: Wanted, index: str, before: int | None
) -> None:
    with store.read() as unit:
        connection = unit.trail.connection
        written = list_query(wanted, 10, before).compile(connection, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}")]
    assert plan[0].startswith(f"SEARCH audit USING INDEX {index} ("), plan
    assert not [step for step in plan if step.startswith(("SCAN", "USE TEMP"))]


def test_heads_are_signed_when_something_was_added_by_one_key(store: Store) -> None:
    with store.write() as unit:
        unit.windows.put(window())
        first = unit.trail.sign(store.id, unit.secrets)
        assert first
        assert unit.trail.sign(store.id, unit.secrets) is None
        unit.windows.remove("nights")
        second = unit.trail.sign(store.id, unit.secrets)
        assert second
        assert (second.key, second.head.number) == (first.key, first.head.number + 1)
        assert KEY in unit.secrets.names()
        unit.windows.put(window())
    assert faults(store, key=first.key, seen={first.head.number: first.head.hash}) == []


TAMPERED = {
    "altered": "UPDATE audit SET text = replace(text, 'nights', 'rights') WHERE number = :number",
    "found otherwise": "UPDATE audit SET actor = 'nobody' WHERE number = :number",
    "removed": "DELETE FROM audit WHERE number = :number",
    "hashed": "UPDATE audit SET hash = 'x' WHERE number = :number",
    "cut": "DELETE FROM audit WHERE number >= :number",
}


@pytest.mark.parametrize("statement", TAMPERED.values(), ids=TAMPERED)
def test_what_is_done_past_us_is_found(store: Store, settings: Settings, statement: str) -> None:
    with store.write() as unit:
        unit.windows.put(window())
        place = unit.trail.end()
        assert place
        unit.windows.remove("nights")
        unit.trail.sign(store.id, unit.secrets)
    assert faults(store) == []
    execute(settings, statement, number=place[0])
    assert any(str(place[0]) in message for message in faults(store)), faults(store)
