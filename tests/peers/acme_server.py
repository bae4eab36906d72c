"""Our ACME server as a peer: a world where every name is this machine, validated on a free port."""

import json
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from certwright.acme_server import AcmeServerConfig
from peers.ports import free_port

LOOPBACK = {"*": ("127.0.0.1",)}


def loopback_config(
    config: AcmeServerConfig | None = None, *, http_port: int | None = None, tls_port: int | None = None
) -> AcmeServerConfig:
    """``config`` with all names on 127.0.0.1 and http-01 on ``http_port``, by default a free one."""
    config = config or AcmeServerConfig()
    http_port, tls_port = http_port or free_port(), tls_port or free_port()
    validation = replace(config.validation, http_port=http_port, tls_port=tls_port, hosts=LOOPBACK)
    return replace(config, validation=validation)


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """The server as a process of its own."""

    directory_url: str
    ca_file: Path
    process: subprocess.Popen[str]


@contextmanager
def acme_server_process(config: AcmeServerConfig, folder: Path) -> Iterator[ServerProcess]:
    """``python -m certwright.acme_server`` with ``config``, ended by SIGTERM afterwards."""
    file = folder / "acme_server.json"
    file.write_text(json.dumps(asdict(config), default=lambda value: value.total_seconds()))
    command = [sys.executable, "-m", "certwright.acme_server", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(120, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield ServerProcess(told["directory"], Path(told["ca_file"]), process)
        finally:
            process.terminate()
            process.wait(timeout=20)
            killer.cancel()


@contextmanager
def dns_server() -> Iterator[tuple[str, dict[tuple[str, str], list[str]]]]:
    """A DNS server on loopback: its ``host:port``, and its records by (name, type), to be changed at will.

    Names without any record do not exist. The value ``SERVFAIL`` is that answer to questions of its type.
    """
    records: dict[tuple[str, str], list[str]] = {}

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, udp = self.request
            question = dns.message.from_wire(data)
            asked = question.question[0]
            name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.RA
            if not any(owner == name for owner, _ in records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            target = records.get((name, "CNAME"))
            if target:
                answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", *target))
                name = target[0].rstrip(".")
            values = records.get((name, kind))
            if values == ["SERVFAIL"]:
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif values:
                answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *values))
            udp.sendto(answer.to_wire(), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", records
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def challenge_responder(port: int, host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """A web server on ``port`` of ``host`` that knows the key authorizations put into the dictionary."""
    tokens: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = tokens.get(self.path.removeprefix("/.well-known/acme-challenge/"), "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
