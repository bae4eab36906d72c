"""What every DNS provider keeps: those with a peer, against it; see `peers.dns_peer` for how to add one."""

import fnmatch
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from certwright.domain.errors import CertwrightError, ConfigurationError, SolverError, Unreachable
from certwright.engine import catalog
from certwright.engine.journal import RunJournal
from certwright.sdk import pace
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params, read_params, secret_names
from peers.dns_peer import OTHER_ZONE, ZONE, DnsPeer, Fault, peers
from peers.record_sets import SetVendor
from peers.vendor import Front
from world.dns_accounts import CREDENTIAL, Alone, provider, reached

PROVIDERS = sorted(
    f"{name}:{member}" if member else name
    for name in catalog.names("dns")
    for member in catalog.members("dns", name) or ("",)
)
PEERS = {name: serve for name, serve in peers().items() if name.partition("__")[0] in catalog.names("dns")}
WITHOUT_PEER = {
    "manual": "A person is the other side; tests/e2e/test_dns_validation.py plays that part.",
    "lexicon:*": "dns-lexicon's own code; that of PowerDNS stands for what is ours, the adapter.",
}
SECRET_WORDS = re.compile(r"token|secret|password|(^|_)key$")
NAME = f"_acme-challenge.www.{ZONE}"
ONE = TxtRecord(NAME, "a" * 42 + "1")
TWO = TxtRecord(NAME, "-" + "b" * 41 + "2")
THREE = TxtRecord(f"_acme-challenge.{ZONE}", "_" + "c" * 41 + "3")
Change = Callable[[str, Sequence[TxtRecord]], None]
SECONDS = 30
PASSING = [Fault.RATE_LIMITED, Fault.UNAVAILABLE, Fault.BROKEN, Fault.ANSWER_LOST]


@dataclass
class Case:
    """A provider and its peer; `told` is what it wrote into the journal."""

    name: str
    peer: DnsPeer
    told: list[str] = field(default_factory=list)

    def provider(self, params: Mapping[str, Any] | None = None) -> DnsProvider[Any]:
        journal = RunJournal(lambda entry: entry, lambda entry: self.told.append(repr(entry)))
        given = self.peer.params if params is None else params
        return provider(self.name, given, journal, self.peer.script_folders)

    def runs(self) -> tuple[DnsProvider[Any], DnsProvider[Any], Alone]:
        """The provider as two runs have it at the same time."""
        alone = Alone()
        one, two = (
            provider(self.name, self.peer.params, script_folders=self.peer.script_folders, alone=alone) for _ in "12"
        )
        return one, two, alone

    def zones_in(self, told: str) -> bool:
        """Whether the zones are named, where the service lets one know them."""
        return bool(told) and (not self.peer.tells_zones or (ZONE in told and OTHER_ZONE in told))

    def must_write(self) -> None:
        if not self.peer.writes_anywhere:
            pytest.skip(f"{self.name} has names of its own, and does not take values away")

    def can(self, *faults: Fault) -> None:
        for fault in faults:
            if fault not in self.peer.faults:
                pytest.skip(f"the peer of {self.name} cannot do {fault.name}")


def _provider_of(peer: str) -> str:
    member = peer.replace("__", ":")
    return member if member in PROVIDERS else peer.partition("__")[0]


@pytest.fixture(params=sorted(PEERS))
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    name = _provider_of(request.param)
    with PEERS[request.param]() as peer, reached(name, peer):
        case = Case(name, peer)
        yield case
        shown = "\n".join(case.told)
        assert not [secret for secret in secrets_in(case, peer.params) if secret in shown]


def secrets_in(case: Case, params: Any) -> list[str]:
    secret = secret_names(catalog.plugin("dns", case.name).params)
    return [str(value) for name, value in params.items() if name in secret]


def all_of(error: BaseException) -> str:
    """Everything that could be shown of an error, with what lies beneath."""
    parts: list[str] = []
    while True:
        parts += [str(error), repr(error), repr(getattr(error, "__dict__", {}))]
        if isinstance(error, CertwrightError):
            parts += error.explain()
        beneath = error.__cause__ or error.__context__
        if beneath is None:
            return "\n".join(parts)
        error = beneath


def test_every_provider_has_a_peer_or_a_reason_to_have_none() -> None:
    tried = {_provider_of(peer) for peer in PEERS}
    untried = set(PROVIDERS) - tried
    excused = {reason: fnmatch.filter(untried, reason) for reason in WITHOUT_PEER}
    assert untried - set().union(*excused.values()) == set()
    assert all(excused.values()), "a reason that is not needed any more"


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_documented_and_complete(name: str) -> None:
    plugin = catalog.plugin("dns", name)
    assert len(plugin.page.splitlines()) > 1
    assert issubclass(plugin.params, Params)
    assert not inspect.isabstract(plugin.cls)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_parameter_is_described_and_what_is_secret_is_marked(name: str) -> None:
    params = catalog.plugin("dns", name).params
    assert all(info.description for info in params.model_fields.values())
    assert json.loads(json.dumps(params.model_json_schema()))
    marked = set(secret_names(params))
    suspected = {field for field in params.model_fields if SECRET_WORDS.search(field)}
    assert suspected <= marked


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_unknown_parameter_is_named_but_its_value_is_not_shown(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", name).params, {"no_such_parameter": "canary"}, "the provider")
    told = "\n".join(caught.value.explain())
    assert "no_such_parameter" in told
    assert "canary" not in told


def test_a_check_tells_which_zones_there_are_and_changes_nothing(case: Case) -> None:
    before = case.peer.everything()
    told = case.provider().check()
    assert case.zones_in(told)
    assert case.peer.everything() == before


def test_secrets_are_in_no_repr(case: Case) -> None:
    ours = case.provider()
    shown = f"{ours!r} {ours.params!r} {ours.params} {ours.context!r} {ours.params.model_dump_json()}"
    assert not [secret for secret in secrets_in(case, case.peer.params) if secret in shown]
    params: BaseModel = ours.params
    assert all(isinstance(getattr(params, name), SecretStr | None) for name in secret_names(type(params)))


def test_whatever_is_asked_waits_its_turn(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """With turns a long time apart, which passes at once."""
    gap = 1_000_000
    waits: list[float] = []
    monkeypatch.setattr(catalog.plugin("dns", case.name).cls, "per_second", 1 / gap)
    monkeypatch.setattr(pace, "_turns", {})
    monkeypatch.setattr(pace, "sleep", waits.append)
    for _ in range(2):
        case.provider().check()
        if case.peer.writes_anywhere:
            case.provider().add(ZONE, [ONE])
            case.provider().remove(ZONE, [ONE])
    turns = [round(wait / gap) for wait in waits]
    assert turns == list(range(len(turns)))
    assert len(turns) >= (4 if case.peer.writes_anywhere else 2)


def test_a_wrong_secret_is_told_with_the_name_of_what_to_mend(case: Case) -> None:
    case.must_write()
    ours = case.provider(case.peer.wrong_params)
    acts: list[Callable[[], object]] = [lambda: ours.add(ZONE, [ONE]), lambda: ours.remove(ZONE, [ONE])]
    for act in (ours.check, *acts) if case.peer.tries_secret else acts:
        with pytest.raises(SolverError) as caught:
            act()
        assert CREDENTIAL in caught.value.hint
        assert not caught.value.retryable
        shown = all_of(caught.value)
        assert not [secret for secret in secrets_in(case, case.peer.wrong_params) if secret in shown]
    assert case.peer.read(NAME) == []


def test_a_line_break_that_was_pasted_along_is_left_out(case: Case) -> None:
    secret = secret_names(catalog.plugin("dns", case.name).params)
    pasted = {name: f"{value}\n" if name in secret else value for name, value in case.peer.params.items()}
    assert case.provider(pasted).params == case.provider().params


@pytest.mark.parametrize("tail", ["\r\nX-Injected: 1", "\0x", "\N{SNOWMAN}"])
def test_a_secret_that_no_service_gives_out_is_told_without_being_shown(case: Case, tail: str) -> None:
    names = [name for name in secret_names(catalog.plugin("dns", case.name).params) if name in case.peer.params]
    for name in names:
        secret = f"{case.peer.params[name]}{tail}"
        with pytest.raises(CertwrightError) as caught:
            case.provider({**case.peer.params, name: secret}).add(ZONE, [ONE])
        assert secret not in all_of(caught.value)
        assert case.peer.params[name] not in all_of(caught.value)
    assert case.peer.read(NAME) == []


def test_records_are_added_and_removed_once_however_often_it_is_asked(case: Case) -> None:
    case.must_write()
    before = case.peer.everything()
    ours = case.provider()
    for _ in range(2):
        ours.add(ZONE, [ONE, TWO, THREE])
        assert case.peer.read(ONE.name) == sorted([ONE.value, TWO.value])
        assert case.peer.read(THREE.name) == [THREE.value]
    ours.remove(ZONE, [ONE])
    assert case.peer.read(NAME) == [TWO.value]
    for _ in range(2):
        ours.remove(ZONE, [ONE, TWO, THREE])
        assert case.peer.everything() == before


def test_other_values_at_the_name_stay(case: Case) -> None:
    case.must_write()
    case.peer.put(NAME, "somebody else's")
    before = case.peer.everything()
    ours = case.provider()
    ours.add(ZONE, [ONE])
    assert case.peer.read(NAME) == sorted([ONE.value, "somebody else's"])
    ours.remove(ZONE, [ONE, TWO])
    assert case.peer.read(NAME) == ["somebody else's"]
    assert case.peer.everything() == before


def test_what_somebody_else_does_between_reading_and_writing_is_not_undone(case: Case) -> None:
    peer, ours = case.peer, case.provider()
    if not isinstance(peer, SetVendor):
        pytest.skip(f"the peer of {case.name} lets nobody come in between")
    peer.meanwhile = lambda: peer.put(NAME, "first")
    ours.add(ZONE, [ONE])
    assert peer.read(NAME) == sorted(["first", ONE.value])
    peer.meanwhile = lambda: peer.put(NAME, "second")
    ours.remove(ZONE, [ONE])
    assert peer.read(NAME) == ["first", "second"]
    peer.meanwhile = lambda: peer.erase(ZONE, NAME)
    ours.add(ZONE, [ONE])
    assert peer.read(NAME) == [ONE.value]


def test_of_two_zones_of_one_name_the_one_that_the_key_may_change_is_enough(case: Case) -> None:
    peer, ours = case.peer, case.provider()
    if not isinstance(peer, SetVendor):
        pytest.skip(f"the peer of {case.name} has no two zones of one name")
    peer.has_twin = True
    ours.add(ZONE, [ONE])
    assert peer.read(NAME) == [ONE.value]
    assert "was left out" in case.told[-1]
    ours.remove(ZONE, [ONE])
    assert peer.read(NAME) == []
    peer.is_closed = True
    for change in (ours.add, ours.remove):
        with pytest.raises(SolverError) as caught:
            change(ZONE, [ONE])
        assert "right" in "\n".join(caught.value.explain())
        assert CREDENTIAL in caught.value.hint


@pytest.mark.parametrize("requests_before", range(6))
def test_two_runs_at_one_name_lose_nothing(case: Case, requests_before: int) -> None:
    """The second run comes between any two requests of the first, so between its reading and writing, too."""
    peer, (one, two, alone) = case.peer, case.runs()
    case.must_write()
    if not isinstance(peer, Front):
        pytest.skip(f"the peer of {case.name} lets nobody come in between")
    peer.put(NAME, "somebody else's")
    for mine, theirs, left in (
        (one.add, two.add, [ONE.value, TWO.value]),
        (one.remove, two.add, [TWO.value]),
        (one.add, two.remove, [ONE.value]),
        (one.remove, two.remove, []),
    ):
        with ThreadPoolExecutor(1) as pool:
            begun: list[Future[None]] = []

            def meanwhile(
                theirs: Change = theirs, pool: ThreadPoolExecutor = pool, begun: list[Future[None]] = begun
            ) -> None:
                alone.waits.clear()
                begun.append(pool.submit(theirs, ZONE, [TWO]))
                begun[0].add_done_callback(lambda _: alone.waits.set())
                assert alone.waits.wait(SECONDS)

            peer.interrupt(meanwhile, after=requests_before)
            mine(ZONE, [ONE])
            if begun:
                begun[0].result(SECONDS)
            else:  # the first run was through with fewer requests
                theirs(ZONE, [TWO])
        assert peer.read(NAME) == sorted([*left, "somebody else's"])


@pytest.mark.parametrize("name", [ZONE, f"a.b.c.d.e.f.g.h.{ZONE}", f"xn--bcher-kva.{ZONE}"])
def test_names_at_the_top_of_the_zone_and_deep_below(case: Case, name: str) -> None:
    case.must_write()
    before = case.peer.everything()
    ours = case.provider()
    record = TxtRecord(name, ONE.value)
    there = case.peer.read(name)
    ours.add(ZONE, [record])
    assert case.peer.read(name) == sorted([*there, ONE.value])
    ours.remove(ZONE, [record])
    assert case.peer.everything() == before


def test_an_unknown_zone_is_told_with_those_that_there_are(case: Case) -> None:
    case.must_write()
    before = case.peer.everything()
    ours = case.provider()
    for change in (ours.add, ours.remove):
        with pytest.raises(SolverError) as caught:
            change("tailspintoys.com", [TxtRecord("_acme-challenge.tailspintoys.com", ONE.value)])
        told = "\n".join(caught.value.explain())
        assert "tailspintoys.com" in told
        assert case.zones_in(told)
        assert CREDENTIAL in caught.value.hint
    assert case.peer.everything() == before


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name.lower())
def test_what_passes_is_outlived(case: Case, fault: Fault) -> None:
    case.must_write()
    case.can(fault)
    before = case.peer.everything()
    ours = case.provider()
    case.peer.fail(fault)
    assert ZONE in ours.check()
    for change, there in ((ours.add, [ONE.value]), (ours.remove, [])):
        for requests_before in range(4):
            case.peer.fail(fault, after=requests_before)
            change(ZONE, [ONE])
            assert case.peer.read(NAME) == there
    assert case.peer.everything() == before


@pytest.mark.parametrize(
    "fault", [Fault.RATE_LIMITED, Fault.UNAVAILABLE, Fault.BROKEN], ids=lambda fault: fault.name.lower()
)
def test_what_does_not_pass_is_told_and_may_be_tried_later(case: Case, fault: Fault) -> None:
    case.must_write()
    case.can(fault)
    case.peer.fail(fault, 100)
    with pytest.raises((SolverError, Unreachable)) as caught:
        case.provider().add(ZONE, [ONE])
    assert caught.value.retryable
    assert caught.value.hint
    assert not [secret for secret in secrets_in(case, case.peer.params) if secret in all_of(caught.value)]


def test_a_web_page_in_place_of_an_answer_is_told(case: Case) -> None:
    case.must_write()
    case.can(Fault.NONSENSE)
    case.peer.fail(Fault.NONSENSE, 100)
    for act in (lambda: case.provider().check(), lambda: case.provider().add(ZONE, [ONE])):
        with pytest.raises(Unreachable) as caught:
            act()
        assert "proxy" in caught.value.hint


def test_a_missing_right_is_told(case: Case) -> None:
    case.must_write()
    case.can(Fault.FORBIDDEN)
    case.peer.fail(Fault.FORBIDDEN, 100)
    with pytest.raises(SolverError) as caught:
        case.provider().add(ZONE, [ONE])
    assert "right" in "\n".join(caught.value.explain())
    assert CREDENTIAL in caught.value.hint
    assert not caught.value.retryable
