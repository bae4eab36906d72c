"""lego, from Debian, as its users run it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509

from certwright.acme_server import AcmeServer, AcmeServerConfig, CaConfig, KeyType
from peers.acme_server import dns_server, loopback_config
from peers.debian import require
from peers.ports import free_port

pytestmark = pytest.mark.e2e
RETRY_AFTER = 1
"""Without it lego asks again every five seconds."""


@pytest.fixture(scope="module", autouse=True)
def _lego_is_installed() -> None:
    require("lego")


@dataclass(frozen=True, slots=True)
class Lego:
    server: AcmeServer
    folder: Path

    def run(self, *options: str, command: tuple[str, ...], environment: dict[str, str] | None = None) -> str:
        common = [f"--server={self.server.directory_url}", f"--path={self.folder}", "--accept-tos"]
        done = subprocess.run(
            ["lego", *common, "--email=admin@contoso.test", *options, *command],
            env={**os.environ, "LEGO_CA_CERTIFICATES": str(self.server.ca_file), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def chain(self, name: str) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates((self.folder / "certificates" / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("rejection", [0, 20])
def test_lego_gets_and_renews_by_http_01(tmp_path: Path, rejection: int) -> None:
    port = free_port()
    ca = CaConfig(intermediate_keys=(KeyType.ECDSA_P384,))
    config = AcmeServerConfig(nonce_rejection_percent=rejection, ca=ca, retry_after=RETRY_AFTER)
    with AcmeServer(loopback_config(config, http_port=port)) as server:
        lego = Lego(server, tmp_path)
        http = (f"--http.port=127.0.0.1:{port}", "--http", "--domains=mail.contoso.test", "--domains=www.contoso.test")
        lego.run(*http, "--key-type=rsa2048", command=("run",))
        first, *_ = lego.chain("mail.contoso.test")
        lego.run(*http, command=("renew", "--days=1000", "--no-random-sleep"))
        second, intermediate = lego.chain("mail.contoso.test")
        assert [issued.certificate for issued in server.issued] == [first, second]
        assert intermediate.subject == second.issuer
        lego.run("--domains=mail.contoso.test", command=("revoke", "--reason=1"))
        assert server.issued[1].revocation is not None


def test_lego_gets_a_wildcard_by_dns_01(tmp_path: Path) -> None:
    with dns_server() as (resolver, records), record_endpoint(records) as endpoint:
        config = loopback_config(AcmeServerConfig(retry_after=RETRY_AFTER))
        config = replace(config, validation=replace(config.validation, resolver=resolver))
        dns = ("--dns=httpreq", f"--dns.resolvers={resolver}", "--dns.disable-cp")
        with AcmeServer(config) as server:
            lego = Lego(server, tmp_path)
            lego.run(
                *dns,
                "--domains=*.contoso.test",
                "--domains=contoso.test",
                command=("run",),
                environment={"HTTPREQ_ENDPOINT": endpoint, "HTTPREQ_POLLING_INTERVAL": "1"},
            )
            (issued,) = server.issued
        assert {identifier.value for identifier in issued.identifiers} == {"contoso.test", "*.contoso.test"}
        assert not records["_acme-challenge.contoso.test", "TXT"]


@contextmanager
def record_endpoint(records: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    """What lego's httpreq provider talks to: POST /present and /cleanup of an fqdn and a value."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            values = records.setdefault((asked["fqdn"].rstrip("."), "TXT"), [])
            change = values.append if self.path == "/present" else values.remove
            change(f'"{asked["value"]}"')
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
