"""What must be done on Exchange, and why; or why nothing may be done. Pure: values in, a plan out.

The order is chosen for the way back. The import changes nothing that is served. The web site is bound next, on every
server, because that alone can be undone. SMTP, POP and IMAP come last: Exchange cannot take an assignment back, and
among several certificates for a name these services choose the newest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Plan
from certwright.exchange import changes
from certwright.exchange.host import MAIL_SERVICES
from certwright.exchange.memory import Deployment
from certwright.exchange.model import MAIL_ACCESS, SUPPORTED, Certificate, Connector, ServerState, Service, is_bad
from certwright.exchange.refusals import connector_notes, connector_refusals, version_refusals

INTERNAL_LIFETIME = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants.

    `services` None means those of the certificate that is replaced. `predecessors` are thumbprints of the earlier
    versions, newest first. `keep_internal` None follows the rule. `restarts` tells whether services can be restarted.
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


@dataclass(frozen=True, slots=True)
class Served:
    """What the ports of a server show of the new version: services that serve it, and services that do not."""

    new: Service = Service.NONE
    other: Service = Service.NONE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The servers at one moment. `send_connectors` is None if the account may not read them.

    `begun` is a deployment that was not finished; `served` is what the ports show, by server.
    """

    servers: tuple[ServerState, ...]
    send_connectors: Sequence[Connector] | None = ()
    protected: frozenset[str] = frozenset()
    begun: Deployment | None = None
    served: Mapping[str, Served] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A server whose front-end receive connectors announce no name of the version, so that SMTP cannot choose it."""

    names: tuple[str, ...]
    commands: tuple[str, ...]

    def explains(self, leaf: CertificateFacts) -> bool:
        """Whether `leaf` is the server's own certificate, which SMTP serves then."""
        return leaf.is_self_signed and names_server(leaf, self.names)

    @property
    def advice(self) -> str:
        """What a person can do, as commands."""
        return f"To let SMTP serve the new one: {'; '.join(self.commands)}"


@dataclass(slots=True)
class _Draft:
    """The parts of one server's plan, in the order of phases over all servers."""

    imports: list[Change] = field(default_factory=list)
    web_site: list[Change] = field(default_factory=list)
    rest: list[Change] = field(default_factory=list)
    restarts: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


def make_plan(snapshot: Snapshot, wish: Wish, now: datetime) -> Plan:
    """The changes that make every server of `snapshot` use the version, in their order; none if they all do.

    A plan with refusals has no changes.
    """
    drafts = [_Server(state, snapshot, wish, now).draft() for state in snapshot.servers]
    phases = [getattr(draft, phase) for phase in ("imports", "web_site", "rest", "restarts") for draft in drafts]
    todo = tuple(change for phase in phases for change in phase)
    refusals = [refusal for draft in drafts for refusal in draft.refusals]
    notes = [note for draft in drafts for note in draft.notes]
    if any(change.action != changes.RESTART for change in todo):
        connectors = [*(snapshot.send_connectors or ())]
        connectors += [c for state in snapshot.servers for c in state.connectors or ()]
        replaced = tuple(
            dict.fromkeys(t for s in snapshot.servers for t in with_replaced(wish, s, snapshot).predecessors)
        )
        refusals += version_refusals(wish.facts, now, key_needed=any(d.imports for d in drafts), has_key=wish.has_key)
        refusals += connector_refusals(connectors, snapshot.servers, replaced)
        notes += connector_notes(connectors, snapshot.servers, replaced)
        if snapshot.send_connectors is None:
            notes.append("The account may not read send connectors: whether one names a certificate is not known.")
    return Plan(changes=() if refusals else todo, refusals=tuple(dict.fromkeys(refusals)), notes=tuple(notes))


class _Server:
    """Works out one server's part."""

    def __init__(self, state: ServerState, snapshot: Snapshot, wish: Wish, now: datetime) -> None:
        self._state = state
        self._wish = with_replaced(wish, state, snapshot)
        self._now = now
        self._new = state.certificate(wish.facts.thumbprint)
        self._served = snapshot.served.get(state.server, Served())
        self._begun = snapshot.begun
        self._protected = snapshot.protected
        self._draft = _Draft()

    def draft(self) -> _Draft:
        wanted = self._wanted()
        if wanted is None:
            return self._draft
        missing = self._missing(wanted)
        if self._new is None:
            self._import()
        elif missing:
            self._check_stored(self._new)
        if Service.IIS in missing:
            self._draft.web_site.append(self._enable(Service.IIS, "the Default Web Site is to serve it"))
        if rest := missing & ~Service.IIS:
            self._draft.rest.append(self._enable(rest, f"it is not assigned to {rest} yet"))
        self._internal_transport(Service.SMTP in missing)
        self._announced_names(Service.SMTP in missing)
        self._names(wanted)
        self._restarts(wanted, missing)
        return self._draft

    def _wanted(self) -> Service | None:
        wanted = requested_services(self._state, self._wish)
        if wanted is None:
            self._draft.refusals.append(
                f"{self._state.server}: Exchange does not tell which services the earlier certificate has: name them "
                "in the parameter services."
            )
        return wanted

    def _import(self) -> None:
        made = changes.import_certificate(
            self._state.server,
            self._wish.facts.thumbprint,
            self._wish.intermediates,
            self._wish.friendly_name,
            "it is not in the server's store",
        )
        self._draft.imports.append(made)

    def _check_stored(self, stored: Certificate) -> None:
        """What is in the store already must be usable before anything is assigned to it."""
        server, thumbprint = self._state.server, stored.thumbprint
        if stored.has_private_key is False:
            self._draft.refusals.append(
                f"{server}: the certificate {thumbprint} is in the store without its private key, and Exchange imports "
                f"no certificate twice. Remove it there: Remove-ExchangeCertificate -Server '{server}' -Thumbprint "
                f"'{thumbprint}'; then run this again."
            )
        elif is_blocking(stored.status):
            self._draft.refusals.append(
                f"{server} does not accept the certificate: its status there is {stored.status}."
            )

    def _missing(self, wanted: Service) -> Service:
        """Wanted services that the new version does not have; the ports decide if Exchange does not tell."""
        if not _is_host_name(self._wish.facts.common_name):
            wanted &= ~MAIL_ACCESS  # such a certificate cannot be assigned to them: its name is set instead
        if self._new is None:
            return wanted
        have = self._new.services
        if have is None:
            self._draft.notes.append(
                f"{self._state.server}: Exchange does not tell which services the certificate has: the ports decide."
            )
            have = self._served.new
        bound = self._state.web_site_certificate()
        if bound and bound.thumbprint != self._new.thumbprint:
            have &= ~Service.IIS  # the flag stays when another certificate is bound
        return wanted & ~have

    def _enable(self, services: Service, why: str) -> Change:
        return changes.enable(
            self._state.server,
            self._wish.facts.thumbprint,
            services,
            why,
            do_not_require_ssl=self._wish.do_not_require_ssl,
        )

    def _internal_transport(self, smtp: bool) -> None:  # noqa: FBT001 - private, and read where it is called
        """Assigning SMTP also replaces the certificate servers use among themselves: keep the one that was there."""
        server, new = self._state.server, self._wish.facts.thumbprint
        current, before = self._state.internal_transport, self._internal_before()
        if before == new or not (smtp or (current != before and before is not None)):
            return
        obstacle = self._obstacle_to_keeping(before)
        if obstacle is None and before is not None:
            why = "SMTP's assignment replaces the internal transport certificate: this puts the earlier one back"
            self._draft.rest.append(changes.enable(server, before, Service.SMTP, why))
        elif smtp:
            known = f"The internal transport certificate {before} of {server}" if before else f"{server}: it"
            self._draft.notes.append(f"{known} {obstacle}: the new certificate takes its place.")

    def _internal_before(self) -> str | None:
        """The internal transport certificate, or what it was before a deployment that died on the way."""
        current, begun = self._state.internal_transport, self._begun
        if begun and current in begun.versions | {self._wish.facts.thumbprint}:
            return begun.internals.get(self._state.server, current)
        return current

    def _obstacle_to_keeping(self, thumbprint: str | None) -> str | None:
        """Why the internal transport certificate is not kept, or None if it is."""
        found = self._state.certificate(thumbprint)
        if thumbprint is None or found is None or found.facts is None:
            return "is not known to Exchange"
        if thumbprint in self._wish.predecessors:
            return "is an earlier version of this very certificate, or what it replaces"
        if thumbprint in self._protected or found.is_protected:
            return "belongs to Exchange's own sign-in"
        if obstacle := unusable(found, self._now):
            return obstacle
        if self._wish.keep_internal is not None:
            return None if self._wish.keep_internal else "is not to be kept, as was asked"
        return self._shortcoming(found, found.facts)

    def _shortcoming(self, found: Certificate, facts: CertificateFacts) -> str | None:
        own = facts.is_self_signed if found.is_self_signed is None else found.is_self_signed
        if not own:
            return "is not self-signed"
        if not names_server(facts, _names(self._state)):
            return "does not name the server"
        if facts.not_after < self._now + INTERNAL_LIFETIME:
            return f"expires on {facts.not_after:%Y-%m-%d}, in less than {INTERNAL_LIFETIME.days} days"
        return None

    def _announced_names(self, smtp: bool) -> None:  # noqa: FBT001 - as above
        found = unannounced(self._state, self._wish.facts)
        if smtp and found:
            names = sorted({c.fqdn for c in self._state.connectors or () if c.fqdn and c.is_front_end})
            self._draft.notes.append(
                f"{self._state.server}: the certificate covers no name that a receive connector announces "
                f"({', '.join(names)}): SMTP will go on serving another one. If that is the server's own self-signed "
                f"certificate, as before, its ports count as not verified. {found.advice}"
            )

    def _names(self, wanted: Service) -> None:
        """POP and IMAP find their certificate by name: let it be one that the version covers."""
        for service, current in ((Service.POP, self._state.pop_name), (Service.IMAP, self._state.imap_name)):
            if service not in wanted:
                continue
            if current is None:
                self._draft.notes.append(
                    f"{self._state.server}: the {service} settings cannot be read, so the certificate name they "
                    "look for stays as it is."
                )
            elif not self._wish.facts.covers(current):
                self._rename(service, current)

    def _rename(self, service: Service, current: str) -> None:
        server = self._state.server
        name = mail_access_name(self._wish.facts, self._state.info.fqdn)
        if name is None:
            self._draft.refusals.append(
                f"{server}: {service} looks for a certificate for {current!r}, which this one does not cover, and "
                f"none of its names is a plain host name. Set one yourself: {changes.SET_NAME[service]} -Server "
                f"'{server}' -X509CertificateName HOST; or leave {service} out."
            )
            return
        why = f"{service} looks for a certificate for {current!r}, which this one does not cover"
        self._draft.rest.append(changes.set_name(server, service, name, why))

    def _restarts(self, wanted: Service, missing: Service) -> None:
        """POP and IMAP read their certificate when they start."""
        server = self._state.server
        renamed = {change.action for change in self._draft.rest}
        for service, names in MAIL_SERVICES.items():
            changed = service in missing or changes.SET_NAME[service] in renamed
            if service not in wanted or not (changed or service in self._served.other):
                continue
            if self._wish.restarts:
                why = f"{service} reads its certificate when it starts; done only if it runs and serves another one"
                self._draft.restarts.append(changes.restart(server, names, why))
            elif changed:
                self._draft.notes.append(
                    f"{server}: {service} reads its certificate only when it starts. If it runs, it has to be "
                    f"restarted there by hand: Restart-Service {', '.join(names)}. (With the parameter winrm this is "
                    "done for you.)"
                )


def with_replaced(wish: Wish, state: ServerState, snapshot: Snapshot) -> Wish:
    """`wish` with the certificate that the first version of ours replaces on `state` as its predecessor.

    That is what the Default Web Site is bound to, or was before a deployment that was begun: if it is for one of our
    names, is not self-signed, and does not sign Exchange's own tokens.
    """
    if any(map(state.certificate, wish.predecessors)):
        return wish
    before = snapshot.begun.servers.get(state.server) if snapshot.begun else None
    found = state.certificate(before.web_site) if before else state.web_site_certificate()
    if found is None or found.facts is None or found.thumbprint == wish.facts.thumbprint:
        return wish
    own = found.facts.is_self_signed or bool(found.is_self_signed)
    covered = any(found.facts.covers(name.value) for name in wish.facts.names)
    if own or not covered or found.is_protected or found.thumbprint in snapshot.protected:
        return wish
    return replace(wish, predecessors=(found.thumbprint,))


def unannounced(state: ServerState, facts: CertificateFacts) -> Unannounced | None:
    """What follows if no front-end receive connector of `state` announces a name of the version; None if one does."""
    connectors = [c for c in state.connectors or () if c.fqdn and c.is_front_end]
    if not connectors or any(facts.covers(c.fqdn) for c in connectors):
        return None
    name = mail_access_name(facts, "") or "HOST"
    return Unannounced(_names(state), tuple(c.setting(f"-Fqdn {name}") for c in connectors))


def names_server(facts: CertificateFacts, names: Iterable[str]) -> bool:
    """Whether a certificate is for one of these names of a server."""
    common = (facts.common_name or "").lower()
    return any(name and (facts.covers(name) or common == name.lower()) for name in names)


def _names(state: ServerState) -> tuple[str, ...]:
    return (state.server, state.info.name, state.info.fqdn)


def requested_services(state: ServerState, wish: Wish) -> Service | None:
    """The services asked for, or those of the newest predecessor that has any, or IIS and SMTP; None: not known."""
    if wish.services is not None:
        return wish.services & SUPPORTED
    for certificate in filter(None, map(state.certificate, wish.predecessors)):
        if certificate.services is None:
            return None
        if services := certificate.services & SUPPORTED:
            return services
    return Service.IIS | Service.SMTP


def unusable(certificate: Certificate, now: datetime) -> str | None:
    """Why this certificate must not be assigned to anything (again), or None."""
    not_after = certificate.facts.not_after if certificate.facts else None
    return unusable_by(certificate.has_private_key, not_after, certificate.status, now)


def unusable_by(has_key: bool | None, not_after: datetime | None, status: str | None, now: datetime) -> str | None:  # noqa: FBT001 - None is a third value
    """The same by what is known of a certificate; None stands for what is not known."""
    if has_key is False:
        return "has no private key"
    if not_after is not None and not_after <= now:
        return f"expired on {not_after:%Y-%m-%d}"
    return f"has the status {status}" if is_bad(status) else None


def is_blocking(status: str | None) -> bool:
    """Whether Exchange does not accept a certificate of this status that was just imported."""
    return status == "Untrusted" or is_bad(status)


def mail_access_name(facts: CertificateFacts, fqdn: str) -> str | None:
    """A plain host name that the certificate covers: its common name, else the server's, else any."""
    alternatives = [name.value for name in facts.names if not name.is_wildcard]
    candidates = [facts.common_name or "", fqdn, *alternatives]
    return next((name for name in candidates if _is_host_name(name) and facts.covers(name)), None)


def _is_host_name(name: str | None) -> bool:
    return bool(name) and "." in (name or "") and not (name or "").startswith("*")
