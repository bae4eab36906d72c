"""The pages of an engine that has deployed, or is to deploy, a certificate to two simulated Exchange servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.x509 import ObjectIdentifier

from certwright.domain.certificates import pem
from certwright.domain.keys import private_key_pem
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.engine.deploy import deploy
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.reach import reach
from certwright.engine.task_list import add_task
from certwright.sdk.context import Credential, Material
from peers.exchange_task import NAMES, PASSWORD, USERNAME, World, pfx, spec, world
from world.hurry import hurried
from world.web import House


@dataclass(frozen=True)
class Mail:
    """Two servers that serve an earlier version, and the certificate that a newer one was issued for."""

    house: House
    exchange: World
    managed_id: str
    version: Material

    @property
    def at(self) -> str:
        return f"/certificates/{self.managed_id}/exchange"

    def renewed(self) -> str:
        """Deploy the version that there is, and then another one: its thumbprint."""
        deploy(self.house.engine, self.managed_id, attended=True)
        newer = self.issued()
        deploy(self.house.engine, self.managed_id, attended=True)
        return newer.facts.thumbprint

    def issued(self, *uses: ObjectIdentifier) -> Material:
        """A version that is not deployed yet, for these extended key usages alone, if there are any."""
        newer = self.exchange.authority.issue(uses=uses)
        with self.house.engine.store.write() as unit:
            assert newer.key
            unit.versions.add(_stored(unit.managed.get(self.managed_id), newer), private_key_pem(newer.key))
        return newer

    def served(self) -> list[str | None]:
        """What the web sites serve, server by server."""
        return [self.exchange.served(server)[443] for server in self.exchange.organisation.servers.values()]


@contextmanager
def mailing(house: House, folder: Path) -> Iterator[Mail]:
    """Two servers of an organisation that was read once."""
    house.clock.now = datetime.now(UTC)
    with world(folder, spec("MAIL01"), spec("MAIL02")) as made, hurried():
        earlier, version = made.authority.issue(), made.authority.issue()
        for server in made.organisation.servers.values():
            server.add_certificate(pfx(earlier), "pfx")
        managed = house.managed(*NAMES, title="Contoso mail")
        with house.engine.store.write() as unit:
            unit.credentials.add("exchange", Credential("exchange", USERNAME, PASSWORD))
            assert version.key
            unit.versions.add(_stored(managed, version), private_key_pem(version.key))
        task = TaskSettings(kind="exchange", title="exchange", params=made.params(**_web_alone(made)))
        add_task(house.engine, managed.id, task)
        discover(house.engine, reach(house.engine, made.params(services=None, verify=None, winrm=None)))
        yield Mail(house, made, managed.id, version)


def _web_alone(made: World) -> dict[str, Any]:
    return {"services": "IIS", "winrm": None, "verify": [w for w in made.params()["verify"] if "/IIS:" in w]}


def _stored(managed: ManagedCertificate, material: Material) -> CertificateVersion:
    return CertificateVersion(
        managed_id=managed.id,
        issuer="le",
        chain_pem=pem(material.chain).decode(),
        fingerprint=managed.fingerprint,
        issued_at=datetime.now(UTC),
    )
