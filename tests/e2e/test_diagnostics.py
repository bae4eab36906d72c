"""The bundle for somebody who helps: it says what there is, and not one secret."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest

from certwright.domain.runs import RunKind
from certwright.engine.context import running
from certwright.engine.exchange.discovery import SNAPSHOT
from certwright.engine.exchange.reach import put_record, remember
from certwright.exchange.connection import Connection
from certwright.exchange.model import ServerInfo, ServerState
from certwright.exchange.snapshot import Snapshot, dump
from certwright.sdk.params import read_params
from world.leaks import forms
from world.site import Site, authority, describe, register

pytestmark = pytest.mark.e2e
PASSWORDS = ("Winter2026!Contoso", "pfx & password", "hetzner-token-abcdef0123456789")
NAMES = ("contoso", "fabrikam", "ex01", "anna")


@dataclass(frozen=True)
class Planted:
    site: Site
    secrets: tuple[bytes, ...]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """An installation that wrote all its secrets into its journal, its events, its records and its log."""
    site = Site(tmp_path_factory.mktemp("planted"))
    with authority() as ca:
        recovery_key = json.loads(site.cli("init", "--json", code=0).out)["recovery_key"]
        register(site, ca)
        site.cli(
            *("credential", "add", "exchange", "exchange", "--username", "anna@contoso.test"),
            *("--password-file", "-"),
            given=PASSWORDS[0],
            code=0,
        )
        site.cli("credential", "add", "pfx", "export", "--password-file", "-", given=PASSWORDS[1], code=0)
        site.cli(
            *("credential", "add", "dns:hetzner", "zone", "--no-check", "--api-token-file", "-"),
            given=PASSWORDS[2],
            code=0,
        )
        with site.engine() as engine:
            managed = describe(engine, ca, "mail.contoso.test", title="Fabrikam mail")
        site.cli("certificate", "request", managed.id, code=0)
    master = site.key_file.read_text().strip()
    with site.engine() as engine:
        with engine.store.read() as unit:
            version = unit.managed.current(managed.id)
            assert version
            key = (unit.versions.private_key(version.id) or b"").decode()
            account = unit.issuers.account_key("house-ca").decode()
        everything = "\n".join([*PASSWORDS, recovery_key, master, key, account])
        with running(engine, managed, RunKind.TEST) as run:
            run.journal.note(f"It was refused by ex01 of Contoso: {everything}")
            with run.journal.step(everything):
                pass
        connection = read_params(
            Connection, {"servers": ["ex01.contoso.test"], "credential": "exchange", "auth": "ntlm"}, "it"
        )
        info = ServerInfo("EX01", "ex01.contoso.test", site="Fabrikam")
        seen = Snapshot((ServerState("ex01.contoso.test", info, ()),), organisation="Contoso", taken_at=engine.now())
        remember(engine, connection)
        put_record(engine, connection, SNAPSHOT, dump(seen), seen)
    logs = site.settings.data_folder / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "certwright.log").write_text(
        f"2026-12-01 INFO mail.contoso.test said to anna@fabrikam.test:\n{everything}\n"
    )
    lines = [line for line in (*key.splitlines(), *account.splitlines()) if not line.startswith("-----")]
    found = (*PASSWORDS, recovery_key, master, *(line for line in lines if len(line) > 40))
    return Planted(site, tuple(secret.encode() for secret in found))


def bundle(planted: Planted, to: Path, *options: str) -> dict[str, bytes]:
    planted.site.cli("diagnostics", "--to", str(to), *options, code=0)
    assert to.stat().st_mode & 0o777 == 0o600
    with ZipFile(to) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.mark.parametrize("options", [[], ["--pseudonyms"]])
def test_no_secret_that_was_planted_anywhere_is_in_it(planted: Planted, tmp_path: Path, options: list[str]) -> None:
    files = bundle(planted, tmp_path / "it.zip", *options)
    for secret in planted.secrets:
        found = [name for name, data in files.items() if any(form in data for form in forms(secret))]
        assert not found, secret


def test_it_says_what_is_installed_described_and_done(planted: Planted, tmp_path: Path) -> None:
    files = bundle(planted, tmp_path / "it.zip")
    assert set(files) == {
        *("about.json", "store.json", "settings.json", "certificates.json", "runs.json", "events.json"),
        *("issuers.json", "credentials.json", "watches.json", "organisations.json", "logs/certwright.log"),
    }
    read = {name: json.loads(data) for name, data in files.items() if name.endswith(".json")}
    assert read["about.json"]["packages"]["cryptography"]
    assert read["store.json"]["damages"] == []
    assert read["store.json"]["rows"]["managed"] == 1
    assert read["certificates.json"][0]["title"] == "Fabrikam mail"
    assert [run["kind"] for run in read["runs.json"]][:2] == ["test", "request"]
    assert "It was refused by ex01" in json.dumps(read["runs.json"])
    assert {c["name"] for c in read["credentials.json"]} == {"exchange", "export", "zone"}
    assert read["organisations.json"][0]["organisation"] == "Contoso"
    assert b"mail.contoso.test said" in files["logs/certwright.log"]


def test_names_are_made_up_if_that_is_wanted_and_the_rest_can_be_read(planted: Planted, tmp_path: Path) -> None:
    files = bundle(planted, tmp_path / "it.zip", "--pseudonyms")
    for name in NAMES:
        assert not [file for file, data in files.items() if name in data.decode().lower()], name
    runs, (certificate,) = json.loads(files["runs.json"]), json.loads(files["certificates.json"])
    assert [run["outcome"] for run in runs] == ["done", "done"]
    assert certificate["not_after"] > datetime.now(UTC).isoformat()
    made_up = certificate["identifiers"][0]
    assert made_up.startswith("mail.")
    assert made_up in files["runs.json"].decode()


def test_a_file_that_is_there_stays(planted: Planted, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("mine")
    refused = planted.site.cli("diagnostics", "--to", str(tmp_path / "mine.zip"), code=2)
    assert "is there already" in refused.err
    assert (tmp_path / "mine.zip").read_text() == "mine"
