"""Knot, which signs its zones, as a peer of `rfc2136`."""

from collections.abc import Iterator
from contextlib import contextmanager

from peers.daemons import require_root
from peers.dns_peer import OTHER_ZONE, ZONE
from peers.knot import knot
from peers.loopback import block
from peers.updates import UpdatePeer


@contextmanager
def serve() -> Iterator[UpdatePeer]:
    """Until the block ends."""
    require_root()
    with block() as addresses, knot(addresses[1], {ZONE: "", OTHER_ZONE: ""}) as server:
        peer = UpdatePeer(server.address, server.key)
        peer.params["zone"] = peer.wrong_params["zone"] = ZONE
        yield peer
