"""PowerDNS of Debian, where others write to the same zone; the rest is in `tests/contract/test_dns_providers.py`."""

import pytest

from certwright.domain.errors import SolverError
from certwright.sdk.dns import TxtRecord
from peers import dns_powerdns
from peers.dns_peer import ZONE
from world.dns_accounts import reached

pytestmark = pytest.mark.e2e
NAME = f"_acme-challenge.{ZONE}"
OURS = TxtRecord(NAME, "ours" * 10)


def test_powerdns_writes_again_what_somebody_overwrote() -> None:
    with dns_powerdns.serve() as peer, reached("powerdns", peer) as make:
        provider = make()
        peer.meddlers = [lambda: peer.write(NAME, ["theirs"])]
        provider.add(ZONE, [OURS])
        assert peer.read(NAME) == sorted([OURS.value, "theirs"])
        peer.meddlers = [lambda: peer.write(NAME, [OURS.value, "theirs"])]
        provider.remove(ZONE, [OURS])
        assert peer.read(NAME) == ["theirs"]


def test_powerdns_does_not_fight_for_ever() -> None:
    with dns_powerdns.serve() as peer, reached("powerdns", peer) as make:
        provider = make()
        peer.meddlers = [lambda: peer.write(NAME, ["theirs"])] * 100
        with pytest.raises(SolverError, match="does not keep") as caught:
            provider.add(ZONE, [OURS])
        assert NAME in caught.value.hint
        assert caught.value.retryable


def test_powerdns_changes_no_zone_that_comes_from_elsewhere() -> None:
    with dns_powerdns.serve() as peer, reached("powerdns", peer) as make:
        provider = make()
        peer.server.zone("copied.test", "Slave", ["127.0.0.1"])
        with pytest.raises(SolverError, match="from another server") as caught:
            provider.add("copied.test", [TxtRecord("copied.test", "x")])
        assert "primary" in caught.value.hint


def test_powerdns_turns_on_a_record_that_is_disabled() -> None:
    with dns_powerdns.serve() as peer, reached("powerdns", peer) as make:
        provider = make()
        records = [{"content": f'"{OURS.value}"', "disabled": True}, {"content": '"theirs"', "disabled": True}]
        rrset = {"name": f"{NAME}.", "type": "TXT", "ttl": 60, "changetype": "REPLACE", "records": records}
        peer.server.call("PATCH", f"/servers/localhost/zones/{ZONE}.", {"rrsets": [rrset]})
        assert peer.read(NAME) == []
        provider.add(ZONE, [OURS])
        assert peer.read(NAME) == [OURS.value]
