"""Connectors follow: those that name an earlier version, or were chosen, are to name the new one; no others.

Exchange writes issuer and subject in its own way, and the issuer may differ with every issue: a value is copied from
what Exchange tells of the certificate, never built.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Finding, Severity
from certwright.exchange.deployment import changes
from certwright.exchange.fitness import unusable
from certwright.exchange.model import Certificate, Connector, Service, quoted
from certwright.exchange.references import certificates_of, referred_to
from certwright.exchange.snapshot import Hybrid, Snapshot
from certwright.exchange.steps import adding, steps

HYBRID = "HybridConfiguration"
ORGANISATION = "organisation"
LED_AWAY = "connector-led-away"
LEFT_OUT = "connector-left-out"


@dataclass(frozen=True, slots=True)
class Followers:
    """Changes of receive connectors by server, and of what belongs to the organisation, the hybrid one last."""

    receive: Mapping[str, tuple[Change, ...]]
    organisation: tuple[Change, ...]
    findings: tuple[Finding, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them."""
        return (*(change for found in self.receive.values() for change in found), *self.organisation)


def of_hybrid(hybrid: Hybrid | None) -> tuple[Connector, ...]:
    """The hybrid configuration in the form of a connector; empty if there is none."""
    if hybrid is None:
        return ()
    name, servers = hybrid.tls_certificate_name, (*hybrid.sending_servers, *hybrid.receiving_servers)
    return (Connector(HYBRID, "hybrid", tls_certificate_name=name, identity=HYBRID, source_servers=servers),)


def all_of(snapshot: Snapshot) -> tuple[Connector, ...]:
    """Everything that can name a certificate."""
    return (*snapshot.connectors, *of_hybrid(snapshot.hybrid))


def follow(
    snapshot: Snapshot,
    facts: CertificateFacts,
    now: datetime,
    predecessors: Sequence[Certificate],
    chosen: Sequence[str],
    servers: Sequence[str],
    silent: Collection[str] = (),
    followed: Mapping[str, str] | None = None,
) -> Followers:
    """What connectors have to be told so that they name the certificate of `facts`.

    Args:
        snapshot: the organisation.
        facts: the certificate that is put to use.
        now: when.
        predecessors: what it replaces, as the servers store them.
        chosen: identities of connectors that are to name it whatever they name now.
        servers: those that have the certificate when connectors change.
        silent: those of them on which it is not assigned to SMTP, so that no connector there could use it.
        followed: what connectors named after the last deployment, by their identity: a version of the certificate.
    """
    follower = _Follower(snapshot, facts, now, predecessors, servers, silent, followed or {})
    connectors = all_of(snapshot)
    strangers = [name for name in chosen if not any(changes.is_called(c, name) for c in connectors)]
    findings = [_stranger(name) for name in strangers]
    receive: dict[str, list[Change]] = {}
    organisation: list[Change] = []
    for connector in connectors:
        is_chosen = any(changes.is_called(connector, name) for name in chosen)
        made, found = follower.judge(connector, is_chosen=is_chosen)
        findings += found
        if made is not None:
            (receive.setdefault(made.target, []) if connector.kind == "receive" else organisation).append(made)
    return Followers({s: tuple(c) for s, c in receive.items()}, tuple(organisation), tuple(findings))


class _Follower:
    """Judges one connector after the other."""

    def __init__(
        self,
        snapshot: Snapshot,
        facts: CertificateFacts,
        now: datetime,
        predecessors: Sequence[Certificate],
        servers: Sequence[str],
        silent: Collection[str],
        followed: Mapping[str, str],
    ) -> None:
        self._snapshot = snapshot
        self._facts = facts
        self._thumbprint = thumbprint = facts.thumbprint
        self._now = now
        self._predecessors = predecessors
        self._servers = servers
        self._silent = silent
        self._followed = followed
        held = [c for c in certificates_of(snapshot) if c.thumbprint == thumbprint]
        self._written = next(filter(None, (c.tls_certificate_name for c in held)), None)
        told = any(c.tls_certificate_name for c in certificates_of(snapshot))
        self._can_be_known = self._written is not None or (told and not held)
        self._others = [c for c in certificates_of(snapshot) if c.thumbprint != thumbprint and c not in predecessors]

    def judge(self, connector: Connector, *, is_chosen: bool) -> tuple[Change | None, list[Finding]]:
        """What one connector has to be told, and what a person should know of it."""
        value = connector.tls_certificate_name
        old = referred_to(value, self._predecessors)
        if self._written and (value or "").lower() == self._written.lower():
            return None, [_same_name(connector, value)] if old else []
        if self._written is None and any(map(self._has_same_name, old)):
            return None, [_same_name(connector, value)]
        if not old and not is_chosen and not names_as_left(connector, self._followed):
            return None, list(self._goes_on(connector))
        if silent := self._without_smtp(connector):
            return None, [_needs_smtp(connector, silent, is_chosen=is_chosen)]
        if obstacle := self._obstacle(connector):
            return None, [obstacle]
        why = _why(old, is_chosen=is_chosen)
        return self._with_way_back(self._change(connector, why), connector), list(self._by_hand(connector))

    def _with_way_back(self, made: Change, connector: Connector) -> Change:
        """A change, with what has the connector name again what it names now, or why nothing may."""
        value = connector.tls_certificate_name
        states = [s for s in self._snapshot.servers if connector.kind != "receive" or s.server == connector.server]
        held = [(state.server, found) for state in states for found in referred_to(value, state.certificates)]
        usable = tuple((server, c.thumbprint) for server, c in held if not unusable(c, self._now))
        if held and not usable:
            obstacle = f"the certificate that it named before {unusable(held[0][1], self._now)}"
            return made.model_copy(update={"stays": obstacle})
        before = changes.name_certificate(connector, value, "", target=ORGANISATION).typed
        return made.model_copy(update={"inverse": before, "restored": usable})

    def _change(self, connector: Connector, why: str) -> Change:
        if self._written is not None:
            return changes.name_certificate(connector, self._written, why, target=ORGANISATION)
        return changes.name_imported(connector, self._thumbprint, self._servers[0], why, target=ORGANISATION)

    def _obstacle(self, connector: Connector) -> Finding | None:
        if connector.kind == "receive" and connector.server not in self._servers:
            return self._waits(connector, (connector.server,))
        if not self._servers:
            return self._waits(connector, [state.server for state in self._snapshot.servers])
        if not self._can_be_known:
            return _unspelled(connector, self._thumbprint, self._servers[0])
        states = {name: self._snapshot.state(name) for name in _sources(connector) if not self._is_edge(name)}
        lacking = [n for n, s in states.items() if s and s.server not in self._servers and not self._holds(n)]
        strangers = [name for name, state in states.items() if state is None]
        if strangers:
            return _source_unknown(connector, strangers)
        return self._waits(connector, lacking) if lacking else None

    def _without_smtp(self, connector: Connector) -> list[str]:
        """Servers of the connector that would find no certificate by that name: they take only one that SMTP has."""
        if connector.kind == "receive":
            return [connector.server] if connector.server in self._silent else []
        sources = {state.server for name in _sources(connector) if (state := self._snapshot.state(name))}
        return [server for server in self._silent if not sources or server in sources]

    def _is_edge(self, name: str) -> bool:
        return any(name.lower() in {edge.name.lower(), edge.fqdn.lower()} for edge in self._snapshot.edges)

    def _by_hand(self, connector: Connector) -> Iterator[Finding]:
        """An Edge server gets its certificate from a person, best before the connector names it."""
        if edges := [name for name in _sources(connector) if self._is_edge(name)]:
            yield _finding(
                "connector-edge",
                Severity.WARN,
                connector,
                f"{title(connector)} sends through the Edge server {', '.join(edges)} too, which a person has to give "
                "the certificate: until then mail waits there (454 4.7.5).",
                "Import it there first, as the check edge tells; or take the Edge server out of the connector.",
            )

    def _has_same_name(self, certificate: Certificate) -> bool:
        """Whether Exchange will write the same for the new certificate, which it has not stored yet."""
        own = certificate.facts
        return own is not None and (own.issuer, own.subject) == (self._facts.issuer, self._facts.subject)

    def _holds(self, name: str) -> bool:
        """Whether a server that is not worked on now has the certificate, and has it for SMTP as far as is told."""
        state = self._snapshot.state(name)
        held = state.certificate(self._thumbprint) if state else None
        return held is not None and (held.services is None or Service.SMTP in held.services)

    def _waits(self, connector: Connector, names: Sequence[str]) -> Finding:
        """It follows later: at once when servers are back that were away, or when a person includes others."""
        away = [name for name in names if (state := self._snapshot.state(name)) and state.away]
        quoted_names = ", ".join(map(quoted, names))
        return _finding(
            "connector-waits" if away else LEFT_OUT,
            Severity.WARN,
            connector,
            f"{title(connector)} goes on naming the earlier certificate until {', '.join(names)} has the new one.",
            f"It follows with the first run in which {quoted_names} can be worked on."
            if away
            else f"It follows with a run that works on {quoted_names} too.",
        )

    def _goes_on(self, connector: Connector) -> Iterator[Finding]:
        """A connector that names none of ours stays so: somebody may have wanted it."""
        found = next(iter(self._named(connector)), None)
        until = f" until {found.facts.not_after:%Y-%m-%d}" if found and found.facts else ""
        if (connector.identity or connector.name) in self._followed and self._servers:
            value = connector.tls_certificate_name or "no certificate"
            names = f"another one ({found.thumbprint})" if found else value
            yield _finding(
                LED_AWAY,
                Severity.WARN,
                connector,
                f"{title(connector)} named the certificate after the last deployment, and somebody has let it name "
                f"{names} since: it stays so{until}.",
                steps(
                    "If that is not meant, give the first command in the Exchange Management Shell; or let the "
                    "connector follow from now on, with the other one, where Certwright runs:",
                    self._change(connector, "").typed,
                    adding("connectors", [connector.identity or connector.name]),
                ),
            )
        elif found:
            yield Finding(
                check="connector-other-certificate",
                severity=Severity.NOTE,
                subject=connector.identity or connector.name,
                message=f"{title(connector)} names another certificate ({found.thumbprint}) and goes on using it"
                f"{until}.",
            )

    def _named(self, connector: Connector) -> tuple[Certificate, ...]:
        """Certificates of others that it names and that some server holds."""
        return referred_to(connector.tls_certificate_name, self._others)


def names_as_left(connector: Connector, followed: Mapping[str, str]) -> bool:
    """Whether it names what it named after the last deployment, though no server may hold that any more."""
    left = followed.get(connector.identity or connector.name)
    return left is not None and (connector.tls_certificate_name or "").lower() == left.lower()


def _why(old: Sequence[Certificate], *, is_chosen: bool) -> str:
    if old:
        return f"it names the certificate that is replaced ({old[0].thumbprint})"
    return "it was chosen" if is_chosen else "it names the certificate that was deployed last"


def _sources(connector: Connector) -> tuple[str, ...]:
    """The names of a connector's source servers, without the path that the directory puts before them."""
    return tuple(server.rpartition("/")[2] for server in connector.source_servers)


def title(connector: Connector) -> str:
    """A connector in words, at the beginning of a sentence."""
    if connector.kind == "hybrid":
        return "The hybrid configuration"
    place = f" on {connector.server}" if connector.server else ""
    return f"The {connector.kind} connector {connector.name!r}{place}"


def _finding(check: str, severity: Severity, connector: Connector, message: str, remedy: str) -> Finding:
    subject = connector.identity or connector.name
    return Finding(check=check, severity=severity, subject=subject, message=message, remedy=remedy)


def _stranger(name: str) -> Finding:
    return Finding(
        check="connector-unknown",
        severity=Severity.STOP,
        subject=name,
        message=f"There is no connector {name!r} that this account can see.",
        remedy="Name it as Get-SendConnector or Get-ReceiveConnector show its Identity, in the parameter connectors.",
    )


def _same_name(connector: Connector, value: str | None) -> Finding:
    return _finding(
        "connector-same-name",
        Severity.NOTE,
        connector,
        f"{title(connector)} names its certificate by issuer and subject, which the earlier and the new one share "
        f"({value}): nothing has to be set.",
        "Exchange then uses the one that is valid longer; the earlier one cannot be removed while the connector names "
        "it.",
    )


def _needs_smtp(connector: Connector, servers: Sequence[str], *, is_chosen: bool) -> Finding:
    return _finding(
        "connector-without-smtp",
        Severity.STOP if is_chosen else Severity.WARN,
        connector,
        f"{title(connector)} {'cannot name' if is_chosen else 'goes on naming the earlier certificate, not'} the new "
        f"one, which is not to be assigned to SMTP on {', '.join(servers)}: mail would stop there (454 4.7.5).",
        "Add SMTP to the parameter services.",
    )


def _unspelled(connector: Connector, thumbprint: str, server: str) -> Finding:
    by_hand = changes.name_imported(connector, thumbprint, server, "", target=ORGANISATION).typed
    return _finding(
        "connector-name-unknown",
        Severity.STOP,
        connector,
        f"{title(connector)} has to follow, but Exchange does not tell here how it writes issuer and subject of "
        "certificates, and a name that is built would not be found (454 4.7.5).",
        f"Import the certificate and set it yourself in the Exchange Management Shell: {by_hand}",
    )


def _source_unknown(connector: Connector, names: Sequence[str]) -> Finding:
    return _finding(
        "connector-source-unknown",
        Severity.STOP,
        connector,
        f"{title(connector)} has to follow, but it sends through {', '.join(names)} too, which would not have the "
        "certificate: mail would stop there (454 4.7.5).",
        steps(
            "Have the task work on these servers, too, or take them out of the connector's SourceTransportServers:",
            adding("servers", names),
        ),
    )
