"""The wait until records are seen everywhere, with name servers that lag, are lame, broken, dead or out of reach."""

from collections.abc import Iterator

import pytest

from certwright.domain.errors import LeaseLost, SolverError
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.visibility import Expected, NotSeen, await_visible
from certwright.probe.dns.zones import NameServer, Survey, Zone, find_zone, find_zones
from peers.bind import World, bind_world
from peers.dns_proxy import intercepting
from peers.knot import knot
from peers.loopback import silent

pytestmark = pytest.mark.e2e

PAUSES = (0.05, 0.1, 0.2)
ENOUGH = 20.0
SHORT = 0.2


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as made:
        made.zone("contoso.test")
        made.zone("lagging.test", lagging=True)
        yield made


@pytest.fixture(scope="module")
def resolver(world: World) -> Resolver:
    return Resolver([world.resolver])


class Notes(list[str]):
    """What was noted."""

    def __call__(self, message: str) -> None:
        self.append(message)


def challenge(host: str, *values: str, zone: Zone) -> list[Expected]:
    return [Expected(f"_acme-challenge.{host}", value, zone) for value in values]


def served(world: World, name: str, *addresses: str) -> Zone:
    """A zone of the primary's whose servers are said to have `addresses` beside the primary's own."""
    servers = {f"ns{number}.{name}": [address] for number, address in enumerate((world.primary, *addresses), 1)}
    world.zone(name, servers=servers)
    return Zone(name, tuple(NameServer(host, tuple(where)) for host, where in servers.items()))


def test_apex_and_wildcard_are_seen_together(world: World, resolver: Resolver) -> None:
    world.records("contoso.test", "_acme-challenge.contoso.test", "TXT", "apex", "wildcard")
    expected = challenge("contoso.test", "apex", "wildcard", zone=find_zone(resolver, "contoso.test"))

    await_visible(expected, resolvers=[resolver], timeout=ENOUGH, note=Notes(), pauses=PAUSES)


def test_a_secondary_that_lags_is_waited_for(world: World, resolver: Resolver) -> None:
    name = "_acme-challenge.lagging.test"
    world.records("lagging.test", name, "TXT", "value")
    notes = []

    def note(message: str) -> None:
        notes.append(message)
        world.transfer("lagging.test")

    zone = find_zone(resolver, "lagging.test")
    await_visible(challenge("lagging.test", "value", zone=zone), timeout=ENOUGH, note=note, pauses=PAUSES)

    assert notes[0] == (
        f"1 of 2 servers and resolvers show all records; ns2.lagging.test ({world.secondary}) does not yet: "
        f"{name}: the name does not exist (NXDOMAIN)."
    )


def test_a_secondary_that_never_gets_it_is_told(world: World, resolver: Resolver) -> None:
    world.records("lagging.test", "_acme-challenge.late.lagging.test", "TXT", "old")
    world.transfer("lagging.test")
    await_visible(
        challenge("late.lagging.test", "old", zone=find_zone(resolver, "lagging.test")),
        timeout=ENOUGH,
        note=Notes(),
        pauses=PAUSES,
    )
    world.records("lagging.test", "_acme-challenge.late.lagging.test", "TXT", "new")
    expected = challenge("late.lagging.test", "new", zone=find_zone(resolver, "lagging.test"))

    with pytest.raises(SolverError, match="1 of 1 names are not visible everywhere") as caught:
        await_visible(expected, resolvers=[resolver], timeout=SHORT, note=Notes(), pauses=PAUSES)

    assert caught.value.retryable
    assert "zone transfer" in caught.value.hint
    late = "_acme-challenge.late.lagging.test"
    assert caught.value.causes == (
        f"{late}: ns2.lagging.test ({world.secondary}) lacks 1 of the values; it has TXT 'old'.",
        f"{late}: the resolver {resolver} was not asked, because others lack it still or it does not answer.",
    )


def test_a_record_that_no_server_has_is_looked_for_elsewhere(world: World, resolver: Resolver) -> None:
    expected = challenge("nowhere.contoso.test", "value", zone=find_zone(resolver, "contoso.test"))

    with pytest.raises(NotSeen) as caught:
        await_visible(expected, timeout=SHORT, note=Notes(), pauses=PAUSES)

    assert caught.value.nowhere == {"_acme-challenge.nowhere.contoso.test"}
    assert caught.value.hint.startswith("No name server of the zone has these records")
    assert "CERTWRIGHT_RESOLVERS" in caught.value.hint
    assert "zone transfer" not in caught.value.hint


def test_a_hundred_names_are_seen_in_one_wait(world: World, resolver: Resolver) -> None:
    hosts = [f"h{number}.contoso.test" for number in range(100)]
    for host in hosts:
        world.records("contoso.test", f"_acme-challenge.{host}", "TXT", f"value-{host}")
    zones = find_zones(Survey(resolver), hosts)
    expected = [item for host in hosts for item in challenge(host, f"value-{host}", zone=zones[host])]

    await_visible(expected, resolvers=[resolver], timeout=ENOUGH, note=Notes(), pauses=PAUSES)


def test_a_server_that_is_lame_is_told(world: World) -> None:
    with knot(world.block.another(), {"elsewhere.test": ""}) as other:
        zone = served(world, "lame.test", other.address, world.parent)
        world.records("lame.test", "_acme-challenge.lame.test", "TXT", "value")
        with pytest.raises(SolverError) as caught:
            await_visible(challenge("lame.test", "value", zone=zone), timeout=SHORT, note=Notes(), pauses=PAUSES)

    name = "_acme-challenge.lame.test"
    refusal = "it refuses to answer (REFUSED): not authoritative"
    assert caught.value.causes == (
        f"{name}: ns2.lame.test ({other.address}) does not serve lame.test: {refusal}.",
        f"{name}: ns3.lame.test ({world.parent}) does not serve lame.test: it refers to other servers.",
    )
    assert "NS records" in caught.value.hint


def test_a_server_that_answers_without_authority_is_told(world: World) -> None:
    with intercepting(world.block.another(), world.primary, world.resolver) as recursive:
        zone = served(world, "recursive.test", recursive)
        world.records("recursive.test", "_acme-challenge.recursive.test", "TXT", "value")
        with pytest.raises(SolverError) as caught:
            await_visible(challenge("recursive.test", "value", zone=zone), timeout=SHORT, note=Notes(), pauses=PAUSES)

    who = f"ns2.recursive.test ({recursive})"
    assert caught.value.causes == (
        f"_acme-challenge.recursive.test: {who} answers without authority: it does not serve recursive.test.",
    )


def test_where_a_resolver_answers_for_all_servers_resolvers_can_be_named(world: World, resolver: Resolver) -> None:
    world.records("contoso.test", "_acme-challenge.veiled.contoso.test", "TXT", "value")
    notes = Notes()
    with intercepting(world.block.another(), world.primary, world.resolver) as veiled:
        zone = Zone("contoso.test", (NameServer("ns1.contoso.test", (veiled,)),))
        expected = challenge("veiled.contoso.test", "value", zone=zone)
        with pytest.raises(SolverError, match=r"No name server of contoso\.test can be asked") as caught:
            await_visible(expected, timeout=ENOUGH, note=notes, pauses=PAUSES)
        await_visible(expected, resolvers=[resolver], timeout=ENOUGH, note=notes, pauses=PAUSES)

    assert caught.value.causes == (f"ns1.contoso.test ({veiled}): a resolver answers in its place",)
    assert notes[-1] == "No name server of contoso.test answers here; the given resolvers show the records."


def test_a_server_that_cannot_load_the_zone_is_told(world: World, resolver: Resolver) -> None:
    world.zone("broken.test")
    zone = find_zone(resolver, "broken.test")
    world.break_secondary("broken.test")
    world.records("broken.test", "_acme-challenge.broken.test", "TXT", "value")

    with pytest.raises(SolverError) as caught:
        await_visible(challenge("broken.test", "value", zone=zone), timeout=SHORT, note=Notes(), pauses=PAUSES)

    assert "SERVFAIL" in str(caught.value.causes[0])
    assert "transfer" in caught.value.hint


def test_a_dead_server_is_waited_for_briefly_and_told(world: World) -> None:
    zone = served(world, "dead.test", world.block.another())
    world.records("dead.test", "_acme-challenge.dead.test", "TXT", "value")
    notes = Notes()

    await_visible(challenge("dead.test", "value", zone=zone), timeout=ENOUGH, note=notes, pauses=PAUSES, grace=0.3)

    address = zone.servers[1].addresses[0]
    assert notes[-1] == f"ns2.dead.test ({address}) was passed over: nothing listens there."


def test_servers_and_addresses_that_are_too_many_to_be_asked_are_told(world: World, resolver: Resolver) -> None:
    several = [world.primary, *(world.block.another_v6() for _ in range(9))]  # which the resolver does not use
    hosts = {f"ns{number}.many.test": [world.primary] for number in range(10, 28)}
    world.zone("many.test", servers={**hosts, "ns10.many.test": several})
    world.records("many.test", "_acme-challenge.many.test", "TXT", "value")
    expected, notes = challenge("many.test", "value", zone=find_zone(resolver, "many.test")), Notes()

    await_visible(expected, timeout=ENOUGH, note=notes, pauses=PAUSES, grace=SHORT)

    addresses, servers = notes[-2:]
    assert addresses.startswith("Of ns10.many.test, a name server of many.test, 2 more addresses were not asked")
    assert servers == (
        "Of the name servers of many.test, 2 more hosts were not asked, because they are too many: "
        "ns26.many.test, ns27.many.test."
    )


def test_an_ipv6_address_that_is_dead_does_not_matter_while_ipv4_works(world: World) -> None:
    dead, unroutable = world.block.another_v6(), world.block.unreachable_v6()
    zone = served(world, "six.test")
    zone = Zone(zone.name, (NameServer("ns1.six.test", (world.primary, world.dual_stack(), dead, unroutable)),))
    world.records("six.test", "_acme-challenge.six.test", "TXT", "value")
    notes = Notes()

    await_visible(challenge("six.test", "value", zone=zone), timeout=ENOUGH, note=notes, pauses=PAUSES, grace=0.3)

    assert notes[-2] == f"ns1.six.test ({dead}) was passed over: nothing listens there."
    assert notes[-1].startswith(f"ns1.six.test ({unroutable}) was passed over: there is no route to it from here")


def test_an_ipv6_address_is_asked_where_there_is_one(world: World) -> None:
    zone = served(world, "onlysix.test")
    zone = Zone(zone.name, (NameServer("ns1.onlysix.test", (world.dual_stack(),)),))

    with pytest.raises(SolverError) as caught:
        await_visible(challenge("onlysix.test", "value", zone=zone), timeout=SHORT, note=Notes(), pauses=PAUSES)

    assert caught.value.causes == (
        f"_acme-challenge.onlysix.test: ns1.onlysix.test ({world.dual_stack()}): the name does not exist (NXDOMAIN).",
    )


def test_that_no_name_server_can_be_asked_is_told_with_what_helps(world: World) -> None:
    blocked = world.block.another()
    zone = Zone("contoso.test", (NameServer("ns1.contoso.test", (blocked,)),))

    with pytest.raises(SolverError, match=r"No name server of contoso\.test can be asked") as caught:
        await_visible(
            challenge("contoso.test", "value", zone=zone), timeout=ENOUGH, note=Notes(), pauses=PAUSES, grace=0
        )

    assert caught.value.causes == (f"ns1.contoso.test ({blocked}): nothing listens there",)
    assert "name resolvers" in caught.value.hint


def test_where_no_name_server_can_be_asked_resolvers_can_be(world: World, resolver: Resolver) -> None:
    world.records("contoso.test", "_acme-challenge.blocked.contoso.test", "TXT", "value")
    notes = Notes()
    with silent(world.block.another()) as firewalled:
        zone = Zone("contoso.test", (NameServer("ns1.contoso.test", (firewalled,)), NameServer("ns9", ())))
        expected = challenge("blocked.contoso.test", "value", zone=zone)
        await_visible(expected, resolvers=[resolver], timeout=ENOUGH, note=notes, pauses=PAUSES, grace=0)

    assert notes[-2:] == [
        "No name server of contoso.test answers here; the given resolvers show the records.",
        "ns9, a name server of contoso.test, was passed over: it has no address.",
    ]


def test_a_resolver_that_remembers_is_told_with_how_long(world: World) -> None:
    with bind_world(caching=True) as other:
        other.zone("contoso.test", negative=600)
        caching = Resolver([other.resolver])
        assert not caching.ask("_acme-challenge.contoso.test", "TXT").records
        other.records("contoso.test", "_acme-challenge.contoso.test", "TXT", "value")
        expected = challenge("contoso.test", "value", zone=find_zone(caching, "contoso.test"))

        with pytest.raises(SolverError) as caught:
            await_visible(expected, resolvers=[caching], timeout=1, note=Notes(), pauses=PAUSES)

    assert str(caught.value.causes[0]).startswith(f"_acme-challenge.contoso.test: the resolver {caching}: the name")
    assert "remember for up to" in caught.value.hint


def test_a_run_that_was_overtaken_ends_the_wait(world: World, resolver: Resolver) -> None:
    asked = []

    def guard() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise LeaseLost("Another run has taken over.")

    expected = challenge("never.contoso.test", "value", zone=find_zone(resolver, "contoso.test"))
    with pytest.raises(LeaseLost):
        await_visible(expected, timeout=ENOUGH, note=Notes(), guard=guard, pauses=PAUSES)


def test_nothing_expected_is_nothing_to_wait_for() -> None:
    await_visible([], timeout=0, note=Notes())
