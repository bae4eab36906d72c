"""What a user wants of a deployment, and what that means for one server."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from certwright.domain.certificates import CertificateFacts
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.connectors import names_as_left
from certwright.exchange.deployment.waves import Order
from certwright.exchange.judgement.drift import Deployed, DeployedServer
from certwright.exchange.model import SUPPORTED, Certificate, Connector, ServerState, Service
from certwright.exchange.references import refers_to


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants.

    `services` None means those of the certificate that is replaced. `predecessors` are thumbprints of the earlier
    versions, newest first. `keep_internal` None follows the rule. `restarts` tells whether services can be restarted,
    `restart_transport` and `restart_web_site` whether these are to be. `connectors` are identities of connectors that
    are to name the certificate beside those that name a predecessor. `servers` are those to work on, in the spelling of
    their states; none stands for all. `last` is what the last verified deployment left behind.
    """

    facts: CertificateFacts
    has_key: bool = True
    intermediates: int = 1
    predecessors: tuple[str, ...] = ()
    services: Service | None = None
    do_not_require_ssl: bool = False
    keep_internal: bool | None = None
    friendly_name: str = ""
    restarts: bool = False
    restart_transport: bool = False
    restart_web_site: bool = False
    connectors: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    order: Order = field(default_factory=Order)
    last: Deployed | None = None

    def left(self, server: str) -> DeployedServer | None:
        """What the last verified deployment left on `server`; None if it did not work there."""
        return self.last.servers.get(server) if self.last else None

    def leads(self, connector: Connector, replaced: Iterable[Certificate]) -> bool:
        """Whether a connector is to name the version: it was chosen, or names what was left or what is `replaced`."""
        if any(changes.is_called(connector, name) for name in self.connectors):
            return True
        if self.last and names_as_left(connector, self.last.connectors):
            return True
        return any(refers_to(connector.tls_certificate_name, certificate) for certificate in replaced)


def names_server(facts: CertificateFacts, names: Iterable[str]) -> bool:
    """Whether a certificate is for one of these names of a server."""
    common = (facts.common_name or "").lower()
    return any(name and (facts.covers(name) or common == name.lower()) for name in names)


def requested_services(state: ServerState, wish: Wish) -> Service | None:
    """The services asked for, or all that the certificate is known for on this server; None: not known.

    It is known for what the last deployment left with it, and for what it has been given: once deployed, it may have no
    predecessor any more. It is known for what the newest predecessor that has any has, too; or for what all of them
    have, where no deployment was finished: those that were begun may have brought each a part. If nothing is known, IIS
    and SMTP.
    """
    if wish.services is not None:
        return wish.services & SUPPORTED
    held = state.certificate(wish.facts.thumbprint)
    was = wish.left(state.server)
    recorded = Service(was.services) if was else Service.NONE
    given = recorded | ((held.services or Service.NONE) & SUPPORTED if held else Service.NONE)
    earlier = [certificate.services for certificate in filter(None, map(state.certificate, wish.predecessors))]
    if None in earlier:
        return given if recorded else None
    assigned = [services for one in earlier if (services := (one or Service.NONE) & SUPPORTED)]
    if recorded:
        return reduce(or_, assigned[:1], given)
    return reduce(or_, assigned or (Service.IIS, Service.SMTP), given)


def mail_access_name(facts: CertificateFacts, fqdn: str) -> str | None:
    """A plain host name that the certificate covers: its common name, else the server's, else any."""
    alternatives = [name.value for name in facts.names if not name.is_wildcard]
    candidates = [facts.common_name or "", fqdn, *alternatives]
    return next((name for name in candidates if is_host_name(name) and facts.covers(name)), None)


def is_host_name(name: str | None) -> bool:
    """Whether POP and IMAP can look for a certificate by this name: a full name, no wildcard."""
    return bool(name) and "." in (name or "") and not (name or "").startswith("*")
