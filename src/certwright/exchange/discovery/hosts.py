"""One server as its own PowerShell shows it, if an address for that was given, and the other ACME clients there."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from certwright.domain.errors import DeploymentError, Unreachable
from certwright.exchange.access import windows
from certwright.exchange.access.host import Host
from certwright.exchange.access.reading import Reading
from certwright.exchange.discovery import rivals
from certwright.exchange.model import Certificate, HostFacts, Rival, Service, Unknown


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen. `facts` is None if the host cannot be asked; rivals are then told by their certificates."""

    facts: HostFacts | None
    rivals: tuple[Rival, ...]
    unknown: tuple[Unknown, ...] = ()


def look(host: Host | None, server: str, certificates: Sequence[Certificate], deployed: Collection[str] = ()) -> Looked:
    """Ask the host of `server`, in whose store `certificates` are; never fails.

    `deployed` are thumbprints of certificates that are to be used, even if no service uses them yet.
    """
    by_certificates = tuple(rivals.by_certificates(server, certificates, datetime.now(UTC)))
    if host is None:
        return Looked(None, by_certificates)
    reading = Reading(host.read, server)
    try:
        facts = HostFacts(
            bindings=windows.bindings(reading),
            keys=tuple(filter(None, (windows.key_storage(reading, t) for t in _keyed(certificates, deployed)))),
            updating=windows.updating(reading),
        )
        tasks = windows.scheduled_tasks(reading)
        services = windows.services(reading, rivals.SERVICES)
    except (Unreachable, DeploymentError) as failure:
        why = Unknown(server, "what the host's own PowerShell tells", failure.message)
        return Looked(None, by_certificates, (why,))
    known = tuple(rivals.at_work(server, tasks, services))
    blind = tasks is None or services is None
    return Looked(facts, (*known, *(by_certificates if blind and not known else ())), reading.unknown)


def _keyed(certificates: Sequence[Certificate], deployed: Collection[str]) -> Iterator[str]:
    """Thumbprints of those whose key services use, as far as Exchange tells, or are to use."""
    for certificate in certificates:
        is_used = certificate.services != Service.NONE or certificate.thumbprint in deployed
        if is_used and certificate.has_private_key is not False:
            yield certificate.thumbprint
