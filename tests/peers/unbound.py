"""Unbound from Debian: a recursive resolver that begins at a private root, and validates if it is given anchors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import require_root, running, short_folder
from peers.debian import require


@contextmanager
def unbound(address: str, root: str, *, trust_anchors: Sequence[str] = (), caching: bool = False) -> Iterator[str]:
    """A resolver on port 53 of `address` that asks the root server at `root`; its ADDRESS:PORT.

    Args:
        address: where it listens.
        root: address of the server of the root zone.
        trust_anchors: DS or DNSKEY records, as lines, from which it validates; none: it does not validate.
        caching: whether it remembers answers as long as their TTL says; else it asks anew each time.
    """
    require("unbound")
    require_root()
    with short_folder("unbound") as folder:
        (folder / "root.hints").write_text(f". 3600 NS root.servers.test.\nroot.servers.test. 3600 A {root}\n")
        (folder / "unbound.conf").write_text(_configuration(folder, address, trust_anchors, caching=caching))
        command = ["/usr/sbin/unbound", "-d", "-c", str(folder / "unbound.conf")]
        with running(command, [53], folder / "output", host=address):
            yield f"{address}:53"


def _configuration(folder: Path, address: str, trust_anchors: Sequence[str], *, caching: bool) -> str:
    settings = {
        "directory": f'"{folder}"',
        "chroot": '""',
        "username": '""',
        "pidfile": '""',
        "use-syslog": "no",
        "logfile": '""',
        "verbosity": "1",
        "num-threads": "1",
        "interface": address,
        "outgoing-interface": address,
        "access-control": "127.0.0.0/8 allow",
        "do-not-query-localhost": "no",
        "do-ip6": "no",
        "root-hints": f'"{folder / "root.hints"}"',
        "local-zone": '"test." nodefault',
        "module-config": '"validator iterator"' if trust_anchors else '"iterator"',
        "ede": "yes",
        "val-sig-skew-min": "0",
        "val-sig-skew-max": "0",
        "infra-host-ttl": "1",
    }
    if not caching:
        settings |= {"cache-max-ttl": "0", "cache-max-negative-ttl": "0", "aggressive-nsec": "no"}
    lines = [f"  {name}: {value}" for name, value in settings.items()]
    lines += [f'  trust-anchor: "{anchor}"' for anchor in trust_anchors]
    return "\n".join(["server:", *lines, "remote-control:", "  control-enable: no", ""])
