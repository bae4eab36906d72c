"""What a tired person types at the commands of Exchange: each mistake is told, and nothing is done."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certwright.engine.exchange.discovery import SNAPSHOT
from certwright.engine.exchange.reach import reach
from world.contoso import OUTBOUND, PASSWORD, PUBLIC, USERNAME, Contoso, contoso
from world.processes import Ended
from world.site import Site, describe, register

pytestmark = pytest.mark.e2e

OTHER = "www.contoso.test"
COMMANDS = [
    ["discover"],
    ["names"],
    ["doctor"],
    ["account"],
    ["status"],
    ["acknowledge", "x"],
    ["capture", "x"],
    ["setup", "--yes"],
]
OF_CERTIFICATES = [["plan"], ["apply"], ["apply", "--dry-run"], ["verify"], ["cleanup"]]


@dataclass(frozen=True)
class Place:
    """An organisation, and an installation that has a certificate for it and one that is for something else."""

    organisation: Contoso
    site: Site
    folder: Path

    def exchange(self, *arguments: str, code: int | None = None) -> Ended:
        """A command of Exchange."""
        return self.site.cli("exchange", *arguments, code=code)


def is_said(ended: Ended, *words: str, code: int = 2) -> None:
    """Refused in words, with all of these in them."""
    assert ended.code == code, ended.told
    assert ended.err.strip()
    assert all(word in ended.told for word in words), (words, ended.told)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("malformed")
    with contoso(folder / "exchange", ("EX01",)) as organisation:
        (folder / "site").mkdir()
        site = Site(folder / "site").initialise()
        site.cli(
            "credential", "add", "exchange", "exchange", "--username", USERNAME, "--password-file", "-",
            given=PASSWORD, code=0,
        )  # fmt: skip
        made = Place(organisation, site, folder)
        made.exchange("discover", *organisation.reach_options, code=0)
        ca = organisation.ca
        made.exchange(
            "setup", "--yes", "--email", "postmaster@contoso.test",
            *(word for port in organisation.verify for word in ("--verify", port)), *ca.http_options,
            "--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file), code=0,
        )  # fmt: skip
        site.cli("certificate", "request", PUBLIC, code=0)
        made.exchange("acknowledge", OUTBOUND, code=0)
        register(site, ca)
        with site.engine() as engine:
            describe(engine, ca, OTHER)
        yield made
        assert not organisation.mutations


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_no_organisation_is_known(command: list[str], tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    is_said(site.cli("exchange", *command), "No Exchange organisation is known yet.", "exchange discover --server")


@pytest.mark.parametrize("command", OF_CERTIFICATES, ids=" ".join)
def test_a_certificate_that_is_not_there_or_not_for_exchange(command: list[str], place: Place) -> None:
    name, *options = command
    is_said(place.exchange(name, "nobody", *options), "There is no managed certificate 'nobody'.")
    is_said(place.exchange(name, OTHER, *options), f"'{OTHER}'", "certwright")


def test_several_organisations(place: Place, tmp_path: Path) -> None:
    site = place.site.copied(tmp_path)
    far = ["--server", "ex01.fabrikam.test", "--endpoint", "http://127.0.0.1:9/PowerShell/"]
    with site.engine() as engine, engine.store.write() as unit:
        unit.records.put(
            "exchange", "connection", {"servers": ["ex01.fabrikam.test"], "endpoint": far[3]}, engine.now()
        )
    is_said(site.cli("exchange", "names"), "contoso.test, fabrikam.test", "--server SERVER")
    assert site.cli("exchange", "account", "--server", "EX01.contoso.test", "--json", code=0).out
    is_said(site.cli("exchange", "names", "--server", "ex01.fabrikam.test"), "127.0.0.1:9", code=1)


@pytest.mark.parametrize(
    ("digits", "says"), [("", "empty"), ("1234567", "too short"), ("0" * 16, "No plan"), ("%s%n" * 5, "No plan")]
)
def test_a_hash_that_is_none(digits: str, says: str, place: Place) -> None:
    is_said(place.exchange("apply", PUBLIC, "--plan", digits), says)


def test_one_hash_that_is_none_spoils_all(place: Place) -> None:
    good = json.loads(place.exchange("plan", PUBLIC, "--json", code=0).out)[0]["hash"]
    is_said(place.exchange("apply", PUBLIC, "--plan", good, "--plan", "0" * 16), "No plan 0000000000000000")


def test_a_title_that_is_taken_is_told_before_anybody_is_asked(place: Place) -> None:
    setup = ["setup", "--yes", "--directory", place.organisation.ca.server.directory_url]
    authority = ["--directory-ca-file", str(place.organisation.ca.server.ca_file)]
    is_said(
        place.exchange(*setup, *authority), f"'{PUBLIC}' already", f"certificate show {PUBLIC}", "choose another title"
    )


UNPROVABLE = ("cannot be proved in the way", "--dns CREDENTIAL")


@pytest.fixture
def newcomer(place: Place, tmp_path: Path) -> Place:
    """An installation that has no account at the authority, and is to have none."""
    site = Site(tmp_path).initialise()
    site.cli(
        "credential", "add", "exchange", "exchange", "--username", USERNAME, "--password-file", "-",
        given=PASSWORD, code=0,
    )  # fmt: skip
    return Place(place.organisation, site, tmp_path)


def set_up(place: Place, *options: str) -> Ended:
    server = place.organisation.ca.server
    account = ["--email", "postmaster@contoso.test", "--directory", server.directory_url]
    authority = [*account, "--directory-ca-file", str(server.ca_file)]
    return place.exchange("setup", "--yes", *place.organisation.reach_options, *authority, *options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--name", "bad name"], ("'bad name' is not a DNS name", "A label has letters")),
        (["--name", f"{'a' * 70}.contoso.test"], ("a label of 70 characters", "at most 63")),
        (["--name", PUBLIC, "--name", "*.contoso.test"], UNPROVABLE),
        (["--dns", "nobody"], ("'nobody'", "credential")),
    ],
    ids=lambda words: words[-1],
)
def test_no_account_is_registered_for_names_that_cannot_be_issued_or_proved(
    options: list[str], says: tuple[str, ...], newcomer: Place
) -> None:
    refused = set_up(newcomer, *options)
    is_said(refused, *says)
    assert ("read what" in refused.err) is ("--name" not in options)
    assert json.loads(newcomer.site.cli("issuer", "list", "--json", code=0).out) == []
    assert json.loads(newcomer.site.cli("certificate", "list", "--json", code=0).out) == []


def test_no_account_is_registered_for_a_name_that_was_found_and_cannot_be_proved(newcomer: Place) -> None:
    (connector, *_) = newcomer.organisation.organisation["EX01"].state.receive_connectors
    named, connector.fqdn = connector.fqdn, "*.contoso.test"
    try:
        is_said(set_up(newcomer), *UNPROVABLE)
    finally:
        connector.fqdn = named
    assert json.loads(newcomer.site.cli("issuer", "list", "--json", code=0).out) == []


def test_a_connector_that_is_not_there_is_not_acknowledged(place: Place) -> None:
    is_said(place.exchange("acknowledge", "Outbound"), "There is no send connector 'Outbound'", OUTBOUND)
    told = json.loads(place.exchange("acknowledge", OUTBOUND.upper(), "--json", code=0).out)
    assert told["acknowledged"] == [OUTBOUND]


def test_what_a_server_says_commands_no_terminal(place: Place, tmp_path: Path) -> None:
    hostile = "a\x1b[31mb\x07"
    site = place.site.copied(tmp_path)
    (connector, *_) = place.organisation.organisation["EX01"].state.receive_connectors
    named, connector.fqdn = connector.fqdn, hostile
    try:
        told = site.cli("exchange", "discover", code=0).told
        data = site.cli("exchange", "discover", "--json", code=0).out
    finally:
        connector.fqdn = named
    assert "a\\x1b[31mb\\x07" in told
    assert not {"\x1b", "\x07"} & set(told)
    assert json.loads(data)["snapshot"]
    assert json.dumps(hostile) in data


SNAPSHOTS: dict[str, bytes] = {
    "empty": b"",
    "garbage": bytes(range(256)) * 20,
    "no json": b"{",
    "another": b'{"servers": 3}',
    "deep": b"[" * 100_000,
    "numbers": b"1e999999",
}


@pytest.mark.parametrize("what", SNAPSHOTS)
def test_a_snapshot_that_is_none(what: str, place: Place, tmp_path: Path) -> None:
    (tmp_path / "snapshot").write_bytes(SNAPSHOTS[what])
    is_said(place.exchange("discover", "--compare", str(tmp_path / "snapshot")), "snapshot")


def test_a_snapshot_that_was_kept_by_another_release_is_no_obstacle(place: Place, tmp_path: Path) -> None:
    site = place.site.copied(tmp_path)
    with site.engine() as engine:
        (name,) = reach(engine, {}).organisations
        with engine.store.write() as unit:
            unit.records.put(f"organisation:{name}", SNAPSHOT, {"servers": 3}, engine.now())
    found = json.loads(site.cli("exchange", "discover", "--json", code=0).out)
    assert found["differences"] == []


def test_places_that_cannot_be_written_are_told_before_the_work(place: Place, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    for words in (["discover", "--export"], ["doctor", "--html"], ["capture"]):
        is_said(place.exchange(*words, str(there)), "is there already")
        refused = place.exchange(*words, str(tmp_path / "no" / "file"))
        is_said(refused, "There is no folder")
        assert "read what" not in refused.err
    is_said(place.exchange("plan", PUBLIC, "--powershell", str(tmp_path / "no")), "There is no folder")
    assert there.read_text() == "mine"


@pytest.mark.parametrize("account", ["O'Brien", "a & Remove-Item x", "$(id)", "`n", "\N{RIGHT SINGLE QUOTATION MARK}"])
def test_the_name_of_an_account_stays_a_name(account: str, place: Place) -> None:
    script = json.loads(place.exchange("account", "--script", account, "--json", code=0).out)["script"]
    quoted = "".join(letter * 2 if letter in "'\N{RIGHT SINGLE QUOTATION MARK}" else letter for letter in account)
    members = [line for line in script.splitlines() if line.startswith(("Add-RoleGroupMember", "Set-User"))]
    assert len(members) == 2
    assert all(f"'{quoted}'" in line for line in members)


@pytest.mark.parametrize("account", ["", " ", "a\nb", "a; Remove-Item C:\\", "./grant.ps1"])
def test_the_name_of_an_account_that_is_none(account: str, place: Place) -> None:
    is_said(place.exchange("account", "--script", account))


@pytest.mark.parametrize(
    "words",
    [
        ["account", "--check", "--script", "x"],
        ["apply", PUBLIC, "--on-server"],
        ["verify", PUBLIC, "--outside", "x", "--report", "y"],
        ["names", "--certificate", "nobody"],
        ["discover", "--server", "ex01.contoso.test", "--auth", "kerberos"],
        ["discover", "--server", "ex01.contoso.test", "--auth", "carrier-pigeon"],
        ["discover", "--server", "ex01.contoso.test", "--endpoint", "gopher://x/"],
        ["discover", "--server", "ex01.contoso.test", "--credential", "nobody", "--auth", "ntlm"],
        ["discover", "--server", "a,a"],
        ["setup", "--canary", "ex09.contoso.test", "--yes"],
        ["setup", "--wave-width", "0", "--yes"],
        ["setup", "--connector", "", "--yes"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused(words: list[str], place: Place) -> None:
    is_said(place.exchange(*words))


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"], ["apply", "--plan", "0" * 16]], ids=" ".join)
def test_a_server_that_the_task_does_not_know(command: list[str], place: Place) -> None:
    name, *options = command
    refused = place.exchange(name, PUBLIC, "--server", "ex09.contoso.test", *options)
    is_said(refused, "'ex09.contoso.test' is no server of the task 'exchange'", "ex01.contoso.test")


def test_everything_that_prints_data_prints_json(place: Place) -> None:
    def keys(*arguments: str, code: int = 0) -> set[str]:
        found: Any = json.loads(place.exchange(*arguments, "--json", code=code).out)
        return set(found[0] if isinstance(found, list) else found)

    assert keys("discover") == {"snapshot", "differences"}
    assert keys("names") == {"judged", "names", "proposed"}
    assert keys("account") == {"known", "missing"}
    assert keys("status") == {"servers", "drift"}
    assert keys("doctor") == {"passed", "findings"}
    assert keys("plan", PUBLIC) >= {"task", "hash", "changes", "findings"}
    assert keys("apply", PUBLIC, "--dry-run") >= {"task", "hash", "changes"}
    assert keys("apply", PUBLIC, "--dry-run", "--on-server") >= {"task", "hash", "changes", "answers"}
    assert keys("apply", PUBLIC, code=2) == {"error"}
    assert keys("verify", PUBLIC, code=1) >= {"task", "rows", "findings"}
    assert keys("cleanup", PUBLIC, "--dry-run", code=3) == {"task", "removals", "removed", "kept", "deferred"}
