"""Names are registered once, values rolled so that two stand, and refusals explained: against acme-dns's own API."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import count, repeat
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from certwright.dns.acme_dns import AcmeDns, Params
from certwright.domain.errors import CertwrightError, ConfigurationError, SolverError, Unreachable
from certwright.domain.runs import Entry
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.credentials import store_credential
from certwright.engine.dns import provider as made
from certwright.engine.written import WrittenRecords
from certwright.rest import Api
from certwright.sdk.dns import DnsContext, TxtRecord
from certwright.sdk.journal import SilentJournal
from certwright.sdk.params import read_params
from peers.acme_dns import AcmeDnsServer, acme_dns
from peers.answers import KeptInMemory
from peers.dns_peer import Fault
from world.site import Site

NAME = "_acme-challenge.contoso.com"
ZONE = "auth.test"
ONE, TWO, THREE, FOUR = "1" * 43, "-" * 43, "_" * 43, "4" * 43


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeDnsServer]:
    monkeypatch.setattr(Api, "pauses", (0.0, 0.0, 0.0))
    with acme_dns() as started:
        yield started
        assert started.complaints == []


@pytest.fixture
def memory() -> KeptInMemory:
    return KeptInMemory()


def provider(api: AcmeDnsServer, memory: KeptInMemory, /, **params: Any) -> AcmeDns:
    read = read_params(Params, {"server": api.url, **params}, "the provider")
    return AcmeDns(read, DnsContext("proofs", SilentJournal(), memory, lambda: datetime.now(UTC)))


def standing(server: AcmeDnsServer) -> set[str]:
    (account,) = server.accounts.values()
    return set(account.texts)


def records(at: str, *values: str) -> list[TxtRecord]:
    return [TxtRecord(at, value) for value in values]


def test_a_name_is_registered_once_and_known_again(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    target = provider(server, memory).delegate(NAME)
    assert target.endswith(".auth.test")
    assert provider(server, memory).delegate(NAME) == target
    assert provider(server, memory).delegate("_acme-challenge.fabrikam.com") != target
    assert len(server.accounts) == 2


def test_runs_that_meet_register_a_name_once(server: AcmeDnsServer, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    together = Barrier(8)

    def delegate(engine: Engine) -> str | None:
        ours = made(engine, "proofs", SilentJournal())
        together.wait(20)
        return ours.delegate(NAME)

    with site.engine() as engine, ThreadPoolExecutor(together.parties) as pool:
        store_credential(engine, "acme_dns", "proofs", {"server": server.url}, checked=False)
        targets = set(pool.map(delegate, [engine] * together.parties))
    assert len(targets) == len(server.accounts) == 1


def test_a_run_does_not_wait_for_another_for_ever(
    server: AcmeDnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certwright.engine.dns._SECONDS", 0)
    with Site(tmp_path).initialise().engine() as engine:
        store_credential(engine, "acme_dns", "proofs", {"server": server.url}, checked=False)
        ours = made(engine, "proofs", SilentJournal())
        with ours.context.alone("registration"), pytest.raises(SolverError, match="Another run") as raised:
            ours.delegate(NAME)
    assert "'proofs'" in raised.value.message
    assert raised.value.retryable
    assert server.accounts == {}


def test_runs_at_one_name_wait_until_the_values_of_the_other_are_taken_away(
    server: AcmeDnsServer, tmp_path: Path
) -> None:
    """An RSA and an ECDSA certificate for a name and its wildcard; one whose two rules choose two solvers."""
    waits = Event()

    def heard(entry: Entry) -> None:
        if "Another run needs its values at" in entry.title:
            waits.set()

    with (
        Site(tmp_path).initialise().engine(heard) as engine,
        engine.store.lease("certificate:rsa") as rsa,
        engine.store.lease("certificate:ecdsa") as ecdsa,
        closing(WrittenRecords(engine, ActiveRun.unrecorded(engine, rsa))) as first,
        closing(WrittenRecords(engine, ActiveRun.unrecorded(engine, ecdsa))) as second,
        ThreadPoolExecutor() as pool,
    ):
        store_credential(engine, "acme_dns", "proofs", {"server": server.url}, checked=False)
        target = made(engine, "proofs", SilentJournal()).delegate(NAME)
        assert target
        for value in (ONE, TWO):
            first.add("proofs", {ZONE: records(target, value)})
        other = pool.submit(second.add, "proofs", {ZONE: records(target, THREE, FOUR)})
        assert waits.wait(30)
        assert standing(server) == {ONE, TWO}
        first.remove("proofs", {ZONE: records(target, ONE, TWO)})
        other.result(30)
        assert standing(server) == {THREE, FOUR}


def test_a_name_and_its_wildcard_stand_together_in_each_renewal(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    one = provider(server, memory)
    target = one.delegate(NAME)
    for day, pair in enumerate([(ONE, TWO), (TWO, THREE), (THREE, ONE)], 1):
        server.now = repeat(86400.0 * day).__next__
        provider(server, memory).add(ZONE, records(target, *pair))
        assert standing(server) == set(pair)
        one.remove(ZONE, records(target, *pair))


@pytest.mark.parametrize("asked", range(4))
@pytest.mark.parametrize("step", [0.0, 0.5, 1.0], ids=["at once", "half a second apart", "a second apart"])
def test_an_answer_that_is_lost_costs_no_value(
    server: AcmeDnsServer, memory: KeptInMemory, asked: int, step: float
) -> None:
    one = provider(server, memory)
    target = one.delegate(NAME)
    server.now = count(1000, step).__next__
    server.fail(Fault.ANSWER_LOST, after=asked)
    one.add(ZONE, records(target, ONE, TWO))
    server.now = count(2000, step).__next__
    server.fail(Fault.ANSWER_LOST, 2, after=asked)
    one.add(ZONE, records(target, TWO, THREE))
    assert standing(server) == {TWO, THREE}


def test_a_server_that_always_breaks_off_is_told(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    one = provider(server, memory)
    target = one.delegate(NAME)
    for fault in (Fault.BROKEN, Fault.ANSWER_LOST):
        server.fail(fault, 100)
        with pytest.raises(Unreachable) as raised:
            one.add(ZONE, records(target, ONE, TWO))
        assert raised.value.retryable


def test_three_values_are_refused_before_one_is_written(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    one = provider(server, memory)
    target = one.delegate(NAME)
    with pytest.raises(SolverError, match="keeps 2 values") as raised:
        one.add(ZONE, records(target, ONE, TWO, THREE))
    assert raised.value.hint
    assert standing(server) == set()


def test_a_name_of_an_account_that_is_not_known(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    one = provider(server, memory)
    with pytest.raises(SolverError, match="No account of acme-dns is known") as raised:
        one.add(ZONE, [*records(one.delegate(NAME), ONE), *records("other.auth.test", TWO)])
    assert "CNAME" in raised.value.hint
    assert standing(server) == set()


def test_an_account_that_the_server_has_lost(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    one = provider(server, memory)
    target = one.delegate(NAME)
    (account,) = server.accounts.values()
    server.accounts.clear()
    with pytest.raises(SolverError, match="does not accept the credential") as raised:
        one.add(ZONE, records(target, ONE))
    told = "\n".join(raised.value.explain())
    assert "forbidden" in told
    assert "registers anew" in told
    assert account.password not in told


def test_networks_are_handed_on_and_heeded(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    one = provider(server, memory, allowfrom=["192.0.2.7/24"])
    target = one.delegate(NAME)
    (account,) = server.accounts.values()
    assert account.allowfrom == ["192.0.2.0/24"]
    with pytest.raises(SolverError) as raised:
        one.add(ZONE, records(target, ONE))
    assert "allowfrom" in raised.value.hint


def test_a_server_that_takes_no_new_names(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    server.registration = False
    with pytest.raises(SolverError) as raised:
        provider(server, memory).delegate(NAME)
    assert "disable_registration" in raised.value.hint


def test_the_check_tells_acme_dns_from_something_else(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    assert provider(server, memory).check() == f"acme-dns at {server.url} answers."
    assert not server.accounts
    with pytest.raises(Unreachable, match="is no acme-dns") as raised:
        provider(server, memory, server=f"{server.url}/elsewhere").check()
    assert "address" in raised.value.hint
    assert not raised.value.retryable
    server.fail(Fault.NONSENSE, 1)  # a web page, with success
    with pytest.raises(Unreachable, match="is no acme-dns"):
        provider(server, memory).check()
    server.fail(Fault.UNAVAILABLE, 100)
    with pytest.raises(SolverError, match="out of order") as raised_when_busy:
        provider(server, memory).check()
    assert raised_when_busy.value.retryable


def test_nonsense_is_no_account(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    server.fail(Fault.NONSENSE, 1)
    with pytest.raises(Unreachable):
        provider(server, memory).delegate(NAME)
    server.domain = "auth test; rm"
    with pytest.raises(Unreachable, match="a name that is none"):
        provider(server, memory).delegate(NAME)
    assert memory.held == {}


@pytest.mark.parametrize("name", ["subdomain", "username", "password"])
@pytest.mark.parametrize(
    "odd", ["canary\n", "\nX-Canary: 1", "canary\u00e9\u20ac", "", "canary" * 50, None, ["canary"]]
)
def test_an_account_that_could_not_be_used_is_not_kept(
    server: AcmeDnsServer, memory: KeptInMemory, name: str, odd: object
) -> None:
    server.odd = {name: odd}
    with pytest.raises(Unreachable, match="not as documented") as raised:
        provider(server, memory).delegate(NAME)
    told = "\n".join(raised.value.explain())
    assert name in told
    assert "anary" not in told
    assert memory.held == {}


def test_a_name_that_is_too_long_for_the_dns_is_not_kept(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    server.odd = {"fulldomain": "auth." * 50 + "test"}
    with pytest.raises(Unreachable, match="a name that is none"):
        provider(server, memory).delegate(NAME)
    assert memory.held == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "auth.contoso.com"},
        {"server": "https://auth.contoso.com:99999"},
        {"server": "https://auth.contoso.com:0x"},
        {"server": "https://auth.contoso.com:0"},
        {"server": "https:// /"},
        {"server": "https:// :8443"},
        {"server": "https://auth contoso.com"},
        {"server": "https://me:secret-canary@auth.contoso.com"},
        {"server": "https://[auth"},
        {"allowfrom": ["192.0.2.0/33"]},
        {"ca_file": "/no/such/file"},
    ],
)
def test_parameters_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_params(Params, {"server": "https://auth.contoso.com", **wrong}, "the provider")
    assert "secret-canary" not in "\n".join(raised.value.explain())


def test_plain_http_goes_no_further_than_this_machine(server: AcmeDnsServer, memory: KeptInMemory) -> None:
    with pytest.raises(CertwrightError, match="only https"):
        provider(server, memory, server="http://auth.contoso.com").check()
