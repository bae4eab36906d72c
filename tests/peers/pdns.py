"""PowerDNS Authoritative Server from Debian: zones in SQLite, its HTTP API with a key, and DNS on the same address."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype

from peers.daemons import HOST, running, short_folder
from peers.debian import require
from peers.ports import free_port

_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
_SECONDS = 10


@dataclass(frozen=True)
class PowerDns:
    """A running server; `url` is that of its web server."""

    url: str
    dns_port: int
    key: str = field(repr=False)

    def call(self, method: str, path: str, data: Any = None) -> Any:
        """Ask the API as its documentation says; what it answers."""
        body = None if data is None else json.dumps(data).encode()
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def zone(self, name: str, kind: str = "Native", masters: Sequence[str] = ()) -> None:
        """A new zone."""
        servers = [f"ns1.{name}."] if kind != "Slave" else []
        data = {"name": f"{name}.", "kind": kind, "nameservers": servers, "masters": list(masters)}
        self.call("POST", "/servers/localhost/zones", data)

    def texts(self, name: str) -> list[str]:
        """The TXT records at `name`, as DNS shows them, sorted."""
        question = dns.message.make_query(f"{name}.", dns.rdatatype.TXT)
        answer = dns.query.udp(question, HOST, timeout=_SECONDS, port=self.dns_port)
        return sorted(b"".join(data.strings).decode() for rrset in answer.answer for data in rrset)


@contextmanager
def pdns(key: str) -> Iterator[PowerDns]:
    """Until the block ends."""
    require("pdns-server", "pdns-backend-sqlite3")
    with short_folder("pdns") as folder:
        database = folder / "zones.sqlite3"
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(_SCHEMA.read_text())
        dns_port, web_port = free_port(), free_port()
        (folder / "pdns.conf").write_text(
            f"launch=gsqlite3\ngsqlite3-database={database}\ngsqlite3-pragma-synchronous=0\nsocket-dir={folder}\n"
            f"local-address={HOST}\nlocal-port={dns_port}\napi=yes\napi-key={key}\nwebserver-address={HOST}\n"
            f"webserver-port={web_port}\nwebserver-allow-from=127.0.0.1\nwebserver-loglevel=none\n"
            "cache-ttl=0\nnegquery-cache-ttl=0\nquery-cache-ttl=0\nzone-cache-refresh-interval=0\n"
            "receiver-threads=1\ndistributor-threads=1\ndaemon=no\nguardian=no\nsecurity-poll-suffix=\n"
        )
        with running(["/usr/sbin/pdns_server", f"--config-dir={folder}"], [web_port, dns_port], folder / "output"):
            yield PowerDns(f"http://{HOST}:{web_port}", dns_port, key)
