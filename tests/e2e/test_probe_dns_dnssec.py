"""DNSSEC trouble is told with its reason: Knot signs, BIND delegates, Unbound validates."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dns.dnssec
import dns.rdata
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.probe import tls_alpn01
from certwright.probe.dns.dnssec import DnssecState, look_at_dnssec
from certwright.probe.dns.resolver import Resolver, as_outsider
from certwright.probe.dns.zones import find_zone
from certwright.probe.http01 import see
from certwright.probe.http_causes import causes
from peers.answers import http01
from peers.bind import World, bind_world
from peers.knot import Knot, knot, zone_file
from peers.unbound import unbound

pytestmark = pytest.mark.e2e

NOW = datetime.now(UTC)
OTHER_DS = "12345 13 2 " + "ab" * 32


@dataclass(frozen=True)
class Signed:
    """A signed parent and its children, a resolver that validates them, and one that does not."""

    world: World
    server: Knot
    validating: Resolver
    careless: Resolver

    @property
    def address(self) -> str:
        return self.server.address


def signed_by_hand(name: str, address: str, *, begins: datetime, ends: datetime) -> tuple[str, str]:
    """A signed zone as text, and the data of its DS record."""
    zone = dns.zone.from_text(zone_file(name, address, "www A 192.0.2.1"), f"{name}.", relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", flags=257)
    dns.dnssec.sign_zone(zone, keys=[(private, key)], inception=begins, expiration=ends)
    return zone.to_text(), dns.dnssec.make_ds(f"{name}.", key, "SHA256").to_text()


@pytest.fixture(scope="module")
def signed() -> Iterator[Signed]:
    with bind_world() as world:
        address = world.block.another()
        expired, expired_ds = signed_by_hand(
            "expired.signed.test", address, begins=NOW - timedelta(40), ends=NOW - timedelta(10)
        )
        early, early_ds = signed_by_hand(
            "early.signed.test", address, begins=NOW + timedelta(2), ends=NOW + timedelta(40)
        )
        children = {"wrong": OTHER_DS, "nokeys": OTHER_DS, "expired": expired_ds, "early": early_ds, "plain": ""}
        delegations = "".join(
            f"{child} NS ns1.{child}\nns1.{child} A {address}\n" + (f"{child} DS {ds}\n" if ds else "")
            for child, ds in children.items()
        )
        zones = {
            "signed.test": f"{delegations}www A 192.0.2.1\nstep CNAME alias\nalias CNAME www.expired\n",
            "wrong.signed.test": "www A 192.0.2.1\n",
            "nokeys.signed.test": zone_file("nokeys.signed.test", address, "www A 192.0.2.1"),
            "plain.signed.test": zone_file("plain.signed.test", address, "www A 192.0.2.1"),
            "expired.signed.test": expired,
            "early.signed.test": early,
        }
        unsigned = frozenset(zones) - {"signed.test", "wrong.signed.test"}
        with knot(address, zones, unsigned=unsigned) as server:
            world.delegate("signed.test", {"ns1.signed.test": [address]})
            anchor = server.anchor("signed.test")
            with unbound(world.block[54], world.parent, trust_anchors=[anchor]) as validating:
                yield Signed(world, server, Resolver([validating]), Resolver([world.resolver]))


@pytest.mark.parametrize(
    ("zone", "state", "evidence"),
    [
        ("wrong.signed.test", DnssecState.WRONG_DS, "has a DS record for the key 12345, and the zone has only the key"),
        ("nokeys.signed.test", DnssecState.NO_KEYS, "key 12345, but the zone has no DNSKEY record"),
        ("expired.signed.test", DnssecState.EXPIRED, f"expired on {NOW - timedelta(10):%Y-%m-%d}"),
        ("early.signed.test", DnssecState.NOT_YET_VALID, f"is valid from {NOW + timedelta(2):%Y-%m-%d}"),
    ],
)
def test_trouble_is_told_with_its_reason(signed: Signed, zone: str, state: DnssecState, evidence: str) -> None:
    name = f"www.{zone}"
    seen = look_at_dnssec(signed.validating, find_zone(signed.validating, name), name, NOW)
    unseen = look_at_dnssec(signed.careless, find_zone(signed.careless, name), name, NOW)

    assert (seen.zone, seen.state, seen.is_trouble) == (zone, state, True)
    assert f"fails DNSSEC validation: {signed.validating}:53 answers" in seen.sentence
    assert evidence in seen.sentence
    assert seen.fix
    assert (unseen.zone, unseen.state) == (zone, state)
    assert f"{zone} will fail DNSSEC validation" in unseen.sentence


def test_a_zone_that_validates_is_secure(signed: Signed) -> None:
    name = "www.signed.test"
    seen = look_at_dnssec(signed.validating, find_zone(signed.validating, name), name, NOW)

    assert (seen.state, seen.is_trouble, seen.fix) == (DnssecState.SECURE, False, "")


@pytest.mark.parametrize("alias", ["alias.signed.test", "step.signed.test"])
def test_a_zone_whose_alias_leads_into_a_broken_one_is_not_accused(signed: Signed, alias: str) -> None:
    seen = look_at_dnssec(signed.validating, find_zone(signed.validating, alias), alias, NOW)

    assert (seen.zone, seen.state) == ("signed.test", DnssecState.SECURE)


def test_a_zone_that_nothing_delegates_securely_is_unsigned(signed: Signed) -> None:
    for name in ("www.signed.test", "www.plain.signed.test"):
        resolver = signed.careless if name == "www.signed.test" else signed.validating
        seen = look_at_dnssec(resolver, find_zone(resolver, name), name, NOW)

        assert (seen.state, seen.is_trouble) == (DnssecState.UNSIGNED, False)


def test_an_address_that_validation_refuses_is_not_said_to_be_missing(signed: Signed) -> None:
    """An authority that is asked all the same is refused, too."""
    name = "alias.signed.test"
    look_up = as_outsider([str(server) for server in signed.validating.servers])
    (by_http,) = causes(see(http01(name), None, 30, resolver=look_up))
    (by_tls,) = tls_alpn01.look(http01(name), None, 30, look_up)

    assert by_http.id == "http-name-unanswered"
    for remedy in (by_http.remedy, by_tls.remedy):
        assert "its DNSSEC" in remedy
        assert "--no-precheck" not in remedy


def test_trouble_that_only_the_resolver_sees_is_bogus_with_what_it_says(signed: Signed) -> None:
    wrong_anchor = f"signed.test. DS {OTHER_DS}"
    with unbound(signed.world.block[55], signed.world.parent, trust_anchors=[wrong_anchor]) as address:
        resolver = Resolver([address])
        seen = look_at_dnssec(resolver, find_zone(resolver, "www.signed.test"), "www.signed.test", NOW)

    assert (seen.state, seen.is_trouble) == (DnssecState.BOGUS, True)
    assert seen.fix
