"""The peer of `lexicon:powerdns`: that of `powerdns`, asked by the library, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from certwright.lexicon import worker
from peers.dns_peer import ZONE, Fault
from peers.dns_powerdns import KEY, PowerDnsFront
from peers.pdns import pdns
from peers.vendor import served


class LexiconFront(PowerDnsFront):
    """A page in place of an answer is only told as what the library cannot read."""

    tells_zones = False
    faults = frozenset(Fault) - {Fault.NONSENSE}


@contextmanager
def serve() -> Iterator[LexiconFront]:
    """Until the block ends."""
    with pdns(KEY) as server:
        front = LexiconFront(server)
        with served(front):
            front.params = {"pdns_server": front.url, "auth_token": KEY, "zone": ZONE}
            front.wrong_params = {**front.params, "auth_token": KEY[:-1] + "2"}
            run = staticmethod(lambda job, _seconds: worker.work(job))
            front.overrides = {"pauses": (0.0, 0.0, 0.0), "per_second": 1000, "run": run}
            yield front
