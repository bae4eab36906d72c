"""A program of one's own from the command line to the certificate: nsupdate, and BIND."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dns.message
import dns.query
import pytest

from certwright.domain.errors import SolverError
from certwright.domain.validation import Validation
from certwright.engine.credentials import store_credential
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from certwright.engine.request import request
from peers.bind import World, bind_world
from peers.debian import require
from peers.pebble import pebble
from peers.programs import nsupdate
from world.proofs import Proofs, proofs

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    require("bind9-dnsutils")
    with bind_world() as started:
        started.zone("contoso.test")
        yield started


@pytest.fixture
def one(world: World, tmp_path: Path) -> Iterator[Proofs]:
    folder = tmp_path / "allowed"
    folder.mkdir(mode=0o755)
    nsupdate(folder / "records", world.primary)
    with proofs(tmp_path, world) as started:
        yield replace(started, site=replace(started.site, script_folders=(folder,)))


def test_it_writes_what_is_asked_for_and_its_words_are_in_the_journal(one: Proofs, tmp_path: Path) -> None:
    program = str(tmp_path / "allowed" / "records")
    key = one.world.key
    secret = f"{key.algorithm}:{key.name}:{key.secret}"
    with one.site.engine() as engine:
        store_credential(
            engine, "script", "own", {"create": program, "delete": program, "secret": secret}, checked=True
        )
    managed = one.describe("contoso.test", "*.contoso.test", credential="own")
    one.request(managed)
    journal = one.journal(managed)
    assert journal.count("add in contoso.test with ***") == 2
    assert journal.count("delete in contoso.test with ***") == 2
    assert key.secret not in journal
    assert one.standing("_acme-challenge.contoso.test") == []


@pytest.mark.parametrize(
    ("update", "cause", "remedy"),
    [
        ("update $action $1.$3. 300 TXT $2", "dns-doubled-zone", "Write the name without contoso.test"),
        (r"update $action $1. 300 TXT \"\\\"$2\\\"\"", "dns-altered-txt", "Write the value exactly"),
        ("update $action www.$3. 300 TXT $2", "", "No name server of the zone has these records"),
        ("update delete $1. TXT\nupdate $action $1. 300 TXT $2", "dns-lost-txt", "Let the DNS provider keep several"),
    ],
)
def test_what_a_program_does_wrong_is_told_before_the_authority_is_asked(
    one: Proofs, tmp_path: Path, update: str, cause: str, remedy: str
) -> None:
    program = nsupdate(tmp_path / "allowed" / "records", one.world.primary, update=update)
    key = one.world.key
    secret = f"{key.algorithm}:{key.name}:{key.secret}"
    params = {"create": str(program), "delete": str(program), "secret": secret}
    with one.site.engine() as engine:
        store_credential(engine, "script", "own", params, checked=True)
    managed = one.describe("slip.contoso.test", "*.slip.contoso.test", credential="own", timeout=1)
    with pytest.raises(SolverError) as raised:
        one.request(managed)
    assert raised.value.hint.startswith(remedy)
    assert [str(told).rpartition("[")[2] for told in raised.value.causes if str(told).endswith("]")] == (
        [f"{cause}]"] if cause else []
    )


def test_pebble_finds_the_records_in_a_dns_that_only_the_program_knows(one: Proofs, tmp_path: Path) -> None:
    """Pebble asks pebble-challtestsrv, which has neither zones nor name servers for us to look at: we look at BIND."""
    require("curl")
    with pebble(tmp_path / "pebble") as authority, one.site.engine() as engine:
        tell = f"""\
if [ $action = add ]
then curl -sf {authority.challtestsrv_url}/set-txt -d '{{"host": "'"$1"'.", "value": "'"$2"'"}}'
else curl -sf {authority.challtestsrv_url}/clear-txt -d '{{"host": "'"$1"'."}}'
fi"""
        program = str(nsupdate(tmp_path / "allowed" / "both", one.world.primary, tell))
        key = one.world.key
        params = {"create": program, "delete": program, "secret": f"{key.algorithm}:{key.name}:{key.secret}"}
        store_credential(engine, "script", "own", params, checked=True)
        account = {"directory": authority.directory_url, "email": "postmaster@contoso.test", "agree_tos": True}
        add_issuer(
            engine, "acme", "pebble", {**account, "ca_file": str(authority.ca_file)}, internal_names=True, eab=None
        )
        way = Validation(challenge="dns-01", solver="dns", params={"credential": "own"})
        names = ("contoso.test", "*.contoso.test", "mail.contoso.test")
        managed = create(engine, Wish(names=names, issuer="pebble", validation=way))
        assert request(engine, managed.id).version
        txt = dns.message.make_query("_acme-challenge.contoso.test.", "TXT")
        assert not dns.query.udp(txt, "127.0.0.1", port=authority.dns_port, timeout=10).answer


def test_what_the_administrator_has_not_allowed_is_not_even_stored(one: Proofs, tmp_path: Path) -> None:
    program = str(tmp_path / "allowed" / "records")
    options = ["--create", program, "--delete", program, "--no-check"]
    not_allowed = replace(one.site, script_folders=())
    ended = not_allowed.cli("credential", "add", "dns:script", "own", *options, code=2)
    assert "CERTWRIGHT_SCRIPT_FOLDERS" in ended.told
    assert "own" not in one.site.cli("credential", "list", "--json", code=0).out
    one.site.cli("credential", "add", "dns:script", "own", *options, code=0)
    not_allowed.cli("credential", "test", "own", code=2)
    one.site.cli("credential", "test", "own", code=0)
