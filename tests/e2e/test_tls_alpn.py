"""tls-alpn-01 judged by Pebble, by our own authority, and by openssl."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from certwright.domain.validation import Validation
from certwright.engine.managed import Wish, create
from certwright.solvers.tls_alpn import Params, TlsAlpn
from peers.answers import solver_context, tls_alpn01
from peers.pebble import pebble
from peers.ports import free_port
from world import crowd, processes
from world.site import ISSUER, Site, authority, register

pytestmark = pytest.mark.e2e
HOST = "127.0.0.1"
NAMES = ("mail.contoso.test", "autodiscover.contoso.test")


def test_pebble_is_content(tmp_path: Path) -> None:
    site, port = Site(tmp_path), free_port()
    with pebble(tmp_path / "pebble", tls_port=port) as ca:
        site.cli("init", code=0)
        directory = ["--directory", ca.directory_url, "--email", "postmaster@contoso.com"]
        site.cli("issuer", "add", "acme", "pebble", *directory, "--ca-file", str(ca.ca_file), "--agree-tos", code=0)
        here = f"{HOST}:{port}"
        listen = ["--tls-alpn", here, "--http-check-via", here]
        site.cli("certificate", "new", *NAMES, "--issuer", "pebble", "--key", "ecdsa-p256", *listen, code=0)
        site.cli("certificate", "test", NAMES[0], code=0)
        site.cli("certificate", "request", NAMES[0], code=0)


def test_addresses_are_certified(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    with authority() as ca:
        register(site, ca)
        port = ca.tls_port
        listen = ["--tls-alpn", f"{HOST}:{port},[::1]:{port}"]
        options = ["--issuer", ISSUER, "--key", "ecdsa-p256", "--no-http-check"]
        site.cli("certificate", "new", HOST, "::1", NAMES[0], *options, *listen, code=0)
        issued = json.loads(site.cli("certificate", "request", NAMES[0], "--json", code=0).out)["issued"]
    leaf = x509.load_pem_x509_certificates(issued["chain_pem"].encode())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {HOST, "::1"}


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_twenty_runs_in_five_processes_share_one_port(challenge: str, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    with authority() as ca:
        register(site, ca)
        port, plugin = (ca.http_port, "http_listener") if challenge == "http-01" else (ca.tls_port, "tls_alpn")
        listen = {"address": HOST, "port": port, "check_via": f"{HOST}:{port}"}
        validation = Validation.model_validate({"challenge": challenge, "solver": plugin, "params": listen})
        with site.engine() as engine:
            wishes = [
                Wish(names=(f"host{i}.contoso.test",), issuer=ISSUER, validation=validation, key_type="ecdsa-p256")  # type: ignore[arg-type]
                for i in range(20)
            ]
            ids = [create(engine, wish).id for wish in wishes]

        def run(part: list[str]) -> processes.Ended:
            arguments = (crowd.request_all, str(site.folder), part)
            return processes.run(*arguments, folder=site.folder, environment=site.environment)

        with ThreadPoolExecutor(5) as threads:
            ended = list(threads.map(run, [ids[i::5] for i in range(5)]))
    assert [(one.code, one.out.splitlines()) for one in ended] == [(0, ["issued"] * 4)] * 5


def openssl(port: int, *options: str) -> str:
    """What `openssl s_client` tells of the connection."""
    command = ["openssl", "s_client", "-connect", f"{HOST}:{port}", *options]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
    ).stdout


def test_openssl_sees_what_the_rfc_asks_for() -> None:
    port = free_port()
    challenge = tls_alpn01(NAMES[0])
    tls_alpn = TlsAlpn(Params(address=(HOST,), port=port), solver_context())
    try:
        tls_alpn.present([challenge])
        told = openssl(port, "-alpn", "acme-tls/1", "-servername", NAMES[0])
        other_name = openssl(port, "-alpn", "acme-tls/1", "-servername", NAMES[1])
        other_protocol = openssl(port, "-alpn", "h2", "-servername", NAMES[0])
    finally:
        tls_alpn.close()
        tls_alpn.clean_up([challenge])
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-text"], input=told, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert "ALPN protocol: acme-tls/1" in told
    assert f"DNS:{NAMES[0]}\n" in text
    assert "1.3.6.1.5.5.7.1.31: critical" in text
    assert "no peer certificate available" in other_name
    assert "no peer certificate available" in other_protocol
