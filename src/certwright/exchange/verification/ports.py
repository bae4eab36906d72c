"""The ports on which Exchange's services are looked at, and what was seen there."""

import enum
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import PortKey, ServedRow, Verdict
from certwright.domain.errors import ConfigurationError
from certwright.domain.fingerprints import Fingerprints, short
from certwright.domain.web_address import is_address
from certwright.exchange.model import SUPPORTED, Service
from certwright.exchange.verification import web
from certwright.probe import Endpoint, Observation, StartTls, Target, probe
from certwright.probe.observation import ProbeError
from certwright.probe.wire import Deadline, resolve

SHOWN_DIGITS = 16
BALANCER, EDGE = "BALANCER", "EDGE"
_WORKERS = 24


class Duty(enum.Enum):
    """What a port owes: to serve the new version, to serve what it served before, or nothing, it is only shown."""

    NEW = enum.auto()
    SAME = enum.auto()
    NONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Way:
    """How a service is reached, and what is expected there.

    `label` is what tables call it. `starttls` None is TLS from the first byte. `sends_name` tells whether the client
    says which host it wants (SNI); `own` that the certificate is for the server's own name. `beyond` looks at what
    is beyond TLS instead of the certificate. `sparing`: looked at no more than necessary.
    """

    label: str
    service: Service
    starttls: StartTls | None = None
    duty: Duty = Duty.NEW
    sends_name: bool = True
    own: bool = False
    beyond: Callable[[Target], web.Answered] | None = None
    sparing: bool = False


WAYS = {
    "IIS": Way("IIS", Service.IIS),
    "IIS-NO-SNI": Way("IIS (no SNI)", Service.IIS, sends_name=False),
    "WEB": Way("web", Service.IIS, beyond=web.services),
    "SIGN-IN": Way("sign-in", Service.IIS, beyond=web.sign_in, sparing=True),
    "BACKEND": Way("IIS back end", Service.NONE, duty=Duty.SAME, own=True),
    "SMTP": Way("SMTP", Service.SMTP, "smtp"),
    "IMAP": Way("IMAP", Service.IMAP, "imap"),
    "IMAPS": Way("IMAP", Service.IMAP),
    "POP": Way("POP", Service.POP, "pop3"),
    "POPS": Way("POP", Service.POP),
    "TRANSPORT": Way("internal transport", Service.NONE, "smtp", Duty.NONE, own=True),
    "LDAPS": Way("Edge LDAPS", Service.NONE, duty=Duty.NONE, own=True),
}
_WEB = {"IIS": (443,), "IIS-NO-SNI": (443,), "WEB": (443,)}
_MAIL = {"SMTP": (25, 587), "IMAP": (143,), "IMAPS": (993,), "POP": (110,), "POPS": (995,)}
_INSIDE = {"SIGN-IN": (443,), "BACKEND": (444,), "TRANSPORT": (717, 2525, 465, 475)}
_PUBLIC = {**_WEB, **_MAIL}
_STANDARD = {**_PUBLIC, **_INSIDE}
_EDGE = {"LDAPS": (50636,), "TRANSPORT": (25,)}
SERVICES = tuple(dict.fromkeys(way.label for way in WAYS.values()))
"""What tables call the services, in the order in which they are shown."""
_KNOWN = {(WAYS[way].label, port) for known in (_STANDARD, _EDGE) for way, ports in known.items() for port in ports}


@dataclass(frozen=True, slots=True)
class Port:
    """One port to look at: which service of which server answers there. `way` is a key of `WAYS`.

    `name` is asked for; empty stands for the name that clients ask for. A `shared` port is that of a public name or of
    a load balancer: any server may answer there, and `server` is what the user calls it.
    """

    server: str
    way: str
    endpoint: Endpoint
    name: str = ""
    shared: bool = False

    @property
    def service(self) -> Service:
        """The service whose certificate is served; NONE if no assignment of ours may change it."""
        return WAYS[self.way].service

    @property
    def duty(self) -> Duty:
        """What the port owes."""
        return WAYS[self.way].duty

    @property
    def may_be_closed(self) -> bool:
        """Whether there is nothing to tell if it is closed."""
        return self.duty is Duty.NONE or (self.shared and self.service is not Service.IIS)

    @property
    def key(self) -> PortKey:
        """What finds this port's row again; see `ServedRow.key`."""
        return (self.server, WAYS[self.way].label, self.endpoint.host, self.endpoint.port)

    def target(self, name: str) -> Target:
        """What is connected to for clients that ask for `name`."""
        way, here = WAYS[self.way], self.endpoint
        asked = self.server if way.own else self.name or name
        if way.sends_name:
            return Target(here.host, here.port, way.starttls, server_name=asked)
        return Target(here.host, here.port, way.starttls, expected_name=asked)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen on a port: the certificate in `seen`, or what the web site `answered`.

    `source` is our own address there, empty if it is not known.
    """

    port: Port
    seen: Observation
    answered: web.Answered | None = None
    source: str = ""

    @property
    def leaf(self) -> CertificateFacts | None:
        """The certificate that is served, or None."""
        return self.seen.leaf

    @property
    def shown(self) -> str | None:
        """What is served, as rows name it; None if nothing answers."""
        return self.answered.shown if self.answered else shown(self.leaf)


def standard(servers: Iterable[str]) -> tuple[Port, ...]:
    """All ports of each server that tell something."""
    return tuple(Port(server, way, endpoint) for server in servers for way, endpoint in _each(server, _STANDARD))


def public(names: Iterable[str]) -> tuple[Port, ...]:
    """What clients reach by each public name, or by a load balancer's address."""
    return tuple(
        Port(name, way, endpoint, name="" if is_address(name) else name, shared=True)
        for name in names
        for way, endpoint in _each(name, _PUBLIC)
    )


def is_standard(service: str, port: int) -> bool:
    """Whether the service, as tables call it, usually answers on this port."""
    return (service, port) in _KNOWN


def edge(servers: Iterable[str]) -> tuple[Port, ...]:
    """What Edge servers serve, which nothing of ours changes: to be shown."""
    return tuple(Port(server, way, endpoint) for server in servers for way, endpoint in _each(server, _EDGE))


def _each(host: str, ways: Mapping[str, Sequence[int]]) -> Iterable[tuple[str, Endpoint]]:
    return ((way, Endpoint(host, number)) for way, numbers in ways.items() for number in numbers)


def chosen(words: Sequence[str] | None, servers: Sequence[str]) -> tuple[Port, ...]:
    """The ports that `words` name, these and no others; None stands for the standard ones, ``off`` for none.

    Raises:
        ValueError: with what is wrong.
    """
    if words is None:
        return standard(servers)
    with _named("verify"):
        return () if _is_off(words) else tuple(parse(word, servers) for word in words)


def chosen_public(words: Sequence[str]) -> tuple[Port, ...]:
    """What clients reach by the names and addresses that `words` are; ``off`` stands for none.

    Raises:
        ValueError: with what is wrong.
    """
    with _named("public_names"):
        return () if _is_off(words) else public(words)


def _is_off(words: Sequence[str]) -> bool:
    return [word.lower() for word in words] == ["off"]


@contextmanager
def _named(parameter: str) -> Iterator[None]:
    """What is wrong is said with the parameter's name."""
    try:
        yield
    except (ConfigurationError, ValueError) as error:
        said = " ".join(error.explain()) if isinstance(error, ConfigurationError) else str(error)
        raise ValueError(f"{parameter}: {said}") from error


def parse(text: str, servers: Sequence[str]) -> Port:
    """Read ``[SERVER/]SERVICE:HOST:PORT``; the server may be left out if there is one only, or if HOST names it.

    SERVICE is one of `WAYS`: IIS (443), IIS-NO-SNI (the same without a host name), WEB (its services), SIGN-IN,
    BACKEND (444); SMTP, IMAP or POP (with STARTTLS where the protocol has it), IMAPS or POPS (TLS at once); TRANSPORT
    (mail inside the organisation), LDAPS (an Edge server's). Instead of a server, BALANCER is a public name or load
    balancer, EDGE an Edge server; a server of that name comes first.

    Raises:
        ValueError: with what is wrong; ConfigurationError for the address.
    """
    named, slash, rest = text.strip().rpartition("/")
    way, _, address = rest.partition(":")
    way = way.upper()
    if way not in WAYS or not address:
        raise ValueError(f"{text[:80]!r}: write SERVICE:HOST:PORT with one of the services {', '.join(WAYS)}")
    endpoint = Endpoint.parse(address)
    if slash:
        server = next((s for s in servers if s.lower() == named.lower()), None)
        if server is None:
            return _stranger(text, named.upper(), way, endpoint)
        return Port(server, way, endpoint)
    server = next((s for s in servers if s.lower() == endpoint.host.lower()), None)
    if server is None and len(servers) != 1:
        raise ValueError(f"{text[:80]!r}: say which server's port it is: SERVER/SERVICE:HOST:PORT, or {BALANCER}/...")
    return Port(server or servers[0], way, endpoint)


def _stranger(text: str, kind: str, way: str, endpoint: Endpoint) -> Port:
    """A port that is none of the servers'."""
    host = endpoint.host
    if kind == BALANCER and way in _PUBLIC:
        return Port(host, way, endpoint, name="" if is_address(host) else host, shared=True)
    if kind == EDGE and way in _EDGE:
        return Port(host, way, endpoint)
    if kind in {BALANCER, EDGE}:
        known = _PUBLIC if kind == BALANCER else _EDGE
        raise ValueError(f"{text[:80]!r}: {kind} goes with {', '.join(known)}")
    raise ValueError(f"{text[:80]!r}: {kind.lower()!r} is none of the servers, nor {BALANCER} or {EDGE}")


def resolved(ports: Sequence[Port], timeout: float = 5) -> tuple[Port, ...]:
    """`ports` with one for each address of a name that has several; what cannot be resolved stays as it is."""
    hosts = list(dict.fromkeys(port.endpoint.host for port in ports))
    if not hosts:
        return ()
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="resolve") as pool:
        found = dict(zip(hosts, pool.map(lambda host: _addresses(host, timeout), hosts), strict=True))
    return tuple(
        replace(port, endpoint=Endpoint(address, port.endpoint.port))
        for port in ports
        for address in found[port.endpoint.host]
    )


def _addresses(host: str, timeout: float) -> Sequence[str]:
    """The addresses of `host` if it has several, else `host`."""
    if is_address(host):
        return [host]
    try:
        found = [e.host for e in resolve(Endpoint(host, 443), Deadline(timeout))]
    except ProbeError:
        return [host]
    return found if len(found) > 1 else [host]


def of(ports: Iterable[Port], servers: Iterable[str]) -> tuple[Port, ...]:
    """The ports of these servers alone."""
    chosen_servers = set(servers)
    return tuple(port for port in ports if port.server in chosen_servers and not port.shared)


def asked(ports: Iterable[Port], requested: Mapping[str, Service | None]) -> tuple[Port, ...]:
    """The ports whose services get the certificate: those asked for on their server; of a shared one, on any."""
    anywhere = reduce(or_, (services or SUPPORTED for services in requested.values()), Service.NONE) or SUPPORTED
    return tuple(
        port for port in ports if port.service in (anywhere if port.shared else requested.get(port.server) or SUPPORTED)
    )


def look(
    ports: Sequence[Port], name: str, timeout: float = 10, heard: Callable[[Sight], None] = lambda _: None
) -> list[Sight]:
    """What each port serves to a client that asks for `name`; `heard` is told of each as it is seen."""

    def see(port: Port) -> Sight:
        sight = _look(port, name, timeout)
        heard(sight)
        return sight

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="look") as pool:
        return list(pool.map(see, ports))


def _look(port: Port, name: str, timeout: float) -> Sight:
    target, beyond = port.target(name), WAYS[port.way].beyond
    if beyond is not None:
        return Sight(port, Observation(target), beyond(target))
    seen = probe(target, timeout=timeout)
    return Sight(port, seen, source=_source(seen.address) if seen.greeting and seen.address else "")


def _source(peer: Endpoint) -> str:
    """Our own address towards `peer`, by the table of routes: nothing is sent."""
    family = socket.AF_INET6 if ":" in peer.host else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as made:
        made.connect((peer.host, peer.port))
        return str(made.getsockname()[0])
    return ""


def shown(facts: CertificateFacts | None) -> str | None:
    """A certificate as rows name it."""
    return f"{facts.sha256[:SHOWN_DIGITS]} {_name(facts)}" if facts else None


def told(facts: CertificateFacts) -> str:
    """A certificate as people are told of it."""
    return f"{short(facts.thumbprint)} {_name(facts)}"


def _name(facts: CertificateFacts) -> str:
    return facts.common_name or next((n.value for n in facts.names), "no name")


def fingerprints(facts: CertificateFacts) -> Fingerprints:
    """Those of a certificate."""
    return Fingerprints(thumbprint=facts.thumbprint, sha256=facts.sha256)


def row(sight: Sight, before: str | None, verdict: Verdict, now: datetime, detail: str = "") -> ServedRow:
    """The row of a port; `before` is as `Sight.shown` writes it."""
    server, service, address, port = sight.port.key
    seen, leaf, answered = sight.seen, sight.leaf, sight.answered
    expired = f"EXPIRED on {leaf.not_after:%Y-%m-%d}" if leaf and leaf.not_after <= now else ""
    old = f"speaks nothing newer than {seen.protocol}, which clients refuse" if seen.is_deprecated else ""
    starttls = "STARTTLS " if WAYS[sight.port.way].starttls else ""
    protocol = f"{starttls}{seen.protocol}" if seen.protocol else ""
    certificate = fingerprints(leaf) if leaf and not answered else None
    valid = leaf is not None and leaf.is_valid_at(now) and leaf.covers(seen.target.name)
    return ServedRow(
        server=server,
        service=service,
        address=address,
        port=port,
        protocol=answered.protocol if answered else protocol,
        before=before,
        now=sight.shown,
        names=tuple(name.value for name in leaf.names) if leaf else (),
        valid=answered.shown == web.GOOD if answered else valid,
        verdict=verdict,
        detail="; ".join(filter(None, (detail or (seen.failure.message if seen.failure else ""), expired, old))),
        certificate_before=certificate if before == sight.shown else None,
        certificate_now=certificate,
    )
