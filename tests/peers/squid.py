"""Squid from Debian as the proxy of a company: it wants a credential, and knows names that nobody else does."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers.daemons import HOST, require_root, running, short_folder
from peers.debian import require
from peers.ports import free_port

USER, PASSWORD = "svc-certs", "c4nary of the proxy"
_CONFIGURATION = """\
http_port {host}:{port}
hosts_file {folder}/hosts
dns_nameservers {host}
auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/passwords
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access {rule}
http_access deny all
access_log stdio:{folder}/access.log
cache_log {folder}/cache.log
pid_filename none
cache deny all
cache_mem 8 MB
shutdown_lifetime 0 seconds
coredump_dir {folder}
"""


@dataclass(frozen=True)
class Squid:
    """A running one."""

    port: int
    log: Path

    @property
    def address(self) -> str:
        """For whoever goes through it."""
        return f"http://{HOST}:{self.port}"

    @property
    def tunnels(self) -> list[str]:
        """Where tunnels led that were opened, HOST:PORT; a tunnel is told of when it ends."""
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [fields[6] for fields in lines if fields[5] == "CONNECT" and fields[3].endswith("/200")]


@contextmanager
def squid(hosts: Mapping[str, str], *, guarded: bool = True) -> Iterator[Squid]:
    """Run it; `hosts` are the names that it knows, with their addresses. Guarded, it wants `USER` and `PASSWORD`."""
    require("squid", "apache2-utils")
    require_root()
    with short_folder("squid") as folder:
        folder.chmod(0o777)
        port = free_port()
        subprocess.run(
            ["htpasswd", "-ciB", folder / "passwords", USER], input=PASSWORD.encode(), check=True, capture_output=True
        )
        (folder / "passwords").chmod(0o644)
        (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
        text = _CONFIGURATION.format(
            host=HOST, port=port, folder=folder, rule="allow known" if guarded else "allow all"
        )
        (folder / "squid.conf").write_text(text)
        (folder / "access.log").touch()
        (folder / "access.log").chmod(0o666)
        with running(["/usr/sbin/squid", "-N", "-f", folder / "squid.conf"], [port], folder / "log"):
            yield Squid(port, folder / "access.log")
