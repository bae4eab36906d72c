"""The ports on which Exchange's services are looked at, and what was seen there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.errors import ConfigurationError
from certwright.exchange.model import Service
from certwright.probe import Endpoint, Observation, StartTls, Target, probe_all

SHOWN_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Way:
    """How a service is reached: `starttls` None is TLS from the first byte."""

    service: Service
    starttls: StartTls | None = None


WAYS = {
    "IIS": Way(Service.IIS),
    "SMTP": Way(Service.SMTP, "smtp"),
    "IMAP": Way(Service.IMAP, "imap"),
    "IMAPS": Way(Service.IMAP),
    "POP": Way(Service.POP, "pop3"),
    "POPS": Way(Service.POP),
}
_STANDARD = {"IIS": (443,), "SMTP": (25, 587), "IMAP": (143,), "IMAPS": (993,), "POP": (110,), "POPS": (995,)}


@dataclass(frozen=True, slots=True)
class Port:
    """One port to look at: which service of which server answers there. `way` is a key of `WAYS`."""

    server: str
    way: str
    endpoint: Endpoint

    @property
    def service(self) -> Service:
        """The service that answers."""
        return WAYS[self.way].service

    @property
    def key(self) -> tuple[str, str, int]:
        """What finds this port's row again."""
        return (self.server, self.endpoint.host, self.endpoint.port)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen on a port."""

    port: Port
    seen: Observation

    @property
    def leaf(self) -> CertificateFacts | None:
        """The certificate that is served, or None."""
        return self.seen.leaf


def standard(servers: Iterable[str]) -> tuple[Port, ...]:
    """The standard ports of each server."""
    return tuple(
        Port(server, way, Endpoint(server, number))
        for server in servers
        for way, numbers in _STANDARD.items()
        for number in numbers
    )


def chosen(words: Sequence[str] | None, servers: Sequence[str]) -> tuple[Port, ...]:
    """The ports that `words` name; None stands for the standard ones, ``off`` for none.

    Raises:
        ValueError: with what is wrong.
    """
    if words is None:
        return standard(servers)
    if [word.lower() for word in words] == ["off"]:
        return ()
    try:
        return tuple(parse(word, servers) for word in words)
    except (ConfigurationError, ValueError) as error:
        said = " ".join(error.explain()) if isinstance(error, ConfigurationError) else str(error)
        raise ValueError(f"verify: {said}") from error


def parse(text: str, servers: Sequence[str]) -> Port:
    """Read ``[SERVER/]SERVICE:HOST:PORT``; the server may be left out if there is one only, or if HOST names it.

    SERVICE is IIS, SMTP, IMAP or POP (with STARTTLS where the protocol has it), or IMAPS or POPS (TLS at once).

    Raises:
        ValueError: with what is wrong; ConfigurationError for the address.
    """
    named, slash, rest = text.strip().rpartition("/")
    way, _, address = rest.partition(":")
    if way.upper() not in WAYS or not address:
        raise ValueError(f"{text[:80]!r}: write SERVICE:HOST:PORT with one of the services {', '.join(WAYS)}")
    endpoint = Endpoint.parse(address)
    if slash:
        server = next((s for s in servers if s.lower() == named.lower()), None)
        if server is None:
            raise ValueError(f"{text[:80]!r}: {named!r} is none of the servers")
        return Port(server, way.upper(), endpoint)
    server = next((s for s in servers if s.lower() == endpoint.host.lower()), None)
    if server is None and len(servers) != 1:
        raise ValueError(f"{text[:80]!r}: say which server's port it is: SERVER/SERVICE:HOST:PORT")
    return Port(server or servers[0], way.upper(), endpoint)


def look(ports: Sequence[Port], name: str, timeout: float = 10) -> list[Sight]:
    """What each port serves to a client that asks for `name`."""
    targets = [Target(p.endpoint.host, p.endpoint.port, WAYS[p.way].starttls, server_name=name) for p in ports]
    return [Sight(port, seen) for port, seen in zip(ports, probe_all(targets, timeout=timeout), strict=True)]


def shown(facts: CertificateFacts | None) -> str | None:
    """A certificate as tables show it."""
    if facts is None:
        return None
    name = facts.common_name or next((n.value for n in facts.names), "no name")
    return f"{facts.sha256[:SHOWN_DIGITS]} {name}"


def row(sight: Sight, before: str | None, verdict: Verdict, now: datetime, detail: str = "") -> ServedRow:
    """The row of a port; `before` is as `shown` writes it."""
    port, leaf, seen = sight.port, sight.leaf, sight.seen
    expired = f"EXPIRED on {leaf.not_after:%Y-%m-%d}" if leaf and leaf.not_after <= now else ""
    starttls = "STARTTLS " if WAYS[port.way].starttls else ""
    return ServedRow(
        server=port.server,
        service=str(port.service),
        address=port.endpoint.host,
        port=port.endpoint.port,
        protocol=f"{starttls}{seen.protocol}" if seen.protocol else "",
        before=before,
        now=shown(leaf),
        names=tuple(name.value for name in leaf.names) if leaf else (),
        valid=leaf is not None and leaf.is_valid_at(now) and leaf.covers(seen.target.name),
        verdict=verdict,
        detail="; ".join(filter(None, (detail or (seen.failure.message if seen.failure else ""), expired))),
    )
