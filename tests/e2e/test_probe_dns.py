"""Zones, aliases and the wait for records, against BIND (primary, secondary) and Unbound."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import dns.message
import pytest

from certwright.domain.errors import SolverError
from certwright.probe.dns.aliases import chain_of, find_astray, follow
from certwright.probe.dns.query import Kind, LookupFailure
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.visibility import Expected, await_visible
from certwright.probe.dns.zones import NameServer, Survey, Zone, find_zone, find_zones
from peers.bind import World, bind_world
from peers.loopback import silent

pytestmark = pytest.mark.e2e

PAUSES = (0.05, 0.1, 0.2)
ALIASES = """
www A 192.0.2.1
www AAAA 2001:db8::1
alias CNAME x.fabrikam.com.
_acme-challenge.alias CNAME y.alias.fabrikam.com.
_acme-challenge.dead CNAME nowhere.unregistered.com.
_acme-challenge.a CNAME _acme-challenge.b
_acme-challenge.b CNAME _acme-challenge.a
three TXT "one" "and a half"
three TXT "two"
three TXT "three"
"""
LONG = "".join(f"_acme-challenge.c{n} CNAME _acme-challenge.c{n + 1}\n" for n in range(12))
FABRIKAM = "y.alias CNAME z.tailspin.test.\n"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as made:
        made.zone("contoso.test", ALIASES + LONG)
        made.zone("fabrikam.com", FABRIKAM)
        made.zone("tailspin.test")
        made.zone("sub.contoso.test")
        made.zone("lagging.test", lagging=True)
        yield made


@pytest.fixture(scope="module")
def resolver(world: World) -> Resolver:
    return Resolver([world.resolver])


def expected(world: World, name: str, *values: str) -> list[Expected]:
    zone = find_zone(Resolver([world.resolver]), name)
    return [Expected(name, value, zone) for value in values]


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("contoso.test", "contoso.test"),
        ("WWW.contoso.test.", "contoso.test"),
        ("alias.contoso.test", "contoso.test"),
        ("_acme-challenge.contoso.test", "contoso.test"),
        ("_acme-challenge.not.there.contoso.test", "contoso.test"),
        ("_acme-challenge.sub.contoso.test", "sub.contoso.test"),
        ("deep.below.sub.contoso.test", "sub.contoso.test"),
    ],
)
def test_the_zone_is_found_where_it_is_cut(world: World, resolver: Resolver, name: str, zone: str) -> None:
    found = find_zone(resolver, name)

    assert found == Zone(
        zone, (NameServer(f"ns1.{zone}", (world.primary,)), NameServer(f"ns2.{zone}", (world.secondary,)))
    )


def test_many_names_have_their_zones_found_at_once(resolver: Resolver) -> None:
    zones = find_zones(
        Survey(resolver), [f"_acme-challenge.h{n}.contoso.test" for n in range(50)] + ["a.sub.contoso.test"]
    )

    assert {zone.name for zone in zones.values()} == {"contoso.test", "sub.contoso.test"}
    assert len(zones) == 51


def test_all_names_without_a_zone_are_told(resolver: Resolver) -> None:
    with pytest.raises(SolverError, match="2 of 3 names") as caught:
        find_zones(Survey(resolver), ["contoso.test", "a.unregistered.com", "b.neverland"])

    assert [str(cause) for cause in caught.value.causes] == [
        f"unregistered.com is not in the DNS: {resolver.servers[0]} finds nothing between it and com (NXDOMAIN).",
        f"No DNS zone was found for b.neverland: {resolver} knows nothing of it, nor of any name above it.",
    ]


def test_a_challenge_name_can_be_a_zone_of_its_own(world: World, resolver: Resolver) -> None:
    world.zone("_acme-challenge.own.contoso.test")

    assert find_zone(resolver, "_acme-challenge.own.contoso.test").name == "_acme-challenge.own.contoso.test"


def test_a_zone_whose_servers_are_all_lame_is_still_found(world: World, resolver: Resolver) -> None:
    lame = world.parent
    world.delegate("lame.contoso.test", {"ns1.lame.contoso.test": [lame]})

    zone = find_zone(resolver, "_acme-challenge.www.lame.contoso.test")

    assert zone == Zone("lame.contoso.test", (NameServer("ns1.lame.contoso.test", (lame,)),))


def test_a_lame_server_beside_a_good_one_does_not_matter(world: World, resolver: Resolver) -> None:
    both = {"a.half.test": [world.parent], "b.half.test": [world.primary]}
    world.zone("half.test", servers=both)
    world.zone("below.half.test")

    half = find_zone(resolver, "_acme-challenge.half.test")
    below = find_zone(resolver, "_acme-challenge.below.half.test")

    assert half == Zone("half.test", tuple(NameServer(host, tuple(where)) for host, where in both.items()))
    assert [server.addresses for server in below.servers] == [(world.primary,), (world.secondary,)]


def test_finding_a_zone_leaves_nothing_in_the_memory_of_resolvers(world: World) -> None:
    """Else they would say for long that the record is not there, after it was written."""
    name = "_acme-challenge.fresh.contoso.test"
    with bind_world(caching=True) as other:
        other.zone("contoso.test", negative=3600)
        caching = Resolver([other.resolver])
        zone = find_zone(caching, name)
        assert follow(caching, name) == (name,)
        other.records("contoso.test", name, "TXT", "value")

        await_visible([Expected(name, "value", zone)], resolvers=[caching], timeout=20, note=print, pauses=PAUSES)


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("_acme-challenge.www.contoso.test", ["_acme-challenge.www.contoso.test"]),
        (
            "_acme-challenge.alias.contoso.test",
            ["_acme-challenge.alias.contoso.test", "y.alias.fabrikam.com", "z.tailspin.test"],
        ),
        ("_acme-challenge.c9.contoso.test", [f"_acme-challenge.c{n}.contoso.test" for n in (9, 10, 11, 12)]),
    ],
)
def test_aliases_are_followed_across_zones(resolver: Resolver, name: str, chain: list[str]) -> None:
    assert follow(resolver, name) == tuple(chain)


def test_an_alias_beside_a_wildcard_that_leads_to_the_same_is_one(world: World, resolver: Resolver) -> None:
    world.zone("wild.test", "* CNAME x.tailspin.test.\n_acme-challenge.made CNAME x.tailspin.test.\n")
    made, not_made = "_acme-challenge.made.wild.test", "_acme-challenge.other.wild.test"

    assert follow(resolver, made) == (made, "x.tailspin.test")
    assert follow(resolver, not_made) == (not_made,)


def test_where_the_dns_does_not_lead_to_the_record_is_told(world: World, resolver: Resolver) -> None:
    alias, www = "_acme-challenge.alias.contoso.test", "_acme-challenge.www.contoso.test"
    dead, unknown = "_acme-challenge.dead.contoso.test", "_acme-challenge.unregistered.com"
    places = {alias: "there.test", www: "there.test", dead: "there.test", unknown: "there.test"}

    assert find_astray(Survey(resolver), places) == {
        alias: f"{alias} leads to z.tailspin.test.",
        www: f"{www} is no alias.",
        dead: f"{dead} is an alias of nowhere.unregistered.com, where no record can be written.",
    }
    assert find_astray(Survey(resolver), {alias: "y.alias.fabrikam.com", dead: "nowhere.unregistered.com"}) == {}
    assert find_astray(Survey(Resolver([world.block.another()])), places) == {}


def test_a_server_that_does_not_answer_is_waited_for_once(world: World, resolver: Resolver) -> None:
    address = world.block.another()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        quiet.bind((address, 53))
        world.zone("quiet.test", servers={"ns1.quiet.test": [address], "ns2.quiet.test": [world.primary]})
        survey = Survey(resolver)
        for name in ("_acme-challenge.a.quiet.test", "_acme-challenge.b.quiet.test"):
            assert chain_of(survey, name) == (name,)
            assert survey.zone(name).name == "quiet.test"
        quiet.setblocking(False)
        asked = set()
        with suppress(BlockingIOError):
            while True:
                wire, (sender, _) = quiet.recvfrom(4096)
                if sender != world.resolver.removesuffix(":53"):
                    asked.add(str(dns.message.from_wire(wire).question[0]))
    assert len(asked) == 1


def test_an_alias_of_what_cannot_exist_is_told(resolver: Resolver) -> None:
    with pytest.raises(SolverError, match=r"alias of nowhere\.unregistered\.com, where no record") as caught:
        follow(resolver, "_acme-challenge.dead.contoso.test")

    assert caught.value.hint == "Correct or remove the CNAME record at _acme-challenge.dead.contoso.test."
    assert "unregistered.com is not in the DNS" in str(caught.value.causes[0])


def test_aliases_in_a_circle_are_told(resolver: Resolver) -> None:
    with pytest.raises(SolverError, match="leads back to itself") as caught:
        follow(resolver, "_acme-challenge.a.contoso.test")

    assert caught.value.hint == "Correct the CNAME record at _acme-challenge.b.contoso.test."


def test_aliases_without_end_are_told(resolver: Resolver) -> None:
    with pytest.raises(SolverError, match="10 times over"):
        follow(resolver, "_acme-challenge.c0.contoso.test")


def test_several_values_stand_at_one_name(resolver: Resolver) -> None:
    assert resolver.txt("three.contoso.test") == ("oneand a half", "three", "two")


def test_a_large_answer_comes_by_tcp(world: World, resolver: Resolver) -> None:
    values = sorted(f"{n:02}" + "x" * 240 for n in range(30))
    world.records("contoso.test", "large.contoso.test", "TXT", *values)

    await_visible(
        expected(world, "large.contoso.test", *values), resolvers=[resolver], timeout=20, note=print, pauses=PAUSES
    )
    assert resolver.txt("large.contoso.test") == tuple(values)


def test_addresses_are_of_both_families(resolver: Resolver) -> None:
    assert resolver.addresses("www.contoso.test") == ("192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("name", "kind"), [("not.there.contoso.test", Kind.NXDOMAIN), ("www.contoso.test", Kind.NODATA)]
)
def test_what_is_not_there_is_told_by_kind(resolver: Resolver, name: str, kind: Kind) -> None:
    with pytest.raises(LookupFailure) as caught:
        resolver.txt(name)

    assert caught.value.kind is kind
    assert not caught.value.retryable
    assert str(resolver.servers[0]) in caught.value.message


def test_who_does_not_answer_is_told_by_kind(world: World) -> None:
    closed = Resolver([world.block.another()], timeout=1)
    with pytest.raises(LookupFailure) as nothing_listens:
        closed.txt("contoso.test")
    with silent(world.block.another()) as address, pytest.raises(LookupFailure) as no_answer:
        Resolver([address], timeout=0.5).txt("contoso.test")
    with pytest.raises(LookupFailure) as refused:
        Resolver([world.primary]).txt("fabrikam.example")

    assert [error.value.kind for error in (nothing_listens, no_answer, refused)] == [
        Kind.CLOSED,
        Kind.TIMEOUT,
        Kind.REFUSED,
    ]
    assert nothing_listens.value.retryable


def test_the_next_resolver_is_asked_when_one_fails(world: World) -> None:
    several = Resolver([world.block.another(), world.primary, world.resolver], timeout=1)

    assert several.txt("three.contoso.test")
