"""The audit trail by the real commands: all that acts tells, and whatever is done to the trail is found."""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from certwright.acme_server import AcmeServerConfig
from certwright.cli.app import app
from certwright.domain.audit import Action
from certwright.store.processes import user
from world.site import Authority, Site, authority

pytestmark = pytest.mark.e2e
PASSWORD = "https://beat.contoso.test/correct-horse-battery"

LOOKS = {
    *("status", "serve", "ready", "probe", "check", "settings", "demo", "housekeeping"),
    *("issuer authorities", "issuer list", "issuer limits", "credential kinds", "credential list", "credential test"),
    *("certificate list", "certificate show", "certificate preview", "certificate persist", "certificate log"),
    *("certificate look", "validation list", "task list", "task show", "window list", "window show"),
    *("person list", "token list", "notification send", "notification channel list", "notification channel test"),
    *("notification rule list", "watch list", "watch look", "audit list", "audit head", "audit export", "audit verify"),
    *("exchange discover", "exchange names", "exchange doctor", "exchange account", "exchange plan", "exchange verify"),
    *("exchange status", "exchange capture", "person provider list", "person provider test"),
}
"""These change nothing that is wanted."""
ELSEWHERE = {
    "restore": "test_a_store_tells_that_it_was_restored_and_recovered",
    "keys confirm": "test_a_store_tells_that_it_was_restored_and_recovered",
    "diagnostics": "tests/integration/web/test_web_system.py",
    "person totp": "tests/integration/web/test_web_access.py",
    "certificate test": "begins a run, as request does",
    "exchange setup": "makes an issuer, a credential, a certificate and a task, by the use cases of these",
    "exchange acknowledge": "tests/e2e/test_exchange_doctor.py",
    "exchange apply": "begins a run, as deploy does",
    "exchange undo": "tests/e2e/test_exchange_undo.py",
    "person admit": "tests/e2e/test_openid.py",
    "exchange cleanup": "begins a run, as deploy does",
}


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority(AcmeServerConfig()) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "hello"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return Site(tmp_path, script_folders=(programs,))


def told(site: Site, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(site.cli("audit", "list", "--json", *options, code=0).out)
    return found


def leaves(command: Any, path: Sequence[str] = ()) -> Iterator[str]:
    """The commands that do something; those that stand for plugins are made when they are asked for."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path)
    for name, each in (below or {}).items():
        yield from leaves(each, (*path, name))


def test_every_command_that_acts_tells_of_it_and_no_secret(site: Site, ca: Authority, tmp_path: Path) -> None:
    cert, program = "mail.contoso.test", str(site.script_folders[0] / "hello")
    given, out = f"{PASSWORD}\n", tmp_path / "out"
    out.mkdir()
    new = ("--issuer", "ca", *ca.http_options, "--key", "ecdsa-p256", "--tag", "mail")
    password = ("--password-file", "-")
    known_as = ("--title", "Contoso", "--issuer", "https://login.contoso.test", "--client-id", "certwright")
    provider = (*known_as, "--address", "https://certwright.contoso.test", "--viewer", "everybody")
    steps: list[tuple[Sequence[str], Action]] = [
        (("init",), Action.MADE),
        (("issuer", "add", "acme", "ca", *ca.issuer_options), Action.CHANGED),
        (("issuer", "add", "acme", "ca2", *ca.issuer_options), Action.CHANGED),
        (("credential", "add", "exchange", "ex", "--username", "u", *password), Action.ADDED),
        (("credential", "remove", "ex"), Action.REMOVED),
        (("certificate", "new", cert, *new), Action.ADDED),
        (("certificate", "tags", cert, "mail", "berlin"), Action.CHANGED),
        (("certificate", "change", cert, "--reuse-key"), Action.CHANGED),
        (("certificate", "change", cert, "--new-key"), Action.CHANGED),
        (("certificate", "issuers", cert, "ca", "ca2"), Action.CHANGED),
        (("certificate", "issuers", cert, "ca"), Action.CHANGED),
        (("issuer", "remove", "ca2"), Action.REMOVED),
        (("window", "add", "nights", "--open", "Mon 02:00-04:00", "--zone", "UTC"), Action.ADDED),
        (("certificate", "window", cert, "nights"), Action.CHANGED),
        (("certificate", "window", cert, "--anytime"), Action.CHANGED),
        (("window", "remove", "nights"), Action.REMOVED),
        (("certificate", "policy", cert, "--days-before", "20"), Action.CHANGED),
        (("certificate", "hold", cert, "--reason", "we move"), Action.HELD),
        (("certificate", "release", cert), Action.RELEASED),
        (("validation", "set", cert, "webroot", "--path", str(out), "--for", cert), Action.CHANGED),
        (("validation", "remove", cert, "--for", cert), Action.CHANGED),
        (("task", "add", cert, "script", "--program", program, "--title", "hello"), Action.CHANGED),
        (("task", "disable", cert, "hello"), Action.CHANGED),
        (("task", "enable", cert, "hello"), Action.CHANGED),
        (("task", "add", cert, "script", "--program", program, "--title", "again"), Action.CHANGED),
        (("task", "move", cert, "again", "1"), Action.CHANGED),
        (("task", "remove", cert, "again"), Action.CHANGED),
        (("certificate", "request", cert), Action.BEGAN),
        (("deploy", cert, "--yes"), Action.BEGAN),
        (("task", "run", cert, "hello", "--yes"), Action.RAN),
        (("certificate", "renew", cert, "--force"), Action.BEGAN),
        (("certificate", "export", cert, "--to", str(out)), Action.EXPORTED),
        (("certificate", "revoke", cert, "--reason", "superseded", "--yes"), Action.REVOKED),
        (("watch", "add", "--file", str(out / f"{cert}.cert.pem"), "--title", "kept"), Action.ADDED),
        (("watch", "replace", "kept", "--file", str(ca.server.ca_file)), Action.CHANGED),
        (("watch", "remove", "kept"), Action.REMOVED),
        (("notification", "channel", "add", "heartbeat", "beat", "--no-check", "--url-file", "-"), Action.ADDED),
        (("notification", "channel", "remove", "beat"), Action.REMOVED),
        (("notification", "rule", "add", "nightly"), Action.ADDED),
        (("notification", "rule", "remove", "nightly"), Action.REMOVED),
        (("person", "add", "anna", "viewer", *password), Action.ADDED),
        (("person", "role", "anna", "operator", "--tag", "mail"), Action.CHANGED),
        (("person", "password", "anna", *password), Action.CHANGED),
        (("person", "remove", "anna"), Action.REMOVED),
        (("person", "provider", "add", "contoso", "--no-check", *provider), Action.ADDED),
        (("person", "provider", "remove", "contoso"), Action.REMOVED),
        (("token", "add", "ci", "--allow", "read"), Action.ADDED),
        (("token", "remove", "ci"), Action.REMOVED),
        (("backup", "--to", str(out)), Action.BACKED_UP),
        (("keys", "rotate", "--new-recovery-key"), Action.KEYS_CHANGED),
        (("certificate", "remove", cert, "--yes"), Action.REMOVED),
    ]
    acting = {name for name in leaves(typer.main.get_command(app)) if name not in LOOKS | ELSEWHERE.keys()}
    done = {" ".join(step[:depth]) for step, _ in steps for depth in (1, 2, 3)}
    assert acting <= done
    seen, silent = 0, []
    for step, action in steps:
        ended = site.cli(*step, given=given)
        fresh = [entry for entry in told(site, "--limit", "20") if entry["number"] > seen]
        assert all(entry["actor"] == {"kind": "command line", "name": user()} for entry in fresh)
        if action not in {entry["action"] for entry in fresh}:
            silent.append((step, ended.told))
        seen += len(fresh)
    assert not silent, "\n".join(map(str, silent))
    assert PASSWORD not in site.cli("audit", "export", str(out / "trail"), code=0).out + (out / "trail").read_text()
    assert f"{seen} entries are there, each as it was written" in site.cli("audit", "verify", code=0).out


def test_what_is_done_to_the_trail_is_found(site: Site, tmp_path: Path) -> None:
    site.cli("init", code=0)
    for number in range(3):
        site.cli("window", "add", f"w{number}", "--open", "Mon 02:00-04:00", "--zone", "UTC", code=0)
    head = json.loads(site.cli("audit", "head", "--json", code=0).out)
    kept = f"{head['head']['number']}:{head['head']['hash']}"
    site.cli("window", "remove", "w1", code=0)
    file = tmp_path / "trail"
    site.cli("audit", "export", str(file), code=0)
    assert "there already" in site.cli("audit", "export", str(file), code=2).err
    sound = ("audit", "verify", str(file), "--seen", kept, "--key", head["key"])
    assert "5 entries are there" in site.cli(*sound, code=0).out
    assert "is not signed by the key" in site.cli("audit", "verify", str(file), "--key", "AAAA", code=1).out

    lines = file.read_text().splitlines(keepends=True)
    for wrong, expected in {
        "".join(lines[:2] + lines[3:]): "Entry 3 is missing.",
        "".join(lines).replace('"w0"', '"w9"', 1): "Entry 2 was altered",
        "".join([lines[0], lines[2], lines[1], *lines[3:]]): "Entry 2 stands after entry 3",
        "".join(lines[:3]): "The trail ends before entry 4",
        "".join(lines) + "nonsense\n": "Entry 6 was altered: it cannot be read.",
        "".join(lines).replace(":", ": ", 1): "Entry 1 was altered",
    }.items():
        changed = tmp_path / "changed"
        changed.write_text(wrong)
        ended = site.cli("audit", "verify", str(changed), "--seen", kept, code=1)
        assert expected in ended.out
    with sqlite3.connect(site.settings.database) as database:
        database.execute("DELETE FROM audit WHERE number >= 4")
    shown = json.loads(site.cli("audit", "verify", "--json", code=1).out)
    assert [fault["number"] for fault in shown["faults"]] == [4, 5]  # the head, and the end that is sealed
    assert "is no head" in site.cli("audit", "verify", "--seen", "nonsense", code=2).err


def test_a_store_tells_that_it_was_restored_and_recovered(site: Site, tmp_path: Path) -> None:
    recovery_key = re.search(r"Recovery key: (\S+)", site.cli("init", code=0).out)
    assert recovery_key
    copy, given = tmp_path / "copy.backup", f"{recovery_key[1]}\n"
    site.cli("keys", "confirm", "--recovery-key-file", "-", given=given, code=0)
    site.cli("backup", "--to", str(copy), code=0)
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Site(tmp_path / "elsewhere")
    elsewhere.cli("restore", str(copy), "--recovery-key-file", "-", given=given, code=0)
    elsewhere.key_file.unlink()
    elsewhere.cli("init", "--recover", "--recovery-key-file", "-", given=given, code=0)
    assert [entry["action"] for entry in told(elsewhere)] == [
        *("recovered", "restored", "backed up", "acknowledged", "made")
    ]
    elsewhere.cli("audit", "verify", code=0)


def test_it_is_listed_for_people(site: Site) -> None:
    site.cli("init", code=0)
    site.cli("window", "add", "nights", "--open", "Mon 02:00-04:00", "--zone", "UTC", code=0)
    site.cli("window", "add", "nights", "--open", "Mon 02:00-04:00", "--zone", "Europe/Berlin", code=0)
    shown = " ".join(site.cli("audit", "list", "--kind", "window", code=0).out.split())
    assert "window nights zone: UTC zone: Europe/Berlin" in shown
    assert "Nothing of that kind" in site.cli("audit", "list", "--since", "2100-01-01", code=0).out
    assert "Nothing of that kind" in site.cli("audit", "list", "--until", "2000-01-01", code=0).out
    assert told(site, "--by", "nobody") == []
    assert [entry["action"] for entry in told(site, "--to", "nights")] == ["changed", "added"]
