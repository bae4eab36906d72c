"""A machine burns down: its backup and the recovery key, on paper, make a new one that goes on renewing."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from certwright.engine.backup import back_up, back_up_daily, backups
from certwright.engine.recovery import is_confirmed
from world.leaks import forms
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e


def test_a_bare_machine_goes_on_with_the_backup_and_the_recovery_key_alone(tmp_path: Path) -> None:
    burnt, bare = Site(tmp_path / "burnt"), Site(tmp_path / "bare")
    for site in (burnt, bare):
        site.folder.mkdir()
    with authority() as ca:
        key = json.loads(burnt.cli("init", "--json", code=0).out)["recovery_key"]
        register(burnt, ca)
        burnt.cli("credential", "add", "pfx", "export", "--password-file", "-", given="pfx password\n", code=0)
        with burnt.engine() as engine:
            managed = describe(engine, ca)
        first = json.loads(burnt.cli("certificate", "request", managed.id, "--json", code=0).out)["issued"]
        file = tmp_path / "store.backup"
        told = burnt.cli("backup", "--to", str(file), code=0)
        written = file.read_bytes()
        burnt.folder.rename(tmp_path / "ashes")

        refused = bare.cli("restore", str(file), "--recovery-key-file", "-", given=f"{key[1:]}A\n", code=1)
        restored = bare.cli("restore", str(file), "--recovery-key-file", "-", given=f"{key}\n", code=0)
        again = bare.cli("restore", str(file), "--recovery-key-file", "-", given=f"{key}\n", code=1)
        bare.cli("check", code=0)
        shown = json.loads(bare.cli("certificate", "show", managed.id, "--json", code=0).out)
        bare.cli("certificate", "export", managed.id, "--to", str(tmp_path / "out"), code=0)
        renewed = json.loads(bare.cli("certificate", "renew", managed.id, "--force", "--json", code=0).out)
        accounts = {issued.account_url for issued in ca.server.issued}
    assert "1 managed certificates, 1 versions" in told.out
    assert "mistyped" in refused.err
    assert "certwright certificate renew" in restored.out
    assert "There is a store in" in again.err
    assert [v["id"] for v in shown["versions"]] == [first["id"]]
    assert list((tmp_path / "out").glob("*.key.pem"))
    assert renewed[0]["issued"]["id"] != first["id"]
    assert len(accounts) == 1
    for secret in (b"pfx password", (tmp_path / "ashes" / "keys" / "master.key").read_bytes().strip(), key.encode()):
        assert not any(form in written for form in forms(secret))


def test_backups_of_every_day_are_kept_for_as_long_as_was_asked(tmp_path: Path) -> None:
    site, folder = Site(tmp_path).initialise(), tmp_path / "backups"
    begin = moment = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
    made = []
    with site.engine() as engine:
        for _ in range(4 * 5):
            made.append(back_up_daily(replace(engine, now=partial(_at, moment)), folder, keep=3))
            moment += timedelta(hours=6)
    stranger = folder / "certwright-0123456789ab-20200101T000000Z.backup"
    stranger.write_text("another store's")
    with site.engine(now=lambda: begin + timedelta(days=9)) as engine:
        last = back_up(engine, folder, keep=2)
        left = [path.name for _, path in backups(engine, folder)]
        times = [at for at, _ in backups(engine, folder)]
    assert [hours * 6 for hours, one in enumerate(made) if one] == [0, 24, 48, 72, 96]
    assert [len(one.removed) for one in made if one] == [0, 0, 0, 1, 1]
    assert times == [begin + timedelta(days=9), begin + timedelta(days=4)]
    assert len(last.removed) == 2
    assert {path.name for path in folder.iterdir()} == {*left, stranger.name}


def test_without_a_place_the_command_says_so_and_leaves_what_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    (tmp_path / "mine").write_text("mine")
    taken = site.cli("backup", "--to", str(tmp_path / "mine"), code=1)
    nowhere = site.cli("backup", "--to", str(tmp_path / "no" / "where"), code=2)
    assert "is there already" in taken.err
    assert "There is no folder" in nowhere.err
    assert (tmp_path / "mine").read_text() == "mine"


def _at(moment: datetime) -> datetime:
    return moment


def is_known(site: Site) -> bool:
    with site.engine() as engine, engine.store.read() as unit:
        return is_confirmed(engine, unit)


def test_a_new_recovery_key_that_cannot_be_printed_changes_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    first = json.loads(site.cli("init", "--json", code=0).out)["recovery_key"]
    command = [sys.executable, "-m", "certwright", "keys", "rotate", "--new-recovery-key"]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            command,
            env={**os.environ, **site.environment},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert (told.returncode, "All keys stay as they are" in told.stderr) == (1, True)
    site.cli("keys", "confirm", "--recovery-key-file", "-", given=first, code=0)
    checked = site.cli("check", code=0)
    assert "was stopped before it changed anything" in checked.out
    assert ".next opens nothing" in checked.out


def test_keys_are_changed_by_command_and_the_account_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with authority() as ca:
        first = json.loads(site.cli("init", "--json", code=0).out)["recovery_key"]
        register(site, ca)
        with site.engine() as engine:
            managed = describe(engine, ca)
        wrong = site.cli("keys", "rotate", "--recovery-key-file", "-", given="ABCDE\n", code=1)
        same = json.loads(site.cli("keys", "rotate", "--recovery-key-file", "-", "--json", given=first, code=0).out)
        known = is_known(site)
        told = site.cli("keys", "rotate", "--new-recovery-key", code=0)
        known_then = is_known(site)
        old = site.cli("keys", "rotate", "--recovery-key-file", "-", given=first, code=1)
        site.cli("certificate", "request", managed.id, code=0)
    assert "mistyped" in wrong.err
    assert same == {"secrets": 2, "new_master_key": True, "recovery_key": None}
    assert "Write it down" in told.out
    assert (known, known_then) == (True, False), "what was typed is known, and what is new was only shown"
    assert "not the recovery key" in old.err
