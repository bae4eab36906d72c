"""dns-01 in a zone that is signed: Knot takes the updates and signs them, and the authority's resolver validates."""

from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import pytest

from peers.bind import SECONDS, bind_world
from peers.knot import knot
from peers.unbound import unbound
from world.proofs import proofs

pytestmark = pytest.mark.e2e

ZONE = "signed.test"


def _asked(address: str, name: str, kind: str) -> dns.message.Message:
    question = dns.message.make_query(f"{name}.", kind, want_dnssec=True)
    question.flags |= dns.flags.AD
    return dns.query.tcp(question, address, timeout=SECONDS)


def test_wildcard_and_apex_in_a_signed_zone(tmp_path: Path) -> None:
    with bind_world() as world, knot(world.block.another(), {ZONE: ""}) as server:
        world.delegate(ZONE, {f"ns1.{ZONE}": [server.address]})
        anchors = [server.anchor(ZONE)]
        with (
            unbound(world.block[54], world.parent, trust_anchors=anchors) as validating,
            proofs(tmp_path, replace(world, resolver=validating)) as one,
        ):
            assert _asked(validating.removesuffix(":53"), ZONE, "SOA").flags & dns.flags.AD
            one.store("knot", server=server.address, zone=ZONE)
            one.request(one.describe(ZONE, f"*.{ZONE}", f"mail.{ZONE}", credential="knot"))
        for name in (ZONE, f"mail.{ZONE}"):
            assert not _asked(server.address, f"_acme-challenge.{name}", "TXT").answer
