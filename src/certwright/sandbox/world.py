"""A world in which the whole main job runs for real, with nothing installed beside Python packages."""

import secrets
import socket
import tempfile
from contextlib import ExitStack
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
from certwright.engine.journal import Listen
from certwright.exchange_simulator import ExchangeOrganisation, ServerSpec
from certwright.settings import Settings
from certwright.wiring import open_engine, utc_now

NAMES = ("mail.contoso.test", "autodiscover.contoso.test")
SERVER = "EX01"
SERVER_NAME = "ex01.contoso.test"
CREDENTIAL = "exchange"
ISSUER = "demo-ca"
_WAYS = {443: "IIS", 25: "SMTP", 587: "SMTP", 143: "IMAP", 993: "IMAPS", 110: "POP", 995: "POPS"}


class World:
    """The demo world, between `with` and the end of it.

    Attributes:
        folder: Everything on disk; gone when the world ends.
        authority: The ACME server; it validates http-01 on `challenge_port` of loopback, whatever the name.
        exchange: The organisation with the one server EX01, which begins with a certificate that ends soon.
        engine: Certwright, with the issuer and the credential in its store.
    """

    def __init__(self, listen: Listen) -> None:
        self._listen = listen
        self._stack = ExitStack()
        self.folder = Path()

    def __enter__(self) -> Self:
        with self._stack:
            self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="certwright-demo-")))
            self.challenge_port = _free_port()
            self.authority = self._stack.enter_context(AcmeServer(self._authority_config()))
            self.exchange = self._stack.enter_context(self._organisation())
            self.server = self.exchange[SERVER]
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
    def ports(self) -> dict[int, str]:
        """Standard port -> what the task's parameter `verify` calls it in this world."""
        addresses = {port: self.server.ports[port] for port in _WAYS}
        return {port: f"{_WAYS[port]}:{host}:{number}" for port, (host, number) in addresses.items()}

    @property
    def task_parameters(self) -> dict[str, object]:
        """The parameters of a task that deploys to this world's Exchange."""
        return {
            "servers": [SERVER],
            "endpoint": self.server.powershell_url,
            "credential": CREDENTIAL,
            "ca_file": str(self.endpoint_ca_file),
            "services": "IIS,SMTP,POP,IMAP",
            "winrm": self.server.winrm_url,
            "verify": list(self.ports.values()),
        }

    def _authority_config(self) -> AcmeServerConfig:
        return AcmeServerConfig(
            ca=CaConfig(organization="Contoso Demo CA", intermediate_keys=(KeyType.ECDSA_P256, KeyType.ECDSA_P256)),
            validation=ValidationConfig(http_port=self.challenge_port, hosts={"*": ("127.0.0.1",)}),
        )

    def _organisation(self) -> ExchangeOrganisation:
        endpoint_ca = CertificateAuthority(CaConfig(organization="Contoso Endpoint CA"))
        self.endpoint_ca_file.write_bytes(endpoint_ca.root_pem)
        endpoint = endpoint_ca.issue_directly(["127.0.0.1", SERVER_NAME])
        return ExchangeOrganisation(
            [ServerSpec(name=SERVER, fqdn=SERVER_NAME, smtp_fqdn=NAMES[0])],
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
        self.server.add_certificate(_pfx(old), "by hand")


def _pfx(made: KeyedCertificate) -> bytes:
    return serialize_key_and_certificates(
        b"by hand", made.private_key, made.chain[0], made.chain[1:], BestAvailableEncryption(b"by hand")
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
