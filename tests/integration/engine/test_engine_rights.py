"""What takes a permission of its own takes it where it is done, whoever asks and however."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.access import SERVICE, Caller, Permission, Role
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.audit import Action
from certwright.domain.certificates import pem
from certwright.domain.errors import Changed, ConfigurationError, Forbidden
from certwright.domain.formats import PfxCipher
from certwright.domain.keys import private_key_pem
from certwright.domain.managed import CertificateVersion, Issuer, ManagedCertificate, TaskSettings
from certwright.domain.readiness import Readiness
from certwright.domain.runs import RunKind
from certwright.domain.validation import Validation
from certwright.engine import catalog
from certwright.engine.audit import entries
from certwright.engine.bulk import Act, carry_out_all
from certwright.engine.change import change, preview_change
from certwright.engine.context import ActiveRun, Engine, running
from certwright.engine.credentials import remove_credential, store_credential
from certwright.engine.deploy import deploy
from certwright.engine.export import ExportFormat, export
from certwright.engine.left_over import clear_left_over
from certwright.engine.managed import Wish, check_wish, create, remove
from certwright.engine.people import add_person, remove_person, set_role
from certwright.engine.solving import solver
from certwright.engine.task_list import add_task, change_task, enable_task
from certwright.engine.test import proofs
from certwright.engine.tokens import create_token, remove_token
from certwright.engine.validations import put_validation
from certwright.engine.written import WrittenRecords
from certwright.sdk.dns import TxtRecord
from certwright.sdk.places import Places
from certwright.settings import Settings
from certwright.store import open_store
from certwright.store.audit import Wanted
from certwright.store.listing import Filter
from unit.domain.workshop import Authority, ec_key
from world import stores
from world.processes import until

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LE = Issuer(name="le", kind="acme", params={})
HTTP = Validation(challenge="http-01", solver="http_listener")


def caller(*without: Permission) -> Caller:
    return Caller(Actor(kind=ActorKind.PERSON, name="anna"), frozenset(Permission) - frozenset(without))


def robot(engine: Engine, *without: Permission) -> Engine:
    """With a token that there is, which has all permissions but these."""
    token, _ = create_token(engine, "robot", [each for each in Permission if each not in without], timedelta(days=1))
    return engine.acting(token.caller)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.fresh(settings)
    with open_store(settings) as store:
        with store.write() as unit:
            unit.issuers.add(LE, b"account key")
        yield Engine(store, lambda: NOW, lambda _: None, places=Places((tmp_path,), (tmp_path,)))


@pytest.fixture
def program(tmp_path: Path) -> str:
    made = tmp_path / "hello"
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return str(made)


@pytest.fixture
def mail(engine: Engine) -> ManagedCertificate:
    return create(engine, Wish(("mail.contoso.com",), "le", HTTP))


def issue(engine: Engine, managed: ManagedCertificate) -> None:
    key, authority = ec_key(), Authority("CA")
    leaf, above = authority.certify("mail.contoso.com", key), authority.certify("CA 2", ec_key(), ca=True)
    version = CertificateVersion(
        managed_id=managed.id, issuer="le", chain_pem=pem([leaf, above]).decode(), fingerprint="f", issued_at=NOW
    )
    with engine.store.write() as unit:
        unit.versions.add(version, private_key_pem(key))


def test_private_keys_leave_with_the_right_to_that_and_are_told_of(
    engine: Engine, mail: ManagedCertificate, tmp_path: Path
) -> None:
    issue(engine, mail)

    def taken(form: ExportFormat, by: Caller) -> list[str]:
        written = export(engine.acting(by), mail.id, tmp_path / "out", form, cipher=PfxCipher.MODERN, password="x")
        return [file.path.suffix for file in written if file.secret]

    for form in ExportFormat:
        before = entries(engine)
        if taken(form, caller()):
            told = entries(engine)[0]
            assert told.number == before[0].number + 1
            assert (told.action, told.actor.name, told.subject.id) == (Action.EXPORTED, "anna", mail.id)
            with pytest.raises(Forbidden, match="'keys'"):
                taken(form, caller(Permission.KEYS))
            assert entries(engine)[0] == told
        else:
            assert not taken(form, caller(Permission.KEYS))
            assert entries(engine) == before


def test_what_runs_programs_or_writes_files_takes_the_right_to_that(
    engine: Engine, mail: ManagedCertificate, program: str, tmp_path: Path
) -> None:
    script = TaskSettings(kind="script", title="hello", params={"program": program})
    webroot = Validation(challenge="http-01", solver="webroot", params={"path": str(tmp_path)})
    values = {"create": program, "delete": program}
    store_credential(engine, "script", "script-dns", values, checked=False)
    by_program = Validation(challenge="dns-01", solver="dns", params={"credential": "script-dns"})
    add_task(engine, mail.id, script)
    acts: list[Callable[[Engine], Any]] = [
        lambda one: add_task(one, mail.id, script.model_copy(update={"id": "ba9876543210", "title": "again"})),
        lambda one: change_task(one, mail.id, "hello", {"timeout": 5}),
        lambda one: change_task(one, mail.id, "hello", {}, settings={"stops": True}),
        lambda one: enable_task(one, mail.id, "hello", enabled=True),
        lambda one: put_validation(one, mail.id, webroot),
        lambda one: create(one, Wish(("web.contoso.com",), "le", webroot)),
        lambda one: put_validation(one, mail.id, by_program),
        lambda one: put_validation(one, mail.id, by_program.model_copy(update={"names": ("mail.contoso.com",)})),
        lambda one: check_wish(one, Wish(("dns.contoso.com",), "le", by_program), LE),
        lambda one: create(one, Wish(("dns.contoso.com",), "le", by_program)),
        lambda one: preview_change(one, "web.contoso.com", {"validations": (by_program,)}),
        lambda one: change(one, "web.contoso.com", {"validations": (by_program,)}),
        lambda one: store_credential(one, "script", "programs", values, checked=False),
    ]
    without = robot(engine, Permission.COMMANDS)
    for act in acts:
        before = entries(engine)
        with pytest.raises(Forbidden, match="'commands'"):
            act(without)
        assert entries(engine) == before
        act(engine)
    put_validation(without, mail.id, HTTP)
    change(without, "web.contoso.com", {"title": "what another described stays", "validations": (by_program,)})


def test_places_that_the_administrator_has_not_named_are_refused_when_it_is_stored_and_when_it_runs(
    engine: Engine, mail: ManagedCertificate, program: str, tmp_path: Path
) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "out").symlink_to("/etc")
    closed = replace(engine, places=Places((tmp_path / "www",), (tmp_path / "www",)))
    script = TaskSettings(kind="script", title="hello", params={"program": program})

    def webroot(path: Path) -> Validation:
        return Validation(challenge="http-01", solver="webroot", params={"path": str(path)})

    change_task(engine, mail.id, add_task(engine, mail.id, script).id, {"timeout": 5})
    allowed = webroot(tmp_path / "www" / "site")
    acts: list[Callable[[Engine], Any]] = [
        lambda one: add_task(one, mail.id, script.model_copy(update={"id": "ba9876543210", "title": "again"})),
        lambda one: change_task(one, mail.id, "hello", {"timeout": 6}),
        lambda one: enable_task(one, mail.id, "hello", enabled=True),
        lambda one: store_credential(one, "script", "p", {"create": program, "delete": program}, checked=False),
        lambda one: put_validation(one, mail.id, webroot(tmp_path)),
        lambda one: put_validation(one, mail.id, webroot(tmp_path / "www" / ".." / ".." / "etc")),
        lambda one: put_validation(one, mail.id, webroot(tmp_path / "out")),
        lambda one: create(one, Wish(("web.contoso.com",), "le", webroot(Path("/etc")))),
        lambda one: change(one, mail.id, {"validations": (webroot(Path("/etc")),)}),
    ]
    for number, act in enumerate(acts):
        before = entries(engine)
        with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "www"))) as caught:
            act(closed)
        assert "script_folders" in caught.value.hint or "file_folders" in caught.value.hint, number
        assert entries(engine) == before
    put_validation(closed, mail.id, allowed)
    enable_task(closed, mail.id, "hello", enabled=False)
    (tmp_path / "www" / "site").symlink_to("/etc")
    with (
        engine.certificate_lease(mail) as lease,
        pytest.raises(ConfigurationError, match="Nothing may be written to /etc, where"),
    ):
        solver(closed, allowed, ActiveRun.unrecorded(closed, lease), again="")


def test_the_right_to_run_programs_is_looked_at_when_they_run(
    engine: Engine, mail: ManagedCertificate, program: str, tmp_path: Path
) -> None:
    add_task(engine, mail.id, TaskSettings(kind="script", title="hello", params={"program": program}))
    webroot = Validation(challenge="http-01", solver="webroot", params={"path": str(tmp_path)})
    put_validation(engine, mail.id, webroot)
    issue(engine, mail)
    without = robot(engine, Permission.COMMANDS)
    (refused,) = deploy(without, mail.id, attended=True)
    assert "'commands'" in str(refused.error)
    assert entries(engine, Wanted(subject=mail.id))[0].action is Action.BEGAN
    with engine.store.read() as unit:
        described = unit.managed.get(mail.id)
        assert unit.deployments.get(described.tasks[0].id) is None
    with engine.certificate_lease(mail) as lease:
        *_, proof = proofs.checks(without, described, ActiveRun.unrecorded(without, lease))
    assert (proof.verdict, "'commands'" in proof.evidence) == (Readiness.NOT_LOOKED_AT, True)
    assert [path.name for path in tmp_path.iterdir() if path.name == ".well-known"] == []
    for allowed in (engine, engine.acting(SERVICE)):
        (done,) = deploy(allowed, mail.id, "hello", attended=True)
        assert done.error is None


def _demoted(engine: Engine) -> None:
    set_role(engine, "anna", Role.VIEWER)


def _limited(engine: Engine) -> None:
    set_role(engine, "anna", Role.OPERATOR, ("hamburg",))


def _removed(engine: Engine) -> None:
    remove_person(engine, "anna")


def _replaced(engine: Engine) -> None:
    remove_token(engine, "robot")
    robot(engine)


ENDINGS = [
    pytest.param("anna", _demoted, "anna may not do this: it takes the permission 'edit'.", id="another role"),
    pytest.param("anna", _removed, "anna is not let in any more.", id="nobody"),
    pytest.param("robot", _replaced, "The token 'robot' is not let in any more.", id="another token of that name"),
]


@pytest.fixture
def acting(engine: Engine) -> Callable[[str], Engine]:
    """The engine in the hand of somebody whom `edit` has let in."""
    add_person(engine, "anna", Role.ADMINISTRATOR, "correct horse battery")
    add_person(engine, "root", Role.ADMINISTRATOR, "correct horse battery")
    with engine.store.read() as unit:
        callers = {"anna": unit.people.get("anna").caller, "robot": robot(engine).caller}
    return lambda name: engine.acting(callers[name], Permission.EDIT)


@pytest.mark.parametrize(("name", "end", "told"), ENDINGS)
def test_what_is_done_to_many_ends_with_the_right_to_it(
    engine: Engine, acting: Callable[[str], Engine], name: str, end: Callable[[Engine], None], told: str
) -> None:
    for title in ("a", "b", "c"):
        create(engine, Wish((f"{title}.contoso.com",), "le", HTTP))
    begun = replace(acting(name), listen=lambda _: end(engine))  # it hears of the first one, after that is done
    with pytest.raises(Forbidden, match=re.escape(told)):
        carry_out_all(begun, Act.HOLD, Filter(), "The servers move.")
    held = [entry.subject.title for entry in entries(engine) if entry.action is Action.HELD]
    assert held == ["a.contoso.com"]


@pytest.mark.parametrize(
    ("name", "end", "told"),
    [*ENDINGS, pytest.param("anna", _limited, "There is no managed certificate", id="other tags")],
)
def test_a_task_is_begun_as_long_as_whoever_began_the_deployment_may(
    engine: Engine,
    acting: Callable[[str], Engine],
    mail: ManagedCertificate,
    program: str,
    name: str,
    end: Callable[[Engine], None],
    told: str,
) -> None:
    for title in ("first", "second"):
        add_task(engine, mail.id, TaskSettings(kind="script", title=title, params={"program": program}))
    issue(engine, mail)
    heard = iter([end])
    begun = replace(acting(name), listen=lambda _: next(heard, lambda _: None)(engine))
    first, second = deploy(begun, mail.id, attended=True)
    assert (first.error, told in str(second.error)) == (None, True)
    refused = [entry.after for entry in entries(engine, Wanted(action=Action.REFUSED))]
    assert refused == ([{"why": told}] if isinstance(second.error, Forbidden) else [])
    with engine.store.read() as unit:
        done = [unit.deployments.get(task.id) is not None for task in unit.managed.get(mail.id).tasks]
    assert done == [True, False]


def test_the_program_that_removes_records_takes_the_right_and_is_told_of(
    engine: Engine, mail: ManagedCertificate, program: str
) -> None:
    store_credential(engine, "script", "p", {"create": program, "delete": program}, checked=False)
    zones = {"contoso.com": [TxtRecord("_acme-challenge.mail.contoso.com", "value")]}

    def ran() -> int:
        return len([entry for entry in entries(engine) if entry.action is Action.RAN])

    with engine.certificate_lease(mail) as lease:
        WrittenRecords(engine, ActiveRun.unrecorded(engine, lease)).add("p", zones)
    without = robot(engine, Permission.COMMANDS)
    for act in (lambda: remove_credential(without, "p"), lambda: remove(without, mail.id)):
        with pytest.raises(Forbidden, match="'commands'"):
            act()
    with without.certificate_lease(mail) as lease:
        clear_left_over(without, ActiveRun.unrecorded(without, lease))
    assert ran() == 1, "nobody without the right had the program run"
    remove_credential(engine, "p")
    assert ran() == 2


def test_a_credential_that_is_stored_while_it_is_cleared_is_not_removed(
    engine: Engine, mail: ManagedCertificate, program: str, tmp_path: Path
) -> None:
    """Its removal waits for the program, which waits for us."""
    begun, go, slow = tmp_path / "begun", tmp_path / "go", tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\ntouch "{begun}"; while ! [ -e "{go}" ]; do sleep 0.05; done\n')
    slow.chmod(0o755)
    params = {"create": program, "delete": str(slow)}
    store_credential(engine, "script", "p", params, checked=False)
    with engine.certificate_lease(mail) as lease:
        WrittenRecords(engine, ActiveRun.unrecorded(engine, lease)).add(
            "p", {"contoso.com": [TxtRecord("_acme-challenge.mail.contoso.com", "value")]}
        )
    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(remove_credential, engine, "p")
        until(begun.exists)
        store_credential(engine, "script", "p", params, checked=False)
        go.touch()
        with pytest.raises(Changed, match="was changed by somebody else meanwhile"):
            removed.result()
    with engine.store.read() as unit:
        assert [*unit.credentials.names()] == ["p"]


def test_plugins_that_name_a_program_or_a_path_say_so() -> None:
    found = {
        (kind, name)
        for kind in ("tasks", "solvers", "dns")
        for name in catalog.names(kind)
        if not catalog.members(kind, name) and catalog.plugin(kind, name).cls.commands
    }
    assert found == {("tasks", "script"), ("solvers", "webroot"), ("dns", "script")}
    for kind, name in sorted(set(found)):
        fields = catalog.plugin(kind, name).params.model_fields
        assert {"program", "path", "create"} & fields.keys()


def test_who_is_limited_makes_what_is_in_their_sight(engine: Engine) -> None:
    limited = engine.acting(Caller.limited(caller().actor, Permission, ["berlin"]))
    for tags in ((), ("hamburg",), ("berlin", "hamburg")):
        with pytest.raises(Forbidden, match="no other tags than berlin"):
            create(limited, Wish(("mail.contoso.com",), "le", HTTP, tags=tags))
    made = create(limited, Wish(("mail.contoso.com",), "le", HTTP, tags=("berlin",)))
    with limited.store.read() as unit:
        assert unit.managed.list() == [made]


def test_a_run_is_told_of_unless_the_service_begins_it(engine: Engine, mail: ManagedCertificate) -> None:
    before = len(entries(engine))
    with running(engine.acting(SERVICE), mail, RunKind.REQUEST):
        assert len(entries(engine)) == before
    with running(engine.acting(caller()), mail, RunKind.REQUEST) as run:
        told = entries(engine)[0]
    assert (told.action, told.actor.name, told.after) == (Action.BEGAN, "anna", {"run": run.id, "kind": "request"})


def test_nobody_removes_who_may_do_more(engine: Engine) -> None:
    for name, role in (("root", Role.ADMINISTRATOR), ("boss", Role.ADMINISTRATOR), ("guest", Role.VIEWER)):
        add_person(engine, name, role, "correct horse battery")
    create_token(engine, "exporter", ["read", "keys"], timedelta(days=1))
    create_token(engine, "reader", ["read"], timedelta(days=1))
    without_keys = engine.acting(caller(Permission.KEYS))
    before = entries(engine)
    with pytest.raises(Forbidden, match="'keys'"):
        remove_person(without_keys, "boss")
    with pytest.raises(Forbidden, match="'keys'"):
        remove_token(without_keys, "exporter")
    assert entries(engine) == before
    remove_person(without_keys, "guest")
    remove_token(without_keys, "reader")
    remove_person(engine.acting(caller()), "boss")
    remove_token(engine.acting(caller()), "exporter")
    with pytest.raises(ConfigurationError, match="last administrator"):
        remove_person(engine.acting(caller()), "root")
    assert {each.subject.title for each in entries(engine)[:4]} == {"guest", "reader", "boss", "exporter"}
