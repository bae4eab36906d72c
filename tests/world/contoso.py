"""A simulated organisation as companies have them: three servers in a group, hybrid connectors, one Edge server."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from certwright.acme_server import AcmeServerConfig
from certwright.acme_server.ca import CertificateAuthority
from certwright.acme_server.config import CaConfig, KeyType
from certwright.domain.certificates import CertificateFacts
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.exchange_simulator import ExchangeOrganisation, ExchangeServer, SendConnector, ServerSpec
from certwright.exchange_simulator.configuration import HybridConfiguration, Role
from certwright.wiring import utc_now
from world.site import Authority, authority

PUBLIC = "mail.contoso.test"
AUTODISCOVER = "autodiscover.contoso.test"
USERNAME = "svc-certwright@contoso.test"
PASSWORD = "correct horse battery staple"
WAYS = {443: "IIS", 25: "SMTP", 587: "SMTP", 143: "IMAP", 993: "IMAPS", 110: "POP", 995: "POPS"}
OUTBOUND = "Outbound to Office 365"
FRONT_END = "Default Frontend"
SERVERS = ("EX01", "EX02", "EX03")


@dataclass(frozen=True, slots=True)
class Contoso:
    """The organisation, which begins with a certificate that its authority issued by hand and that ends soon."""

    organisation: ExchangeOrganisation
    ca: Authority
    ca_file: Path
    first: CertificateFacts
    names: tuple[str, ...] = SERVERS

    @property
    def servers(self) -> tuple[ExchangeServer, ...]:
        """Those that can be reached."""
        return tuple(self.organisation[name] for name in self.names)

    @property
    def reach(self) -> dict[str, Any]:
        """How it is reached, as parameters; the servers go by their full names."""
        return {
            "servers": [server.spec.fqdn for server in self.servers],
            "endpoint": {server.spec.fqdn: server.powershell_url for server in self.servers},
            "winrm": {server.spec.fqdn: server.winrm_url for server in self.servers},
            "auth": "basic",
            "credential": "exchange",
            "ca_file": str(self.ca_file),
        }

    @property
    def reach_options(self) -> list[str]:
        """The same for the command line."""
        words = ["--auth", "basic", "--credential", "exchange", "--ca-file", str(self.ca_file)]
        for server in self.servers:
            words += ["--server", server.spec.fqdn]
            words += ["--endpoint", f"{server.spec.fqdn}={server.powershell_url}"]
            words += ["--winrm", f"{server.spec.fqdn}={server.winrm_url}"]
        return words

    @property
    def ports(self) -> dict[tuple[str, int], tuple[str, int]]:
        """(server, standard port) -> address."""
        return {(server.spec.name, port): server.ports[port] for server in self.servers for port in WAYS}

    @property
    def verify(self) -> list[str]:
        """The ports as the parameter `verify` writes them."""
        return [
            f"{server.spec.fqdn}/{way}:{server.ports[port][0]}:{server.ports[port][1]}"
            for server in self.servers
            for port, way in WAYS.items()
        ]

    @property
    def connectors(self) -> dict[str, str | None]:
        """Every connector that names a certificate in the beginning, and the hybrid configuration: its value now."""
        state = self.organisation.state
        found = {c.name: c.tls_certificate_name for c in state.send_connectors}
        for server in self.servers:
            for connector in server.state.receive_connectors:
                if connector.name.startswith(FRONT_END):
                    found[connector.name] = connector.tls_certificate_name
        assert state.hybrid is not None
        return {**found, "HybridConfiguration": state.hybrid.tls_certificate_name}

    def served(self) -> dict[tuple[str, int], str | None]:
        """(server, standard port) -> SHA-256 of what the server's state selects."""
        found = {(s.spec.name, port): s.state.served(port) for s in self.servers for port in WAYS}
        return {place: CertificateFacts.of(c.certificate).sha256 if c else None for place, c in found.items()}

    @property
    def mutations(self) -> list[str]:
        """The cmdlets that changed something, in order."""
        return [call.cmdlet for call in self.organisation.mutations]


@contextmanager
def contoso(folder: Path, names: Sequence[str] = SERVERS, **changed: Any) -> Iterator[Contoso]:
    """The organisation and its authority; `changed` is what is different on every server (see `ServerSpec`)."""
    folder.mkdir(exist_ok=True)
    house = CertificateAuthority()
    ca_file = folder / "endpoint-ca.pem"
    ca_file.write_bytes(house.root_pem)
    endpoint = house.issue_directly(["127.0.0.1", "localhost"])
    specs = [
        ServerSpec(name=name, fqdn=f"{name.lower()}.contoso.test", smtp_fqdn=PUBLIC, public_host=PUBLIC, dag="DAG01")
        for name in names
    ]
    edge = ServerSpec(name="EDGE01", fqdn="edge01.contoso.test", role=Role.EDGE)
    with ExitStack() as stack:
        # Two issuers take turns, as those of public authorities do: the connectors' names change at each renewal.
        config = AcmeServerConfig(ca=CaConfig(intermediate_keys=(KeyType.RSA_2048, KeyType.RSA_2048)))
        ca = stack.enter_context(authority(config))
        organisation = stack.enter_context(
            ExchangeOrganisation(
                [*(replace(spec, **changed) for spec in specs), edge],
                tls_chain=endpoint.chain_pem,
                tls_key=endpoint.private_key_pem,
                username=USERNAME,
                password=PASSWORD,
                shell_quota=100,
            )
        )
        yield Contoso(organisation, ca, ca_file, _by_hand(organisation, ca, names), tuple(names))


def _by_hand(organisation: ExchangeOrganisation, ca: Authority, names: Sequence[str]) -> CertificateFacts:
    """What an administrator did long ago: one certificate everywhere, and connectors that name it."""
    now = utc_now()
    made = ca.server.ca.issue_directly(
        [PUBLIC, AUTODISCOVER],
        KeyType.RSA_2048,
        not_before=now - timedelta(days=69),
        not_after=now + timedelta(days=21),
    )
    pfx = pkcs12_bytes(made.private_key, made.chain, "by hand", PfxCipher.LEGACY, "by hand")
    stored = [organisation[name].add_certificate(pfx, "by hand") for name in names]
    named = stored[0].tls_certificate_name
    for name in names:
        for connector in organisation[name].state.receive_connectors:
            if connector.name.startswith(FRONT_END):
                connector.tls_certificate_name = named
    organisation.state.send_connectors.append(
        SendConnector(
            OUTBOUND,
            source_servers=tuple(names),
            fqdn=PUBLIC,
            smart_hosts=("contoso-test.mail.protection.outlook.com",),
            tls_certificate_name=named,
            address_spaces=("SMTP:contoso-test.mail.onmicrosoft.com;1",),
            require_tls=True,
            tls_auth_level="DomainValidation",
            tls_domain="mail.protection.outlook.com",
            cloud_services_mail=True,
        )
    )
    organisation.state.hybrid = HybridConfiguration(
        tls_certificate_name=named,
        domains=("contoso.test",),
        sending_transport_servers=tuple(names),
        receiving_transport_servers=tuple(names),
    )
    return CertificateFacts.of(made.chain[0])
