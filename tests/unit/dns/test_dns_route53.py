"""What is Route 53's own; the rest is in the contract of all providers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError, SolverError, Unreachable
from certwright.engine import catalog
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import read_params
from peers import dns_route53
from peers.dns_peer import ZONE
from peers.dns_route53 import Route53Api

Make = Callable[..., DnsProvider[Any]]
NAME = f"_acme-challenge.{ZONE}"
MINE = TxtRecord(NAME, "mine")


@pytest.fixture
def peer() -> Iterator[Route53Api]:
    with dns_route53.serve() as peer:
        yield peer
        assert peer.complaints == []


def test_who_is_always_overtaken_gives_up_and_says_so(peer: Route53Api, make: Make) -> None:
    count = iter(range(100))

    def again() -> None:
        peer.put(NAME, f"theirs {next(count)}")
        peer.meanwhile = again

    peer.meanwhile = again
    with pytest.raises(SolverError) as caught:
        make("route53", peer).add(ZONE, [MINE])
    assert "InvalidChangeBatch" in "\n".join(caught.value.explain())


def test_many_names_are_changed_a_hundred_at_once(peer: Route53Api, make: Make) -> None:
    before = peer.everything()
    records = [TxtRecord(f"_acme-challenge.n{number}.{ZONE}", str(number)) for number in range(101)]
    provider = make("route53", peer)
    provider.add(ZONE, records)
    assert len(peer.moves) == 2
    assert all(peer.read(record.name) == [record.value] for record in records)
    provider.remove(ZONE, records)
    assert peer.everything() == before


def test_it_waits_until_all_servers_have_the_change(peer: Route53Api, make: Make) -> None:
    make("route53", peer).add(ZONE, [MINE])
    assert list(peer.moves.values()) == [2]


def test_it_waits_no_longer_than_its_time(peer: Route53Api, make: Make) -> None:
    peer.overrides = {**peer.overrides, "wait": -1}
    make("route53", peer).add(ZONE, [MINE])
    assert list(peer.moves.values()) == [0]


def test_a_change_that_is_still_being_made_is_waited_for(peer: Route53Api, make: Make) -> None:
    peer.unfinished = 2
    make("route53", peer).add(ZONE, [MINE])
    assert peer.read(NAME) == ["mine"]
    assert peer.unfinished == 0


def test_a_temporary_key_sends_its_token(peer: Route53Api, make: Make) -> None:
    peer.token = dns_route53.TOKEN
    provider = make("route53", peer, session_token=dns_route53.TOKEN)
    assert ZONE in provider.check()
    assert dns_route53.TOKEN not in repr(provider.params)


@pytest.mark.parametrize(
    ("changed", "told", "hint"),
    [
        ({"access_key_id": "AKIAAAAAAAAAAAAAAAAA"}, "InvalidClientTokenId", "no access key of this id"),
        ({"secret_access_key": "wrong"}, "SignatureDoesNotMatch", "does not belong to the key's id"),
    ],
)
def test_a_wrong_key_is_told_with_what_is_wrong_with_it(
    peer: Route53Api, make: Make, changed: dict[str, str], told: str, hint: str
) -> None:
    with pytest.raises(SolverError) as caught:
        make("route53", peer, **changed).check()
    assert told in "\n".join(caught.value.explain())
    assert hint in caught.value.hint


def test_a_wrong_clock_is_a_possible_cause(peer: Route53Api, make: Make) -> None:
    with pytest.raises(SolverError) as caught:
        make("route53", peer, now=lambda: datetime.now(UTC) - timedelta(hours=1)).check()
    assert "Signature expired" in "\n".join(caught.value.explain())
    assert "clock" in caught.value.hint


def test_an_answer_that_declares_entities_is_not_read(peer: Route53Api, make: Make) -> None:
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    peer.instead = f"<!DOCTYPE l [{bomb}]><ListHostedZonesByNameResponse>&e11;</ListHostedZonesByNameResponse>".encode()
    with pytest.raises(Unreachable) as caught:
        make("route53", peer).check()
    assert "not as documented" in caught.value.message


@pytest.mark.parametrize("key_id", ["", "AKIA with spaces", "akia0123456789abcdef", "wJalrXUtnFEMI/K7MDENG"])
def test_a_key_id_that_is_none_is_refused_at_once(key_id: str) -> None:
    values = {"access_key_id": key_id, "secret_access_key": "geheim"}
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", "route53").params, values, "the provider")
    assert "access_key_id" in str(caught.value.causes[0])
