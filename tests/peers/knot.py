"""Knot DNS from Debian: signed zones, and updates with a TSIG key."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers.bind import KEY, Tsig, wait_for_answer
from peers.daemons import require_root, running, short_folder
from peers.debian import require

_TTL = 60


@dataclass(frozen=True)
class Knot:
    """A primary on port 53 of `address` that signs its zones; it takes updates with `key` (RFC 2136)."""

    address: str
    folder: Path
    key: Tsig = KEY

    def ds(self, zone: str) -> str:
        """The DS record of `zone`'s key-signing key, as data: what its parent must hold."""
        output = self._keymgr(zone, "ds")
        # Digest type 2 is SHA-256 (RFC 4509).
        line = next(line for line in output.splitlines() if line.split()[4] == "2")
        return line.split(" DS ")[1]

    def anchor(self, zone: str) -> str:
        """The same as a whole record: a trust anchor for a resolver."""
        return f"{zone}. DS {self.ds(zone)}"

    def _keymgr(self, zone: str, *arguments: str) -> str:
        command = ["/usr/sbin/keymgr", "-c", str(self.folder / "knot.conf"), f"{zone}.", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


@contextmanager
def knot(address: str, zones: Mapping[str, str], *, unsigned: frozenset[str] = frozenset()) -> Iterator[Knot]:
    """Serve `zones` (more lines of the zone file, by name), signed, at port 53 of `address`, with ns1 as its name.

    Args:
        address: of the loopback interface.
        zones: by name without trailing dot; ns1 of each has `address`.
        unsigned: those of `zones` that are not signed by the server, for instance because they are already.
    """
    require("knot", "knot-dnssecutils")
    require_root()
    with short_folder("knot") as folder:
        server = Knot(address, folder)
        for name, records in zones.items():
            (folder / f"{name}.zone").write_text(records if name in unsigned else zone_file(name, address, records))
        (folder / "knot.conf").write_text(_configuration(server, zones, unsigned))
        with running(["/usr/sbin/knotd", "-c", str(folder / "knot.conf")], [53], folder / "output", host=address):
            for name in zones:
                wait_for_answer(address, name, folder / "output")
            yield server


def zone_file(name: str, address: str, records: str = "") -> str:
    """A zone with one name server, ns1 of the zone, at `address`."""
    return f"$ORIGIN {name}.\n$TTL {_TTL}\n@ SOA ns1 admin 1 3600 600 86400 5\n@ NS ns1\nns1 A {address}\n{records}\n"


def _configuration(server: Knot, zones: Mapping[str, str], unsigned: frozenset[str]) -> str:
    head = f"""\
server:
    listen: {server.address}@53
    rundir: {server.folder}
log:
  - target: stderr
    any: info
database:
    storage: {server.folder}
control:
    listen: {server.folder}/control
key:
  - id: {server.key.name}
    algorithm: {server.key.algorithm}
    secret: {server.key.secret}
acl:
  - id: update
    key: {server.key.name}
    action: [update, transfer]
policy:
  - id: signed
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
zone:
"""
    parts = [
        f"  - domain: {name}\n    file: {server.folder}/{name}.zone\n    acl: update\n    zonefile-sync: -1\n"
        f"    zonefile-load: difference-no-serial\n    journal-content: all\n"
        + ("" if name in unsigned else "    dnssec-signing: on\n    dnssec-policy: signed\n")
        for name in zones
    ]
    return head + "".join(parts)
