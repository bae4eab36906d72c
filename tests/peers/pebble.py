"""Pebble, the ACME CA to test against, with pebble-challtestsrv that answers its DNS, HTTP and TLS questions."""

import http.client
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import urllib3

from peers.debian import require
from peers.ports import free_port, wait_for_port

_HOST = "127.0.0.1"
NAME = "ca.contoso.test"
"""A name that its certificate covers too, for those who can make it lead here."""
_SECONDS = 10


@dataclass(frozen=True)
class Pebble:
    """A running pair. Every name resolves to 127.0.0.1; challenges are validated at the ports given here."""

    directory_url: str
    ca_file: Path
    """Trust this to speak with Pebble; it has nothing to do with the certificates that Pebble issues."""
    http_port: int
    tls_port: int
    dns_port: int
    management_url: str
    _challtestsrv_port: int

    @property
    def challtestsrv_url(self) -> str:
        """Where pebble-challtestsrv is told what to answer."""
        return f"http://{_HOST}:{self._challtestsrv_port}"

    def add_http01(self, token: str, key_authorization: str) -> None:
        self._tell("add-http01", {"token": token, "content": key_authorization})

    def del_http01(self, token: str) -> None:
        self._tell("del-http01", {"token": token})

    def add_txt(self, name: str, value: str) -> None:
        self._tell("set-txt", {"host": f"{name}.", "value": value})

    def del_txt(self, name: str) -> None:
        self._tell("clear-txt", {"host": f"{name}."})

    def set_servfail(self, name: str) -> None:
        """Answer every question for `name` with SERVFAIL."""
        self._tell("set-servfail", {"host": name})

    def add_addresses(self, name: str, kind: str, *addresses: str) -> None:
        """Answer with these addresses; `kind` is A or AAAA."""
        self._tell(f"add-{kind.lower()}", {"host": name, "addresses": addresses})

    def forget_default_address(self) -> None:
        """Know no address of a name that was not added."""
        self._tell("set-default-ipv4", {"ip": ""})

    def add_tlsalpn01(self, name: str, key_authorization: str) -> None:
        self._tell("add-tlsalpn01", {"host": name, "content": key_authorization})

    def del_tlsalpn01(self, name: str) -> None:
        self._tell("del-tlsalpn01", {"host": name})

    def root(self, index: int = 0) -> bytes:
        """The root of the default chain (0) or of an alternate chain, PEM."""
        return self._managed(f"roots/{index}")

    def certificate_status(self, serial: int) -> dict[str, Any]:
        """What Pebble knows of a certificate: ``Status`` (``Valid`` or ``Revoked``), ``Reason``."""
        told: dict[str, Any] = json.loads(self._managed(f"cert-status-by-serial/{serial:x}"))
        return told

    def _managed(self, path: str) -> bytes:
        with urllib3.PoolManager(ca_certs=str(self.ca_file)) as pool:
            answer = pool.request("GET", f"{self.management_url}/{path}", timeout=_SECONDS, retries=False)
            assert answer.status == 200, answer.data
            return answer.data

    def _tell(self, what: str, data: Mapping[str, str | Sequence[str]]) -> None:
        connection = http.client.HTTPConnection(_HOST, self._challtestsrv_port, timeout=_SECONDS)
        try:
            connection.request("POST", f"/{what}", json.dumps(data))
            assert connection.getresponse().status == 200
        finally:
            connection.close()


@contextmanager
def pebble(
    folder: Path,
    *,
    nonce_reject: int = 0,
    authz_reuse: int = 0,
    va_sleep: int = 0,
    alternate_roots: int = 0,
    chain_length: int = 1,
    external_accounts: Mapping[str, str] | None = None,
    http_port: int | None = None,
    tls_port: int | None = None,
    resolver: str | None = None,
) -> Iterator[Pebble]:
    """Run ``pebble -strict`` and pebble-challtestsrv on free loopback ports, until the block ends.

    Keep at most 8 orders in flight and about 200 in all: Pebble 2.4 deadlocks beyond.

    Args:
        folder: For configuration and logs.
        nonce_reject: Percentage of good nonces that are rejected.
        authz_reuse: Percentage of valid authorizations that a new order reuses.
        va_sleep: Most seconds of the random pause before each validation; 0: none.
        alternate_roots: How many chains are offered beside the default.
        chain_length: Intermediates in a chain.
        external_accounts: Key id -> MAC key in base64url; given: binding is required.
        http_port: Where http-01 is validated if somebody other than pebble-challtestsrv answers.
        tls_port: The same for tls-alpn-01.
        resolver: Whom it asks for names (host:port) instead of pebble-challtestsrv.
    """
    require("pebble")
    folder.mkdir(parents=True, exist_ok=True)
    here = {name: free_port() for name in ("acme", "management", "dns", "http", "tls", "challtestsrv")}
    ca_file = _configure(folder, here, http_port or here["http"], tls_port or here["tls"], external_accounts)
    environment = {
        **os.environ,
        "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
        "PEBBLE_AUTHZREUSE": str(authz_reuse),
        "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots),
        "PEBBLE_CHAIN_LENGTH": str(chain_length),
        **({"PEBBLE_VA_SLEEPTIME": str(va_sleep)} if va_sleep else {"PEBBLE_VA_NOSLEEP": "1"}),
    }
    challtestsrv = {
        "-dns01": f"{_HOST}:{here['dns']}",
        "-http01": "" if http_port else f"{_HOST}:{here['http']}",
        "-https01": "",
        "-tlsalpn01": "" if tls_port else f"{_HOST}:{here['tls']}",
        "-management": f"{_HOST}:{here['challtestsrv']}",
        "-defaultIPv4": _HOST,
        "-defaultIPv6": "",
    }
    options = [part for option in challtestsrv.items() for part in option]
    server = [
        "pebble",
        "-strict",
        "-config",
        str(folder / "pebble.json"),
        "-dnsserver",
        resolver or f"{_HOST}:{here['dns']}",
    ]
    with ExitStack() as running:
        running.enter_context(_process(["pebble-challtestsrv", *options], folder, here["challtestsrv"]))
        running.enter_context(_process(server, folder, here["acme"], environment))
        yield Pebble(
            directory_url=f"https://{_HOST}:{here['acme']}/dir",
            ca_file=ca_file,
            http_port=http_port or here["http"],
            tls_port=tls_port or here["tls"],
            dns_port=here["dns"],
            management_url=f"https://{_HOST}:{here['management']}",
            _challtestsrv_port=here["challtestsrv"],
        )


def _configure(
    folder: Path,
    here: Mapping[str, int],
    http_port: int,
    tls_port: int,
    external_accounts: Mapping[str, str] | None,
) -> Path:
    authority = trustme.CA()
    ca_file = folder / "pebble-ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    certificate = authority.issue_cert(_HOST, "localhost", NAME)
    certificate.private_key_pem.write_to_path(folder / "pebble.key")
    for index, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(folder / "pebble.pem", append=index > 0)
    settings = {
        "listenAddress": f"{_HOST}:{here['acme']}",
        "managementListenAddress": f"{_HOST}:{here['management']}",
        "certificate": str(folder / "pebble.pem"),
        "privateKey": str(folder / "pebble.key"),
        "httpPort": http_port,
        "tlsPort": tls_port,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": external_accounts is not None,
        "externalAccountMACKeys": dict(external_accounts or {}),
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    return ca_file


@contextmanager
def _process(
    command: list[str], folder: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    log = folder / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        try:
            wait_for_port(_HOST, port, _SECONDS)
        except TimeoutError as error:
            error.add_note(f"{command[0]} said: {log.read_text()[-1000:]}")
            raise
        yield
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_SECONDS)
