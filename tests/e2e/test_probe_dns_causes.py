"""Every cause of a failed validation is made to happen with real servers, and recognised."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import pytest

from certwright.probe.dns.caa import Applicant
from certwright.probe.dns.cause import Attempt, Cause, CauseId
from certwright.probe.dns.causes import find_causes
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.trace import Trace, trace
from peers.bind import World, bind_world
from peers.dns_proxy import intercepting
from peers.knot import knot
from peers.unbound import unbound

pytestmark = pytest.mark.e2e

NOW = datetime.now(UTC)
VALUE = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
OTHER = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
OURS = Applicant(("letsencrypt.org",), "dns-01", "https://ca.test/acct/1")
DNS01 = Attempt("dns-01", frozenset({VALUE}), applicant=OURS, problem="unauthorized", words="No TXT record found")
HTTP01 = Attempt("http-01", problem="connection")
RECORDS = f"""
good A 8.8.8.8
_acme-challenge.good TXT "{VALUE}"
none A 8.8.8.8
_acme-challenge.empty A 192.0.2.1
_acme-challenge.old TXT "{OTHER}"
_acme-challenge.quoted TXT "\\"{VALUE}\\""
_acme-challenge.short TXT "{VALUE[:-3]}"
_acme-challenge.small TXT "{VALUE.lower()}"
_acme-challenge.doubled.causes.test TXT "{VALUE}"
bare TXT "{VALUE}"
_acme-challenge TXT "{VALUE}"
*.wild TXT "{OTHER}"
*.alias CNAME elsewhere.causes.test.
*.deadalias CNAME x.unregistered.com.
_acme-challenge.dead CNAME x.unregistered.com.
_acme-challenge.a CNAME _acme-challenge.b
_acme-challenge.b CNAME _acme-challenge.a
private A 10.0.0.1
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as made:
        made.zone("causes.test", RECORDS)
        yield made


def look(world: World, name: str, *others: str) -> Trace:
    return trace(Resolver([world.resolver]), name, NOW, others=[Resolver([other]) for other in others])


def found(world: World, name: str, attempt: Attempt = DNS01, *others: str) -> dict[CauseId, Cause]:
    causes = find_causes(look(world, name, *others), attempt)
    assert all(cause.sentence.endswith((".", "?")) and cause.remedy.endswith(".") for cause in causes)
    return {cause.id: cause for cause in causes}


@pytest.mark.parametrize(
    ("name", "cause", "evidence"),
    [
        ("none.causes.test", CauseId.NO_NAME, "_acme-challenge.none.causes.test does not exist"),
        ("empty.causes.test", CauseId.NO_TXT, "has no TXT record anywhere"),
        ("old.causes.test", CauseId.WRONG_TXT, f"'{OTHER}' instead of '{VALUE}'"),
        ("quoted.causes.test", CauseId.ALTERED_TXT, VALUE),
        ("short.causes.test", CauseId.ALTERED_TXT, VALUE[:-3]),
        ("small.causes.test", CauseId.ALTERED_TXT, VALUE.lower()),
        ("doubled.causes.test", CauseId.DOUBLED_ZONE, "_acme-challenge.doubled.causes.test.causes.test"),
        ("bare.causes.test", CauseId.MISPLACED_TXT, "stands at bare.causes.test, and not at _acme-challenge.bare"),
        ("x.wild.causes.test", CauseId.WILDCARD, "wildcard TXT record answers for _acme-challenge.x.wild.causes.test"),
        ("x.alias.causes.test", CauseId.WILDCARD, "an alias of elsewhere.causes.test, as every name beside it"),
        ("a.causes.test", CauseId.ALIAS_LOOP, "leads back to itself"),
        ("www.unregistered.com", CauseId.NO_ZONE, "unregistered.com is not in the DNS"),
    ],
)
def test_what_is_wrong_with_the_record_is_the_only_cause(
    world: World, name: str, cause: CauseId, evidence: str
) -> None:
    if cause is not CauseId.MISPLACED_TXT:
        world.records("causes.test", "_acme-challenge.causes.test", "TXT")
    causes = found(world, name)

    assert list(causes) == [cause]
    assert evidence in causes[cause].sentence


def test_one_value_of_two_is_there(world: World) -> None:
    both = Attempt("dns-01", frozenset({VALUE, OTHER}), problem="unauthorized", words="No TXT record found")

    causes = found(world, "old.causes.test", both)

    assert list(causes) == [CauseId.LOST_TXT]
    assert f"has only 1 of the 2 values that were asked for: TXT '{OTHER}'" in causes[CauseId.LOST_TXT].sentence


def test_an_alias_of_what_cannot_exist(world: World) -> None:
    assert list(found(world, "dead.causes.test")) == [CauseId.ALIAS_DEAD]
    assert list(found(world, "x.deadalias.causes.test")) == [CauseId.ALIAS_DEAD, CauseId.WILDCARD]


def test_a_record_at_the_apex_of_the_zone_is_misplaced(world: World) -> None:
    world.records("causes.test", "_acme-challenge.causes.test", "TXT", VALUE)
    causes = found(world, "none.causes.test")
    world.records("causes.test", "_acme-challenge.causes.test", "TXT")

    assert "stands at _acme-challenge.causes.test" in causes[CauseId.MISPLACED_TXT].sentence


def test_servers_that_differ_are_told_with_their_serials(world: World) -> None:
    world.zone("lag.test", lagging=True)
    world.records("lag.test", "_acme-challenge.lag.test", "TXT", VALUE)

    causes = found(world, "lag.test")

    assert list(causes) == [CauseId.SERVERS_DIFFER]
    assert "(ns1.lag.test has serial 2, ns2.lag.test has serial 1)" in causes[CauseId.SERVERS_DIFFER].sentence


def test_a_server_that_cannot_load_the_zone(world: World) -> None:
    world.zone("broken.test", f'_acme-challenge TXT "{VALUE}"')
    world.break_secondary("broken.test")

    causes = found(world, "broken.test")

    assert list(causes) == [CauseId.SERVFAIL]
    assert f"ns2.broken.test ({world.secondary}): it cannot find out (SERVFAIL)" in causes[CauseId.SERVFAIL].sentence


def servers(zone: str, *addresses: str) -> Mapping[str, Sequence[str]]:
    return {f"ns{number}.{zone}": [address] for number, address in enumerate(addresses, 1)}


def test_lame_and_silent_servers(world: World) -> None:
    dead = world.block.another()
    record = f'_acme-challenge TXT "{VALUE}"'
    with knot(world.block.another(), {"elsewhere.test": ""}) as other:
        world.zone("lame.test", record, servers=servers("lame.test", world.primary, other.address, dead))
        causes = found(world, "lame.test")

    assert list(causes) == [CauseId.SERVER_SILENT, CauseId.LAME_SERVER]
    assert f"ns3.lame.test ({dead}): nothing listens there" in causes[CauseId.SERVER_SILENT].sentence
    assert f"ns2.lame.test ({other.address}): it refuses to answer" in causes[CauseId.LAME_SERVER].sentence


def test_a_delegation_to_servers_that_do_not_answer(world: World) -> None:
    world.delegate("gone.test", servers("gone.test", world.block.another()))
    resolver = Resolver([world.resolver], timeout=0.4)

    causes = find_causes(trace(resolver, "gone.test", NOW), DNS01)

    assert CauseId.DELEGATION_DEAD in {cause.id for cause in causes}


def test_a_proxy_that_answers_for_all_servers(world: World) -> None:
    with intercepting(world.block.another(), world.primary, world.resolver) as veiled:
        world.zone("veiled.test", servers=servers("veiled.test", veiled))
        causes = found(world, "veiled.test")

    assert list(causes) == [CauseId.INTERCEPTED, CauseId.NO_NAME]


def test_a_resolver_that_does_not_answer(world: World) -> None:
    causes = find_causes(trace(Resolver([world.block.another()]), "causes.test", NOW), DNS01)

    assert [cause.id for cause in causes] == [CauseId.RESOLVER_SILENT]


def test_a_delegation_that_the_zone_does_not_agree_with(world: World) -> None:
    world.zone("moved.test", f'_acme-challenge TXT "{VALUE}"')
    world.delegate("moved.test", {"ns1.moved.test": [world.primary], "old.moved.test": [world.secondary]})

    causes = found(world, "moved.test")

    assert list(causes) == [CauseId.DELEGATION_MISMATCH]
    assert "delegated to ns1.moved.test, old.moved.test, but" in causes[CauseId.DELEGATION_MISMATCH].sentence


def test_caa_that_forbids_and_caa_that_does_not(world: World) -> None:
    world.zone(
        "caa.test", f'_acme-challenge TXT "{VALUE}"\n@ CAA 0 issue "other.test"\nmay CAA 0 issue "letsencrypt.org"'
    )
    forbidden = found(world, "caa.test")
    blamed = Attempt("http-01", applicant=OURS, problem="caa", words="CAA record for may.caa.test prevents issuance")

    assert list(forbidden) == [CauseId.CAA_FORBIDS]
    assert '0 issue "other.test"' in forbidden[CauseId.CAA_FORBIDS].sentence
    assert CauseId.CAA_SEEN_ELSEWHERE in found(world, "may.caa.test", blamed)


def test_caa_that_cannot_be_read(world: World) -> None:
    world.zone("unread.test", f'_acme-challenge TXT "{VALUE}"')
    world.delegate("below.unread.test", servers("below.unread.test", world.parent))

    causes = found(world, "below.unread.test")

    assert {CauseId.LAME_SERVER, CauseId.CAA_UNREADABLE} <= set(causes)
    assert "SERVFAIL" in causes[CauseId.CAA_UNREADABLE].sentence


def test_dnssec_that_fails(world: World) -> None:
    with knot(world.block.another(), {"bogus.test": f'_acme-challenge TXT "{VALUE}"'}) as signer:
        world.delegate("bogus.test", {"ns1.bogus.test": [signer.address]})
        anchor = "bogus.test. DS 12345 13 2 " + "ab" * 32
        with unbound(world.block[54], world.parent, trust_anchors=[anchor]) as validating:
            causes = find_causes(trace(Resolver([validating]), "bogus.test", NOW), DNS01)

    assert causes[0].id is CauseId.DNSSEC
    assert "fails DNSSEC validation" in causes[0].sentence


def test_a_resolver_that_remembers() -> None:
    with bind_world(caching=True) as other:
        other.zone("contoso.test", negative=600)
        caching = Resolver([other.resolver])
        assert not caching.ask("_acme-challenge.contoso.test", "TXT").records
        other.records("contoso.test", "_acme-challenge.contoso.test", "TXT", VALUE)
        other.settle("contoso.test")
        causes = find_causes(trace(caching, "contoso.test", NOW), DNS01)

    assert [cause.id for cause in causes] == [CauseId.RESOLVER_REMEMBERS]


def test_no_address_and_a_private_one(world: World) -> None:
    assert list(found(world, "nothing.causes.test", HTTP01)) == [CauseId.NO_ADDRESS]
    assert list(found(world, "private.causes.test", HTTP01)) == [CauseId.PRIVATE_ADDRESS]


def test_inside_and_outside_differ(world: World) -> None:
    with bind_world() as outside:
        outside.zone("causes.test", "private A 8.8.8.8\n")
        causes = found(world, "private.causes.test", HTTP01, outside.resolver)

    assert list(causes) == [CauseId.SPLIT_HORIZON]
    assert "answers A '10.0.0.1'" in causes[CauseId.SPLIT_HORIZON].sentence
    assert "answers A '8.8.8.8'" in causes[CauseId.SPLIT_HORIZON].sentence


def test_where_all_is_well_now_it_was_too_early_or_too_slow(world: World) -> None:
    slow = Attempt("dns-01", frozenset({VALUE}), problem="dns", words="DNS problem: query timed out")

    assert list(found(world, "good.causes.test")) == [CauseId.SEEN_NOW]
    assert list(found(world, "good.causes.test", slow)) == [CauseId.SLOW]
    assert not found(world, "good.causes.test", Attempt("http-01", problem="unauthorized"))


def test_a_trace_is_kept_as_json(world: World) -> None:
    seen = look(world, "good.causes.test")
    kept = json.loads(json.dumps(seen.as_json()))

    assert kept["zones"][0]["name"] == "causes.test"
    assert VALUE in json.dumps(kept)
    assert [int(view.serial) for view in seen.zones[0].servers]
    assert [view.host for view in seen.zones[0].servers] == ["ns1.causes.test", "ns2.causes.test"]
