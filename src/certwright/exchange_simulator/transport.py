"""Which certificates transport presents: chosen when its configuration is loaded, and kept until it is loaded again."""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from certwright.exchange_simulator.certificates import Services, StoredCertificate, best_for, utc_now
from certwright.exchange_simulator.configuration import (
    FRONT_END_TRANSPORT,
    HUB_TRANSPORT,
    ReceiveConnector,
    SendConnector,
)

CERTIFICATE_NOT_FOUND = (
    "454 4.7.5 The certificate specified in TlsCertificateName of the SendConnector could not be found."
)
CERTIFICATE_UNUSABLE = (
    '451 4.4.0 Primary target IP address responded with: "421 4.4.1 Connection timed out." Attempted failover to '
    "alternate host, but that did not succeed. Either there are no alternate hosts, or delivery failed to all "
    "alternate hosts."
)
_SOON = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the application event log."""

    id: int
    provider: str
    message: str
    time: dt.datetime


@dataclass(frozen=True, slots=True)
class Selection:
    """What the two transport services have loaded.

    Attributes:
        front_end: By receive connector, the certificate of its STARTTLS; None offers no STARTTLS.
        hub: The same for the connectors of the transport service.
        outbound: By send connector, the error that its queue shows; empty if it delivers.
        events: What loading has written to the event log.
    """

    front_end: Mapping[str, StoredCertificate | None]
    hub: Mapping[str, StoredCertificate | None]
    outbound: Mapping[str, str]
    events: tuple[Event, ...] = ()

    def inbound(self, connector: str) -> StoredCertificate | None:
        """The certificate of a receive connector of either service."""
        return self.front_end.get(connector) or self.hub.get(connector)

    def reloaded(self, service: str, new: "Selection") -> "Selection":
        """This, with what `service` owns taken from `new`."""
        events = tuple(e for e in new.events if e.provider == service)
        if service == FRONT_END_TRANSPORT:
            return replace(self, front_end=new.front_end, events=events)
        return replace(self, hub=new.hub, outbound=new.outbound, events=events)


@dataclass(slots=True)
class Transport:
    """When a selection comes into force.

    Not safe for threads: the server's state calls it with its lock held.

    Attributes:
        select: Makes a selection of how things are now.
        delay: Seconds until a change is loaded.
        stale_until_restart: Whether changes are loaded only when the service restarts.
        events: The event log, oldest first.
    """

    select: Callable[[], Selection]
    delay: float
    stale_until_restart: bool = False
    events: list[Event] = field(default_factory=list)
    _loaded: Selection = field(init=False)
    _pending: list[tuple[float, Selection]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loaded = self.select()

    def changed(self) -> None:
        """Something that it selects from has changed."""
        if not self.stale_until_restart:
            self._pending.append((time.monotonic() + self.delay, self.select()))

    def restarted(self, service: str) -> None:
        """`service` has loaded everything anew."""
        new = self.select()
        self._pending = [(due, pending.reloaded(service, new)) for due, pending in self._pending]
        self._load(self._loaded.reloaded(service, new))

    def loaded(self) -> Selection:
        """What is in force."""
        now = time.monotonic()
        while self._pending and self._pending[0][0] <= now:
            self._load(self._pending.pop(0)[1])
        return self._loaded

    def _load(self, selection: Selection) -> None:
        self._loaded = selection
        self.events.extend(selection.events)


def select(
    certificates: Sequence[StoredCertificate],
    internal: StoredCertificate | None,
    receive: Iterable[ReceiveConnector],
    send: Iterable[SendConnector],
) -> Selection:
    """The certificate of each connector.

    Args:
        certificates: The server's store.
        internal: The internal transport certificate.
        receive: The server's receive connectors.
        send: The send connectors that it is a source of.
    """
    now = utc_now()
    halves: dict[bool, dict[str, StoredCertificate | None]] = {True: {}, False: {}}
    events: list[Event] = []
    for connector in receive:
        found = _own(connector, certificates, now)
        halves[connector.front_end][connector.name] = found or _substitute(connector, internal)
        events += _inbound_events(connector, found, now)
    outbound = {connector.name: _outbound(connector, certificates, now) for connector in send}
    events += [_not_found(c.name, c.tls_certificate_name or "", HUB_TRANSPORT, now) for c in send if outbound[c.name]]
    events += _internal_events(internal, now)
    return Selection(halves[True], halves[False], outbound, tuple(events))


def _offers_tls(connector: ReceiveConnector) -> bool:
    return "tls" in {word.strip().lower() for word in connector.auth_mechanism.split(",")}


def _own(
    connector: ReceiveConnector, certificates: Iterable[StoredCertificate], now: dt.datetime
) -> StoredCertificate | None:
    """TlsCertificateName names it; without one, the Fqdn selects it."""
    if not _offers_tls(connector):
        return None
    enabled = [c for c in certificates if Services.SMTP in c.services and _readable(c)]
    if connector.tls_certificate_name is None:
        return best_for(connector.fqdn, enabled, now)
    named = [c for c in enabled if c.tls_certificate_name == connector.tls_certificate_name]
    return max(named, key=lambda c: c.certificate.not_valid_after_utc, default=None)


def _substitute(connector: ReceiveConnector, internal: StoredCertificate | None) -> StoredCertificate | None:
    # Event 12014 says that a TlsCertificateName without a certificate leaves the connector without STARTTLS.
    return internal if connector.tls_certificate_name is None and _offers_tls(connector) else None


def _outbound(connector: SendConnector, certificates: Iterable[StoredCertificate], now: dt.datetime) -> str:
    """The error of its queue: only a connector that names its certificate depends on one."""
    if connector.tls_certificate_name is None:
        return ""
    named = [c for c in certificates if c.tls_certificate_name == connector.tls_certificate_name]
    enabled = [c for c in named if Services.SMTP in c.services]
    if not enabled:
        return CERTIFICATE_NOT_FOUND
    best = max(enabled, key=lambda c: c.certificate.not_valid_after_utc)
    return "" if _readable(best) and best.valid_at(now) else CERTIFICATE_UNUSABLE


def _readable(stored: StoredCertificate) -> bool:
    return stored.key is not None and stored.readable_by_network_service


def _inbound_events(connector: ReceiveConnector, found: StoredCertificate | None, now: dt.datetime) -> Iterable[Event]:
    service = FRONT_END_TRANSPORT if connector.front_end else HUB_TRANSPORT
    if not _offers_tls(connector):
        return
    if found is None:
        yield _not_found(connector.name, connector.tls_certificate_name or connector.fqdn, service, now)
    elif not found.valid_at(now):
        yield Event(
            12016,
            service,
            "There is no valid SMTP Transport Layer Security (TLS) certificate for the FQDN of "
            f"{connector.fqdn}. The existing certificate for that FQDN has expired.",
            now,
        )
    elif found.certificate.not_valid_after_utc - now < _SOON:
        yield Event(
            12018,
            service,
            f"The STARTTLS certificate will expire soon: subject: {found.common_name}, hours remaining: "
            f"{_hours(found, now)}. Run the New-ExchangeCertificate cmdlet to create a new certificate.",
            now,
        )


def _internal_events(internal: StoredCertificate | None, now: dt.datetime) -> Iterable[Event]:
    if internal is None:
        return
    if not internal.valid_at(now):
        message = f"An internal transport certificate expired. Thumbprint:{internal.thumbprint}"
        yield Event(12015, HUB_TRANSPORT, message, now)
    elif internal.certificate.not_valid_after_utc - now < _SOON:
        message = (
            f"An internal transport certificate will expire soon. Thumbprint:{internal.thumbprint}, hours remaining: "
            f"{_hours(internal, now)}"
        )
        yield Event(12017, HUB_TRANSPORT, message, now)


def _not_found(connector: str, wanted: str, service: str, now: dt.datetime) -> Event:
    return Event(
        12014,
        service,
        f"Microsoft Exchange could not find a certificate that contains the domain name {wanted} in the personal store "
        "on the local computer. Therefore, it is unable to support the STARTTLS SMTP verb for the connector "
        f"{connector} with a FQDN parameter of {wanted}. If the connector's FQDN is not specified, the computer's FQDN "
        "is used. Verify the connector configuration and the installed certificates to make sure that there is a "
        "certificate with a domain name for that FQDN. If this certificate exists, run Enable-ExchangeCertificate "
        "-Services SMTP to make sure that the Microsoft Exchange Transport service has access to the certificate key.",
        now,
    )


def _hours(stored: StoredCertificate, now: dt.datetime) -> int:
    return int((stored.certificate.not_valid_after_utc - now).total_seconds() // 3600)
