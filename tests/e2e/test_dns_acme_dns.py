"""acme-dns from the first run, which asks for a CNAME, to the certificate: its API, BIND, and our authority."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright.domain.errors import NeedsPerson
from certwright.domain.runs import Outcome
from certwright.engine.credentials import store_credential
from peers.acme_dns import AcmeDnsServer, acme_dns
from peers.bind import World, bind_world
from world.proofs import Proofs, proofs

pytestmark = pytest.mark.e2e

PROOFS = "proofs"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as started:
        started.zone("contoso.test")
        started.zone("auth.test")
        yield started


@pytest.fixture
def server(world: World) -> Iterator[AcmeDnsServer]:
    with acme_dns(world) as started:
        yield started
        assert started.complaints == []


@pytest.fixture
def one(world: World, server: AcmeDnsServer, tmp_path: Path) -> Iterator[Proofs]:
    with proofs(tmp_path, world) as started:
        with started.site.engine() as engine:
            store_credential(engine, "acme_dns", PROOFS, {"server": server.url}, checked=True)
        yield started


def wanted(error: NeedsPerson) -> dict[str, str]:
    """The CNAME records that are asked for."""
    lines = [str(cause).split() for cause in error.causes]
    return {line[0].rstrip("."): line[2] for line in lines if line[1] == "CNAME"}


def test_a_person_makes_the_cnames_and_the_next_run_goes_on(one: Proofs, server: AcmeDnsServer) -> None:
    managed = one.describe("contoso.test", "*.contoso.test", "mail.contoso.test", credential=PROOFS)
    with pytest.raises(NeedsPerson) as raised:
        one.request(managed)
    asked = wanted(raised.value)
    assert sorted(asked) == ["_acme-challenge.contoso.test", "_acme-challenge.mail.contoso.test"]
    with one.site.engine() as engine, engine.store.read() as unit:
        assert unit.runs.list(managed.id)[0].outcome is Outcome.WAITING
    assert "[renewal-waits]" in one.site.cli("status", code=4).out
    one.world.records("contoso.test", "_acme-challenge.contoso.test", "CNAME", asked["_acme-challenge.contoso.test"])
    with pytest.raises(NeedsPerson) as raised:
        one.request(managed)
    assert list(wanted(raised.value)) == ["_acme-challenge.mail.contoso.test"]
    name = "_acme-challenge.mail.contoso.test"
    one.world.records("contoso.test", name, "CNAME", asked[name])
    one.request(managed)
    one.request(one.describe("mail.contoso.test", "contoso.test", credential=PROOFS))
    assert len(server.accounts) == 2
    assert len(one.ca.server.issued) == 2


def test_a_cname_to_somewhere_else_is_shown(one: Proofs) -> None:
    one.world.records("contoso.test", "_acme-challenge.old.contoso.test", "CNAME", "gone.auth.test.")
    with pytest.raises(NeedsPerson) as raised:
        one.request(one.describe("old.contoso.test", credential=PROOFS))
    assert "(it leads to gone.auth.test now)" in "\n".join(raised.value.explain())


def test_the_passwords_of_the_accounts_are_sealed_and_shown_nowhere(one: Proofs, server: AcmeDnsServer) -> None:
    managed = one.describe("sealed.contoso.test", credential=PROOFS)
    ended = one.site.cli("certificate", "request", managed.id, code=4)
    (account,) = server.accounts.values()
    assert account.subdomain in ended.told
    assert account.password not in ended.told
    for path in one.site.folder.rglob("*"):
        assert not path.is_file() or account.password.encode() not in path.read_bytes()
