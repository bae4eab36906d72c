"""A world in which the whole main job runs for real, with nothing installed beside Python packages."""

import secrets
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from certwright import store
from certwright.acme_server.ca import CertificateAuthority, KeyedCertificate
from certwright.acme_server.config import AcmeServerConfig, CaConfig, KeyType, ValidationConfig
from certwright.acme_server.server import AcmeServer
from certwright.domain.errors import ConfigurationError
from certwright.engine.journal import Listen
from certwright.exchange.connection import Connection
from certwright.exchange_simulator import ExchangeOrganisation, ExchangeServer, ServerSpec, Version
from certwright.sdk.params import read_params
from certwright.settings import Settings
from certwright.wiring import open_engine, utc_now

NAMES = ("mail.contoso.test", "autodiscover.contoso.test")
SERVERS = ("EX01", "EX02", "EX03")
CREDENTIAL = "exchange"
ISSUER = "demo-ca"
_WAYS = {443: "IIS", 25: "SMTP", 587: "SMTP", 143: "IMAP", 993: "IMAPS", 110: "POP", 995: "POPS"}


class World:
    """The demo world, between `with` and the end of it.

    Attributes:
        folder: Everything on disk; gone when the world ends.
        authority: The ACME server; it validates http-01 on `challenge_port` of loopback, whatever the name.
        exchange: The organisation of these servers, which begin with one certificate that ends soon.
        engine: Certwright, with the issuer and the credential in its store.
    """

    def __init__(self, listen: Listen, servers: Sequence[str] = SERVERS) -> None:
        self._listen = listen
        self._names = servers
        self._stack = ExitStack()
        self.folder = Path()

    def __enter__(self) -> Self:
        with self._stack:
            self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="certwright-demo-")))
            self.challenge_port = _free_port()
            self.authority = self._stack.enter_context(AcmeServer(self._authority_config()))
            self.exchange = self._stack.enter_context(self._organisation())
            self._install_predecessor()
            store.create(self.settings)
            self.engine = open_engine(self.settings, self._listen)
            self._stack.callback(self.engine.store.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def settings(self) -> Settings:
        """Where the world's store is; its master key lies beside it, not in it."""
        return Settings(
            self.folder / "data", key_folder=self.folder / "keys", master_key_file=self.folder / "keys" / "master.key"
        )

    @cached_property
    def password(self) -> str:
        """The password of the Exchange administrator."""
        return secrets.token_urlsafe(16)

    @property
    def administrator(self) -> str:
        """The name of the Exchange administrator."""
        return "svc-certwright@contoso.test"

    @property
    def http_address(self) -> str:
        """Where http-01 is answered and validated."""
        return f"127.0.0.1:{self.challenge_port}"

    @property
    def endpoint_ca_file(self) -> Path:
        """The root of the Exchange endpoints' own certificates."""
        return self.folder / "endpoint-ca.pem"

    @property
    def servers(self) -> dict[str, ExchangeServer]:
        """The servers by their full names, the one that changes first in front."""
        return {server.spec.fqdn: server for server in map(self.exchange.__getitem__, self._names)}

    @property
    def standard_ports(self) -> dict[tuple[str, int], int]:
        """(server, port in this world) -> the port that it stands for."""
        return {(name, server.ports[port][1]): port for name, server in self.servers.items() for port in _WAYS}

    @property
    def reach(self) -> dict[str, object]:
        """How this world's Exchange is reached."""
        return {
            "servers": list(self.servers),
            "endpoint": {name: server.powershell_url for name, server in self.servers.items()},
            "auth": "basic",
            "credential": CREDENTIAL,
            "ca_file": str(self.endpoint_ca_file),
            "winrm": {name: server.winrm_url for name, server in self.servers.items()},
        }

    @property
    def connection(self) -> Connection:
        """The same, checked."""
        return read_params(Connection, self.reach, "the demo's Exchange")

    @property
    def task_parameters(self) -> dict[str, object]:
        """The parameters of a task that deploys to this world's Exchange."""
        looked_at = [
            f"{name}/{way}:{server.ports[port][0]}:{server.ports[port][1]}"
            for name, server in self.servers.items()
            for port, way in _WAYS.items()
        ]
        return {**self.reach, "services": "IIS,SMTP,POP,IMAP", "verify": looked_at}

    def _authority_config(self) -> AcmeServerConfig:
        return AcmeServerConfig(
            ca=CaConfig(organization="Contoso Demo CA", intermediate_keys=(KeyType.ECDSA_P256, KeyType.ECDSA_P256)),
            validation=ValidationConfig(http_port=self.challenge_port, hosts={"*": ("127.0.0.1",)}),
        )

    def _organisation(self) -> ExchangeOrganisation:
        endpoint_ca = CertificateAuthority(CaConfig(organization="Contoso Endpoint CA"))
        self.endpoint_ca_file.write_bytes(endpoint_ca.root_pem)
        endpoint = endpoint_ca.issue_directly(["127.0.0.1", "localhost"])
        return ExchangeOrganisation(
            [
                ServerSpec(
                    name=name,
                    fqdn=f"{name.lower()}.contoso.test",
                    version=Version.EXCHANGE_SE,
                    dag="DAG01",
                    smtp_fqdn=NAMES[0],
                    public_host=NAMES[0],
                )
                for name in self._names
            ],
            tls_chain=endpoint.chain_pem,
            tls_key=endpoint.private_key_pem,
            username=self.administrator,
            password=self.password,
        )

    def _install_predecessor(self) -> None:
        """What an administrator put there by hand, long ago: it ends in three weeks."""
        now = utc_now()
        old = self.authority.ca.issue_directly(
            NAMES, KeyType.RSA_2048, not_before=now - timedelta(days=69), not_after=now + timedelta(days=21)
        )
        for server in self.servers.values():
            server.add_certificate(_pfx(old), "by hand")


def _pfx(made: KeyedCertificate) -> bytes:
    return serialize_key_and_certificates(
        b"by hand", made.private_key, made.chain[0], made.chain[1:], BestAvailableEncryption(b"by hand")
    )


def _free_port() -> int:
    """A port that is bound only later; below those that the system hands out, so that nobody is given it meanwhile."""
    for port in secrets.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ConfigurationError("No free port was found on loopback.", hint="Look at what listens there: ss -ltn")
