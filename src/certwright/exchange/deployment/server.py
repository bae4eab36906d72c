"""What one server needs so that it uses the version; the phases of a wave bring the parts of several together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Finding, Severity
from certwright.exchange.access.host import MAIL_SERVICES
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.announced import unannounced
from certwright.exchange.deployment.memory import Before
from certwright.exchange.deployment.situation import Served, Situation, stored, with_replaced
from certwright.exchange.deployment.wish import Wish, is_host_name, mail_access_name, names_server, requested_services
from certwright.exchange.fitness import UNTRUSTED, acceptance, is_blocking, unusable
from certwright.exchange.judgement.drift import DeployedServer
from certwright.exchange.model import MAIL_ACCESS, Certificate, ServerState, Service, quoted

INTERNAL_LIFETIME = timedelta(days=60)


@dataclass(slots=True)
class Draft:
    """One server's part of a plan: the import, which alters nothing that is served, and the rest in its order."""

    imports: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    restarts: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def served(self) -> tuple[Change, ...]:
        """All but the import."""
        return (*self.changes, *self.restarts)

    @property
    def is_refused(self) -> bool:
        """Whether something stops it."""
        return any(finding.severity is Severity.STOP for finding in self.findings)


def draft(state: ServerState, situation: Situation, wish: Wish, now: datetime, receive: Sequence[Change] = ()) -> Draft:
    """What `state` needs; `receive` are the changes of its receive connectors."""
    return _Server(state, situation, wish, now).draft(receive)


class _Server:
    """Works out one server's part."""

    def __init__(self, state: ServerState, situation: Situation, wish: Wish, now: datetime) -> None:
        self._state = state
        self._wish = with_replaced(wish, state, situation)
        self._replaced = stored(situation, self._wish.predecessors)
        self._now = now
        self._new = state.certificate(wish.facts.thumbprint)
        self._served = situation.served.get(state.server, Served())
        self._begun = situation.begun
        self._was = wish.left(state.server)
        self._protected = situation.snapshot.protected
        self._draft = Draft()

    def draft(self, receive: Sequence[Change]) -> Draft:
        wanted = requested_services(self._state, self._wish)
        if wanted is None:
            self._say(
                "services-unknown",
                Severity.STOP,
                "Exchange does not tell which services the earlier certificate has.",
                "Name them in the parameter services.",
            )
            return self._draft
        missing = self._missing(wanted)
        if self._new is None:
            self._import()
        else:
            self._check_stored(self._new, Severity.STOP if missing else Severity.WARN)
        if Service.IIS in missing:
            self._draft.changes.append(self._bind())
        if rest := missing & ~Service.IIS:
            self._draft.changes.append(self._assign(rest))
        self._names(wanted, missing)
        self._issuers(is_used=not missing)
        self._draft.changes += receive
        self._internal_transport(is_smtp_assigned=Service.SMTP in missing)
        if Service.SMTP in missing:
            self._announced_names()
        self._restarts(wanted, missing, is_named=bool(receive))
        return self._draft

    def _say(self, check: str, severity: Severity, message: str, remedy: str = "") -> None:
        told = f"{self._state.server}: {message}"
        found = Finding(check=check, severity=severity, subject=self._state.server, message=told, remedy=remedy)
        self._draft.findings.append(found)

    def _import(self) -> None:
        made = changes.import_certificate(
            self._state.server,
            self._wish.facts.thumbprint,
            self._wish.intermediates,
            self._wish.friendly_name,
            "it is not in the server's store",
        )
        self._draft.imports.append(made)

    def _issuers(self, *, is_used: bool) -> None:
        """Import the issuers by themselves where the server lacks them; after an import that shows only then."""
        if not self._wish.intermediates:
            return
        why = ""
        if self._new is None:
            why = (
                "done only if the server then lacks the issuers: Exchange calls it Untrusted, or a port sends it alone"
            )
        elif self._served.alone:
            why = "a port sends the certificate without that of its issuer: clients that do not have that refuse it"
        elif not is_used and self._new.status == UNTRUSTED:
            why = f"its status there is {UNTRUSTED}: the server may lack its issuers"
        if why:
            server, thumbprint = self._state.server, self._wish.facts.thumbprint
            made = changes.import_issuers(server, thumbprint, self._wish.intermediates, why)
            self._draft.changes.append(made)

    def _check_stored(self, stored: Certificate, severity: Severity) -> None:
        """What is in the store already must be usable before anything is assigned to it."""
        server, thumbprint = self._state.server, stored.thumbprint
        if stored.has_private_key is False:
            self._say(
                "stored-without-key",
                severity,
                f"the certificate {thumbprint} is in the store without its private key, and Exchange imports no "
                "certificate twice.",
                f"Remove it there: {changes.remove(server, thumbprint, '').typed}; then run this again.",
            )
        elif is_blocking(stored.status):
            may_lack_issuers = stored.status == UNTRUSTED and self._wish.intermediates
            self._say(
                "not-accepted",
                Severity.WARN if may_lack_issuers else severity,
                f"the server does not accept the certificate: its status there is {stored.status}.",
                acceptance(server, stored.status),
            )

    def _missing(self, wanted: Service) -> Service:
        """Wanted services that the new version does not have; the ports decide if Exchange does not tell."""
        if not is_host_name(self._wish.facts.common_name):
            wanted &= ~MAIL_ACCESS  # such a certificate cannot be assigned to them: its name is set instead
        if self._new is None:
            return wanted
        have = self._new.services
        if have is None:
            self._say(
                "services-not-told",
                Severity.NOTE,
                "Exchange does not tell which services the certificate has: the ports decide.",
            )
            have = self._served.new
        bound = self._state.web_site_certificate()
        is_shown = self._new.on_web_site and Service.IIS in self._served.new  # another binding may use another one
        if bound and bound.thumbprint != self._new.thumbprint and not is_shown:
            have &= ~Service.IIS  # the flag stays when another certificate is bound
        return wanted & ~have

    def _bind(self) -> Change:
        made = self._enable(self._wish.facts.thumbprint, Service.IIS, "the Default Web Site is to serve it")
        return self._with_way_back(made, self._state.web_site_certificate(), Service.IIS)

    def _assign(self, services: Service) -> Change:
        """The mail services. Of that only one thing can be taken back: what SMTP does to the internal transport."""
        made = self._enable(self._wish.facts.thumbprint, services, f"it is not assigned to {services} yet")
        found = self._state.certificate(self._internal_now())
        if Service.SMTP not in services or found is None or found.thumbprint == self._wish.facts.thumbprint:
            return made
        return self._with_way_back(made, found, Service.SMTP)

    def _with_way_back(self, made: Change, before: Certificate | None, services: Service) -> Change:
        """A change, with what has `services` use the certificate `before` again, or why nothing may."""
        if before is None:
            return made
        protected = before.is_protected or before.thumbprint in self._protected
        obstacle = "belongs to Exchange's own sign-in" if protected else unusable(before, self._now)
        if obstacle:
            return made.model_copy(update={"stays": f"the one before, {before.thumbprint}, {obstacle}"})
        typed = self._enable(before.thumbprint, services).typed
        return made.model_copy(update={"inverse": typed, "restored": ((self._state.server, before.thumbprint),)})

    def _enable(self, thumbprint: str, services: Service, why: str = "") -> Change:
        keeps = self._wish.do_not_require_ssl
        return changes.enable(self._state.server, thumbprint, services, why, do_not_require_ssl=keeps)

    def _internal_transport(self, *, is_smtp_assigned: bool) -> None:
        """Assigning SMTP also replaces the certificate servers use among themselves: keep the one that was there."""
        new = self._wish.facts.thumbprint
        current, before = self._state.internal_transport, self._internal_before()
        if before == new or not (is_smtp_assigned or (current != before and before is not None)):
            self._internal_replaced()
            return
        obstacle = self._obstacle_to_keeping(before)
        if obstacle is None and before is not None:
            why = (
                "SMTP's assignment replaces the internal transport certificate: this puts the earlier one back"
                if is_smtp_assigned
                else f"the internal transport certificate is {current} now: this puts the earlier one back"
            )
            self._draft.changes.append(self._enable(before, Service.SMTP, why))
        elif is_smtp_assigned:
            known = f"the internal transport certificate {before}" if before else "the internal transport certificate"
            self._say(
                "internal-transport-replaced",
                Severity.WARN,
                f"{known} {obstacle}: the new certificate takes its place.",
                f"For a fresh self-signed one run afterwards: {self._fresh()}",
            )

    def _internal_replaced(self) -> None:
        """What somebody has made the internal transport certificate since the last deployment, and what goes on."""
        current, recorded = self._state.internal_transport, self._was.internal if self._was else None
        if recorded is None or current in {None, recorded} or recorded in self._wish.predecessors:
            return
        obstacle = self._obstacle_to_keeping(recorded)
        typed = self._enable(recorded, Service.SMTP).typed
        self._say(
            "internal-transport-stays",
            Severity.WARN,
            f"the internal transport certificate was {recorded} after the last deployment; {current} has taken its "
            f"place since, and stays{f': the earlier one {obstacle}' if obstacle else ''}.",
            f"For a fresh self-signed one: {self._fresh()}" if obstacle else f"If that is not meant: {typed}",
        )

    def _fresh(self) -> str:
        """What makes a new internal transport certificate; typed by a person, for it replaces one without asking."""
        info = self._state.info
        names = [name for name in dict.fromkeys((info.name, info.fqdn)) if name] or [self._state.server]
        return (
            f"New-ExchangeCertificate -Server {quoted(self._state.server)} -SubjectName {quoted(f'CN={names[0]}')} "
            f"-DomainName {', '.join(map(quoted, names))} -FriendlyName 'Microsoft Exchange' -Services SMTP -Force"
        )

    def _internal_before(self) -> str | None:
        """The internal transport certificate that belongs there: the one that is there, unless it was displaced."""
        current = self._internal_now()
        return self._displaced(current) or current

    def _internal_now(self) -> str | None:
        """The internal transport certificate, or what it was before a deployment that died on the way."""
        current, begun = self._state.internal_transport, self._begun
        if begun and current in begun.versions | {self._wish.facts.thumbprint}:
            return begun.internals.get(self._state.server, current)
        return current

    def _displaced(self, current: str | None) -> str | None:
        """The one that the last deployment kept, if it can be kept still and what took its place cannot."""
        recorded = self._was.internal if self._was else None
        if current is None or recorded in {None, current} or self._obstacle_to_keeping(recorded):
            return None
        is_fine = current != self._wish.facts.thumbprint and self._obstacle_to_keeping(current) is None
        return None if is_fine else recorded

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
        if not names_server(facts, self._state.names):
            return "does not name the server"
        if facts.not_after < self._now + INTERNAL_LIFETIME:
            return f"expires on {facts.not_after:%Y-%m-%d}, in less than {INTERNAL_LIFETIME.days} days"
        return None

    def _announced_names(self) -> None:
        if found := unannounced(self._state, self._wish, self._replaced):
            self._say(
                "announced-name",
                Severity.WARN,
                f"not every receive connector leads to the certificate ({'; '.join(found.connectors)}): SMTP will go "
                "on serving another one there. If that is the server's own self-signed certificate or the one that is "
                "named, as before, its ports count as not verified.",
                found.remedy,
            )

    def _names(self, wanted: Service, assigned: Service) -> None:
        """POP and IMAP find their certificate by name: let it be one that the version covers."""
        was, begun = self._was or DeployedServer(services=0), self._begun
        is_same = begun is not None and begun.thumbprint == self._wish.facts.thumbprint
        first = (begun.servers.get(self._state.server) if begun and is_same else None) or Before()
        for service, current, left, before in (
            (Service.POP, self._state.pop_name, was.pop_name, first.pop_name),
            (Service.IMAP, self._state.imap_name, was.imap_name, first.imap_name),
        ):
            if service not in wanted:
                continue
            if current is None:
                self._say(
                    "mail-access-name-unknown",
                    Severity.WARN,
                    f"the {service} settings cannot be read: no certificate name is set for them, or put back.",
                )
            else:
                self._name(service, current, left, before, is_assigned=service in assigned)

    def _name(self, service: Service, current: str, left: str | None, first: str | None, *, is_assigned: bool) -> None:
        """Let `service` look for what it did after the last deployment, or does now, if the version covers that.

        Assigning the certificate lets it look for the common name. `first` is what it did before that, if a deployment
        of this version died on the way.
        """
        common = self._wish.facts.common_name or ""
        before = first if first and current.lower() == common.lower() else current
        name = next((one for one in (left, before, current) if one and self._wish.facts.covers(one)), None)
        if name is None:
            self._rename_to_covered(service, current)
        elif name == left and name.lower() != current.lower():
            why = f"{service} looked for a certificate for {left!r} after the last deployment"
            self._rename(service, before, name, f"{why}, and looks for {current!r} now")
        elif name.lower() != (common if is_assigned else current).lower():
            why = f"assigning the certificate to {service} lets it look for {common!r}: this puts the earlier name back"
            self._rename(service, before, name, why)

    def _rename_to_covered(self, service: Service, current: str) -> None:
        server = self._state.server
        name = mail_access_name(self._wish.facts, self._state.info.fqdn)
        if name is None:
            self._say(
                "mail-access-name",
                Severity.STOP,
                f"{service} looks for a certificate for {current!r}, which this one does not cover, and none of its "
                "names is a plain host name.",
                f"Set one yourself: {changes.SET_NAME[service]} -Server {quoted(server)} -X509CertificateName HOST; or "
                f"leave {service} out.",
            )
            return
        why = f"{service} looks for a certificate for {current!r}, which this one does not cover"
        self._rename(service, current, name, why)

    def _rename(self, service: Service, current: str, name: str, why: str) -> None:
        server = self._state.server
        before = changes.set_name(server, service, current, "").typed
        made = changes.set_name(server, service, name, why)
        self._draft.changes.append(made.model_copy(update={"inverse": before}))

    def _restarts(self, wanted: Service, missing: Service, *, is_named: bool) -> None:
        """POP and IMAP read their certificate when they start; SMTP and IIS follow by themselves, mostly."""
        server = self._state.server
        renamed = {change.action for change in self._draft.changes}
        for service, names in MAIL_SERVICES.items():
            changed = service in missing or changes.SET_NAME[service] in renamed
            if service not in wanted or not (changed or service in self._served.other):
                continue
            if self._wish.restarts:
                why = (
                    f"{service} reads its certificate when it starts; done only if it runs, and is not seen to serve it"
                )
                self._draft.restarts.append(changes.restart(server, names, why))
            else:
                self._say(
                    "restart-by-hand",
                    Severity.WARN,
                    f"{service} reads its certificate only when it starts. If it runs, it has to be restarted there by "
                    f"hand: Restart-Service {', '.join(names)}.",
                    "(With the parameter winrm this is done for you.)",
                )
        if self._wish.restarts and self._wish.restart_transport and (Service.SMTP in missing or is_named):
            why = "done only if SMTP goes on serving another certificate"
            self._draft.restarts.append(changes.restart(server, changes.TRANSPORT_SERVICES, why))
        if self._wish.restarts and self._wish.restart_web_site and Service.IIS in missing:
            why = "users' cookies of the earlier certificate end now, and not whenever a balancer sends them elsewhere"
            self._draft.restarts.append(changes.restart(server, changes.WEB_SERVICES, why))
