"""Name servers that take updates (RFC 2136) as peers of the contract."""

from collections.abc import Mapping
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import dns.xfr
import dns.zone

from peers.bind import KEY, SECONDS, Tsig
from peers.dns_peer import OTHER_ZONE, ZONE, DnsPeer, Fault

_TTL = 300
_MADE_BY_THE_SERVER = {"SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"}


class UpdatePeer(DnsPeer):
    """A primary at port 53 of `address` that has both zones; there is no way to make it fail."""

    tells_zones = False
    faults = frozenset()

    def __init__(self, address: str, key: Tsig = KEY) -> None:
        self.address = address
        self.key = key
        self.complaints: list[str] = []
        self.overrides: Mapping[str, Any] = {"per_second": 1000}
        stored = {"server": address, "key_name": key.name, "key": key.secret, "algorithm": key.algorithm}
        self.params: dict[str, Any] = stored
        self.wrong_params: dict[str, Any] = {**stored, "key": "d3JvbmcgYnV0IGJhc2U2NA=="}
        for zone in (ZONE, OTHER_ZONE):
            self.put(zone, f"v=spf1 mx:{zone} -all")
            self.put(f"_dmarc.{zone}", "v=DMARC1; p=none")

    def read(self, name: str) -> list[str]:
        answer = dns.query.tcp(dns.message.make_query(f"{name}.", "TXT"), self.address, timeout=SECONDS)
        records = [record for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT for record in rrset]
        return sorted(b"".join(record.strings).decode() for record in records)

    def put(self, name: str, value: str) -> None:
        zone = next(zone for zone in (ZONE, OTHER_ZONE) if f".{name}".endswith(f".{zone}"))
        change = dns.update.UpdateMessage(f"{zone}.", **self._signed())
        change.add(f"{name}.", _TTL, "TXT", f'"{value}"')
        answer = dns.query.tcp(change, self.address, timeout=SECONDS)
        assert not answer.rcode(), answer

    def everything(self) -> object:
        found = []
        for name in (ZONE, OTHER_ZONE):
            zone = dns.zone.Zone(f"{name}.")
            query, _ = dns.xfr.make_query(zone, **self._signed())
            dns.query.inbound_xfr(self.address, zone, query, timeout=SECONDS, lifetime=SECONDS)
            for owner, rrset in zone.iterate_rdatasets():
                kind = dns.rdatatype.to_text(rrset.rdtype)
                if kind not in _MADE_BY_THE_SERVER:
                    found.append((name, str(owner), kind, rrset.ttl, sorted(map(str, rrset))))
        return sorted(found)

    def fail(self, fault: Fault, times: int = 1, *, after: int = 0) -> None:
        raise NotImplementedError

    def _signed(self) -> dict[str, Any]:
        keyring = dns.tsigkeyring.from_text({f"{self.key.name}.": self.key.secret})
        return {"keyring": keyring, "keyalgorithm": f"{self.key.algorithm}."}
