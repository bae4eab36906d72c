"""BIND as a peer of `rfc2136`."""

from collections.abc import Iterator
from contextlib import contextmanager

from peers.bind import KEY, Named
from peers.daemons import require_root, short_folder
from peers.debian import require
from peers.dns_peer import OTHER_ZONE, ZONE
from peers.knot import zone_file
from peers.loopback import block
from peers.updates import UpdatePeer


@contextmanager
def serve(peer: type[UpdatePeer] = UpdatePeer) -> Iterator[UpdatePeer]:
    """Until the block ends."""
    require("bind9")
    require_root()
    with block() as addresses, short_folder("bind") as folder:
        server = Named(addresses.assign(addresses[1]), folder)
        for zone in (ZONE, OTHER_ZONE):
            (folder / f"{zone}.zone").write_text(zone_file(zone, server.address))
            server.clauses[zone] = f'type primary; file "{zone}.zone"; allow-update {{ key "{KEY.name}"; }};'
        try:
            server.start()
            yield peer(server.address)
        finally:
            server.stop()
