"""A program that runs nsupdate, and BIND, as a peer of `script`."""

from collections.abc import Iterator
from contextlib import contextmanager

from peers import dns_rfc2136__bind
from peers.daemons import short_folder
from peers.debian import require
from peers.programs import nsupdate
from peers.updates import UpdatePeer


class ScriptPeer(UpdatePeer):
    """The zones are those of BIND; what the program signs in with only a record shows."""

    tries_secret = False


@contextmanager
def serve() -> Iterator[UpdatePeer]:
    """Until the block ends."""
    require("bind9-dnsutils")
    with dns_rfc2136__bind.serve(ScriptPeer) as peer, short_folder("script") as folder:
        program = str(nsupdate(folder / "records", peer.address))
        programs = {"create": program, "delete": program}
        signs = f"{peer.key.algorithm}:{peer.key.name}"
        peer.params, peer.wrong_params = (
            {**programs, "secret": f"{signs}:{params['key']}"} for params in (peer.params, peer.wrong_params)
        )
        peer.script_folders = (folder,)
        yield peer
