"""A simulated Exchange beside an installation whose certificate has a task that deploys to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from certwright.acme_server.ca import CertificateAuthority
from certwright.acme_server.config import KeyType
from certwright.domain.certificates import CertificateFacts
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.domain.managed import TaskSettings
from certwright.engine.context import Engine
from certwright.engine.task_list import add_task
from certwright.exchange_simulator import ExchangeOrganisation, ExchangeServer, ServerSpec
from certwright.sdk.context import Credential
from certwright.wiring import utc_now
from world.site import NAMES

WAYS = {443: "IIS", 25: "SMTP", 587: "SMTP", 143: "IMAP", 993: "IMAPS", 110: "POP", 995: "POPS"}
SERVER, SERVER_NAME = "EX01", "ex01.contoso.test"
ORGANISATION = "127.0.0.1"
CREDENTIAL = "exchange"
USERNAME = "svc-certwright@contoso.test"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One server, which begins with a certificate of `ca` that ends soon."""

    organisation: ExchangeOrganisation
    server: ExchangeServer
    ca_file: Path
    first_sha256: str

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of a task that deploys to it."""
        return {
            "servers": [SERVER],
            "endpoint": self.server.powershell_url,
            "auth": "basic",
            "credential": CREDENTIAL,
            "ca_file": str(self.ca_file),
            "services": "IIS,SMTP,POP,IMAP",
            "winrm": self.server.winrm_url,
            "verify": [
                f"{way}:{self.server.ports[port][0]}:{self.server.ports[port][1]}" for port, way in WAYS.items()
            ],
        }

    @property
    def few_params(self) -> dict[str, Any]:
        """Less work: the web site and SMTP alone."""
        looked_at = [word for word in self.params["verify"] if word.startswith(("IIS", "SMTP"))]
        return {"services": "IIS,SMTP", "winrm": None, "verify": looked_at}

    @property
    def options(self) -> list[str]:
        """The same for the command line."""
        words = ["--server", SERVER, "--auth", "basic", "--credential", CREDENTIAL, "--ca-file", str(self.ca_file)]
        words += ["--endpoint", self.server.powershell_url, "--winrm", self.server.winrm_url]
        words += ["--services", "IIS,SMTP,POP,IMAP"]
        for port, way in WAYS.items():
            host, number = self.server.ports[port]
            words += ["--verify", f"{way}:{host}:{number}"]
        return words

    @property
    def served(self) -> dict[int, str | None]:
        """Port -> SHA-256 of the certificate that the server's state selects for it."""
        found = {port: self.server.state.served(port) for port in WAYS}
        return {port: CertificateFacts.of(c.certificate).sha256 if c else None for port, c in found.items()}

    @property
    def internal_transport(self) -> str | None:
        """Thumbprint of the certificate that servers use among themselves."""
        return self.server.state.internal_transport

    @property
    def mutations(self) -> list[str]:
        """The cmdlets that changed something, in order."""
        return [call.cmdlet for call in self.organisation.mutations]


@contextmanager
def exchange(folder: Path, password: str = PASSWORD) -> Iterator[Exchange]:
    """A simulated Exchange; it takes care of its own certificates."""
    house = CertificateAuthority()
    ca_file = folder / "endpoint-ca.pem"
    ca_file.write_bytes(house.root_pem)
    endpoint = house.issue_directly(["127.0.0.1", SERVER_NAME])
    organisation = ExchangeOrganisation(
        [ServerSpec(name=SERVER, fqdn=SERVER_NAME, smtp_fqdn=NAMES[0])],
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.private_key_pem,
        username=USERNAME,
        password=password,
        shell_quota=100,  # a process that is killed leaves its shells open
    )
    with organisation:
        now = utc_now()
        old = house.issue_directly(
            NAMES, KeyType.RSA_2048, not_before=now - timedelta(days=69), not_after=now + timedelta(days=21)
        )
        server = organisation[SERVER]
        server.add_certificate(
            pkcs12_bytes(old.private_key, old.chain, "by hand", PfxCipher.LEGACY, "by hand"), "by hand"
        )
        yield Exchange(organisation, server, ca_file, CertificateFacts.of(old.chain[0]).sha256)


def attach(engine: Engine, managed_id: str, target: Exchange, password: str = PASSWORD, **params: Any) -> TaskSettings:
    """Give a managed certificate a task that deploys to `target`, where unattended work was released before."""
    with engine.store.write() as unit:
        for kind in ("doctor", "supervised"):
            unit.records.put(f"organisation:{ORGANISATION}", kind, {"passed": True}, engine.now())
        if CREDENTIAL not in {c.name for c in unit.credentials.list()}:
            unit.credentials.add("exchange", Credential(CREDENTIAL, USERNAME, password))
    given = {k: v for k, v in {**target.params, **params}.items() if v is not None}
    return add_task(engine, managed_id, TaskSettings(kind="exchange", title="exchange", params=given))
