"""acme-dns as a peer of the contract, as far as that fits: a secret is given out with each name."""

from collections.abc import Iterator
from contextlib import contextmanager

from peers.acme_dns import AcmeDnsServer, acme_dns


@contextmanager
def serve() -> Iterator[AcmeDnsServer]:
    """Until the block ends."""
    with acme_dns() as server:
        server.params = {"server": server.url}
        server.wrong_params = {}
        server.overrides = {"per_second": 1000}
        yield server
