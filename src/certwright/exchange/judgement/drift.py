"""What differs from what was deployed last? Somebody may have replaced, removed or bound another certificate. Pure."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Self

from pydantic import Field

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, PortKey, ServedRow, Severity
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import Value
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.connectors import all_of
from certwright.exchange.fitness import is_sound
from certwright.exchange.model import DEFAULT_WEB_SITE, Certificate, Connector, ServerState, Service, is_bad
from certwright.exchange.references import certificates_of, referred_to
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.steps import steps
from certwright.exchange.verification.ports import Duty, Sight
from certwright.sdk.context import Memory

_KEY = "exchange-deployed"
REPAIR = "To see what repairs it: certwright exchange plan"


class DeployedServer(Value):
    """One server after a deployment: the numbers of the services that got the certificate, and what else it used.

    `internal` is the thumbprint of the internal transport certificate; None stands for what Exchange did not tell.
    """

    services: int
    internal: str | None = None
    pop_name: str | None = None
    imap_name: str | None = None

    @classmethod
    def of(cls, state: ServerState, services: Service) -> Self:
        """What `state` shows of a server where these services got the certificate."""
        return cls(
            services=services.value,
            internal=state.internal_transport,
            pop_name=state.pop_name if Service.POP in services else None,
            imap_name=state.imap_name if Service.IMAP in services else None,
        )


class Deployed(Value):
    """What a verified deployment left behind; stored, so that a later look can be compared with it.

    `connectors` are the TlsCertificateName of all that named the certificate, by identity; `served` is what each port
    showed.
    """

    thumbprint: str
    sha256: str
    servers: dict[str, DeployedServer]
    connectors: dict[str, str] = Field(default_factory=dict)
    served: tuple[tuple[PortKey, str | None], ...] = ()


def deployed(
    snapshot: Snapshot,
    facts: CertificateFacts,
    services: Mapping[str, Service],
    rows: Iterable[ServedRow] = (),
    earlier: Deployed | None = None,
    found: Snapshot | None = None,
) -> Deployed:
    """What there is to remember when a deployment is verified.

    Args:
        snapshot: the organisation after it.
        facts: the certificate.
        services: those that got it, by server; servers that are not named, or do not have it, were left alone.
        rows: what ports serve after it.
        earlier: what was remembered last; a deployment to some servers leaves standing what it tells of the others.
        found: the organisation before the run. What differed from `earlier` then and still does was not repaired, so
            `earlier` stands: it is told again.
    """
    served = dict(earlier.served) if earlier and earlier.sha256 == facts.sha256 else {}
    held = {server: c for server in services if (c := _held(snapshot, server, facts.thumbprint))}
    states = {server: state for server in held if (state := snapshot.state(server))}
    names = {name for certificate in held.values() if (name := certificate.tls_certificate_name)}
    made = Deployed(
        thumbprint=facts.thumbprint,
        sha256=facts.sha256,
        servers={server: DeployedServer.of(state, services[server]) for server, state in states.items()},
        connectors={who: value for who, value in _naming(snapshot) if value and value in names},
        served=tuple({**served, **{row.key: row.now for row in rows}}.items()),
    )
    if earlier is None:
        return made
    return _with_unrepaired(made, earlier, snapshot, found or snapshot, min(names, default=""))


def _with_unrepaired(made: Deployed, earlier: Deployed, now: Snapshot, found: Snapshot, written: str) -> Deployed:
    """`made`, with what `earlier` tells of all that differs still; `written` is how connectors name the certificate."""
    is_same = made.sha256 == earlier.sha256
    servers = {s: was for s, was in earlier.servers.items() if is_same and now.state(s)}
    for server, after in made.servers.items():
        was, then = earlier.servers.get(server), found.state(server)
        servers[server] = _unrepaired(after, was, then) if was and then else after
    before, after_all, connectors = dict(_naming(found)), dict(_naming(now)), dict(made.connectors)
    for who, value in earlier.connectors.items():
        is_left = before.get(who) == after_all.get(who) and (before.get(who) or "").lower() != value.lower()
        if who not in connectors and is_left and (who in after_all or not _is_complete(now)):
            connectors[who] = value if is_same else written or value
    return made.model_copy(update={"servers": servers, "connectors": connectors})


def _unrepaired(after: DeployedServer, was: DeployedServer, state: ServerState) -> DeployedServer:
    """`after`, with what `was` tells of that in which `state`, which was found, differed and `after` still does."""
    before = DeployedServer.of(state, Service(after.services))
    values = (("internal", was.internal), ("pop_name", was.pop_name), ("imap_name", was.imap_name))
    kept = {name: value for name, value in values if value and getattr(before, name) == getattr(after, name)}
    if was.internal and _is_renewed(was.internal, state):
        kept.pop("internal", None)
    return after.model_copy(update=kept)


def _is_renewed(recorded: str, state: ServerState) -> bool:
    """Whether the internal transport certificate was replaced for good: the earlier is gone, the new one is sound."""
    return state.certificate(recorded) is None and _is_own(state.certificate(state.internal_transport))


def _is_own(certificate: Certificate | None) -> bool:
    """Whether it is one that somebody has made for mail among servers: self-signed, and sound."""
    return certificate is not None and bool(certificate.is_self_signed) and is_sound(certificate)


def _held(snapshot: Snapshot, server: str, thumbprint: str) -> Certificate | None:
    state = snapshot.state(server)
    return state.certificate(thumbprint) if state else None


def after(
    snapshot: Snapshot, states: Mapping[str, ServerState], organisational: Sequence[Connector] | None
) -> Snapshot:
    """`snapshot` with what was read back since: servers, and what belongs to the organisation; None if nothing was."""
    servers = tuple(_updated(state, states.get(state.server)) for state in snapshot.servers)
    if organisational is None:
        return replace(snapshot, servers=servers)
    return replace(snapshot, servers=servers, send_connectors=tuple(organisational), hybrid=None)


def _updated(state: ServerState, now: ServerState | None) -> ServerState:
    if now is None:
        return state
    return replace(
        state,
        certificates=now.certificates,
        internal_transport=now.internal_transport,
        connectors=now.connectors,
        pop_name=now.pop_name,
        imap_name=now.imap_name,
    )


def drift(snapshot: Snapshot, last: Deployed, sights: Iterable[Sight] = (), *, title: str) -> tuple[Finding, ...]:
    """What differs, with what repairs it; nothing if all is as it was left.

    What somebody seems to have chosen on purpose is a warning only.

    Args:
        snapshot: the organisation now. What it does not tell is no difference.
        last: the deployment that it is compared with.
        sights: what ports serve now.
        title: of the managed certificate, for the command that shows what repairs it.
    """
    remedy = f"{REPAIR} {shlex.quote(title)}"
    differences = _differences(snapshot, last, sights)
    return tuple(f.model_copy(update={"remedy": remedy}) if f.remedy == REPAIR else f for f in differences)


def _differences(snapshot: Snapshot, last: Deployed, sights: Iterable[Sight]) -> tuple[Finding, ...]:
    found = [finding for server in last.servers for finding in _server(snapshot, server, last)]
    found += _connectors(snapshot, last)
    explained = {finding.subject for finding in found if finding.check in {"drift-removed", "drift-web-site"}}
    return (*found, *_ports(sights, last, explained))


def unread(failure: CertwrightError, certificate: str) -> Finding:
    """That only ports were looked at, and not what Exchange itself tells; `certificate` as commands take it."""
    hint, again = f"{failure.hint} To look again:".lstrip(), f"certwright exchange verify {certificate}"
    return Finding(
        check="drift-unknown",
        severity=Severity.WARN,
        message=f"What Exchange itself tells could not be read: {failure.message}",
        remedy=steps(hint, again),
    )


def keep(memory: Memory, last: Deployed) -> None:
    """Remember what a verified deployment left behind."""
    memory.put(_KEY, last.model_dump(mode="json"))


def kept(memory: Memory) -> Deployed | None:
    """What the last verified deployment left behind; None if there was none."""
    stored = memory.get(_KEY)
    return Deployed.model_validate(stored) if stored else None


def _server(snapshot: Snapshot, server: str, last: Deployed) -> Iterator[Finding]:
    state, was = snapshot.state(server), last.servers[server]
    if state is None:
        yield _told("drift-server-gone", server, f"{server} is no longer there, or could not be read.")
        return
    ours = state.certificate(last.thumbprint)
    if ours is None:
        yield _different("drift-removed", server, f"The certificate {last.thumbprint} was removed from {server}.")
        return
    yield from _condition(server, ours)
    yield from _assignments(state, ours, was)
    if was.internal and state.internal_transport and state.internal_transport != was.internal:
        current = state.certificate(state.internal_transport)
        now = _described(current, state.internal_transport)
        tell = _chosen if _is_own(current) else _different
        yield tell(
            "drift-internal-transport",
            server,
            f"The internal transport certificate of {server} was {was.internal} and is now {now}.",
        )
    for protocol, before, name in (("POP", was.pop_name, state.pop_name), ("IMAP", was.imap_name, state.imap_name)):
        if before and name and before.lower() != name.lower():
            told = f"{protocol} on {server} looked for a certificate for {before!r} and now for {name!r}."
            yield _different("drift-mail-access-name", server, told)


def _condition(server: str, ours: Certificate) -> Iterator[Finding]:
    if ours.has_private_key is False:
        yield _different("drift-key", server, f"The certificate {ours.thumbprint} on {server} has no private key now.")
    if is_bad(ours.status):
        yield _different(
            "drift-status", server, f"Exchange on {server} says of the certificate {ours.thumbprint}: {ours.status}."
        )


def _assignments(state: ServerState, ours: Certificate, was: DeployedServer) -> Iterator[Finding]:
    server, services = state.server, Service(was.services)
    bound = state.web_site_certificate()
    if Service.IIS in services and bound is not None and not ours.on_web_site:
        yield _different(
            "drift-web-site",
            server,
            f"Somebody bound the Default Web Site of {server} to {_described(bound, bound.thumbprint)}.",
        )
    elif Service.IIS in services and ours.iis_sites is not None and DEFAULT_WEB_SITE not in ours.iis_sites:
        yield _different("drift-web-site", server, f"The Default Web Site of {server} no longer uses the certificate.")
    mail = services & ~Service.IIS
    if ours.services is not None and (missing := mail & ~ours.services):
        yield _different(
            "drift-services",
            server,
            f"The certificate on {server} is no longer assigned to {missing}: it was removed there, and imported again "
            "without them.",
        )


def _connectors(snapshot: Snapshot, last: Deployed) -> Iterator[Finding]:
    """A connector that was led away stays so, unless a person sets it or chooses it; what finds nothing is graver."""
    now = {_identity(connector): connector for connector in all_of(snapshot)}
    for who, before in last.connectors.items():
        if who in now and ((value := now[who].tls_certificate_name) or "").lower() != before.lower():
            is_usable = value is None or any(map(is_sound, referred_to(value, certificates_of(snapshot))))
            yield Finding(
                check="drift-connector",
                severity=Severity.WARN if is_usable else Severity.STOP,
                subject=who,
                message=f"{who} was changed: it named {before}, and names {value or 'no certificate'} now.",
                remedy=steps(
                    "If that is not meant, give this in the Exchange Management Shell:",
                    changes.name_certificate(now[who], before, "").typed,
                ),
            )
        elif who not in now and _is_complete(snapshot):
            yield _told("drift-connector-gone", who, f"{who} named the certificate, and is gone.")


def _is_complete(snapshot: Snapshot) -> bool:
    """Whether all connectors could be read."""
    return None not in (snapshot.send_connectors, *(state.connectors for state in snapshot.servers))


def _naming(snapshot: Snapshot) -> Iterator[tuple[str, str | None]]:
    """All that can name a certificate, and what it names."""
    for connector in all_of(snapshot):
        yield _identity(connector), connector.tls_certificate_name


def _identity(connector: Connector) -> str:
    return connector.identity or connector.name


def _ports(sights: Iterable[Sight], last: Deployed, explained: Iterable[str]) -> Iterator[Finding]:
    """Services whose ports serve another certificate, unless Exchange itself tells why."""
    told = set(explained)
    wrong: dict[tuple[str, Service, bool], list[Sight]] = {}
    for sight in sights:
        port = sight.port
        was = last.servers.get(port.server)
        concerned = port.shared or (was is not None and port.service in Service(was.services))
        if port.duty is Duty.NEW and concerned and sight.leaf and sight.leaf.sha256 != last.sha256:
            wrong.setdefault((port.server, port.service, port.shared), []).append(sight)
    for (server, service, shared), seen in wrong.items():
        where = ", ".join(dict.fromkeys(str(sight.port.endpoint) for sight in seen))
        what = ", ".join(dict.fromkeys(_of(sight.leaf) for sight in seen if sight.leaf))
        message = f"{service} of {server} serves another certificate at {where}: {what}."
        if shared:
            yield _told("drift-port", server, f"{message} What stands in front may present one of its own.")
        elif service is not Service.IIS or server not in told:
            yield _different("drift-port", server, message)


def _described(certificate: Certificate | None, thumbprint: str) -> str:
    facts = certificate.facts if certificate else None
    return f"{thumbprint} ({_of(facts)})" if facts else thumbprint


def _of(facts: CertificateFacts) -> str:
    name = facts.common_name or next((name.value for name in facts.names), "no name")
    return f"{name}, issued by {facts.issuer}, valid until {facts.not_after:%Y-%m-%d}"


def _different(check: str, subject: str, message: str) -> Finding:
    return Finding(check=check, severity=Severity.STOP, subject=subject, message=message, remedy=REPAIR)


def _chosen(check: str, subject: str, message: str) -> Finding:
    """A difference that somebody seems to have wanted; how it is taken back, the plan tells."""
    return Finding(check=check, severity=Severity.WARN, subject=subject, message=message, remedy=REPAIR)


def _told(check: str, subject: str, message: str) -> Finding:
    return Finding(check=check, severity=Severity.WARN, subject=subject, message=message)
