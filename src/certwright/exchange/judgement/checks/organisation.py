"""Checks of the organisation as a whole: whether it can be worked on, and whether all of it was seen."""

from collections.abc import Iterator

from certwright.domain.deployment import Finding, ServedRow
from certwright.exchange.account import missing_rights
from certwright.exchange.deployment.wish import requested_services
from certwright.exchange.judgement.checks import sight
from certwright.exchange.judgement.checks.case import Case, Check, ask, deploys, listed, note, stop, warn
from certwright.exchange.model import MAIL_ACCESS, ServerState, Unknown
from certwright.exchange.references import refers_to
from certwright.exchange.steps import adding, steps
from certwright.exchange.verification.balancers import install

_WEB = "IIS"
_INTERNAL = frozenset({"IIS back end", "internal transport", "Edge LDAPS"})
_HYBRID = "hybridconfiguration"


def _rights(case: Case) -> Iterator[Finding]:
    if case.snapshot.rights is None and case.wish is None:
        yield ask(
            "What the account may do could not be read; it shows when something is refused.",
            steps(
                "Find out why, then look again:", "certwright exchange account --check", "certwright exchange doctor"
            ),
        )
    needed = _needed(case)
    for right in missing_rights(case.snapshot.rights):
        yield (stop if right.job.name in needed else warn)(
            str(right),
            steps(
                f"Let the account into {right.job.group}, or give it exactly what is needed:",
                "certwright exchange account --script",
            ),
        )


def _needed(case: Case) -> frozenset[str]:
    """The jobs without which this deployment could not be carried out, or, without one, nothing could be read."""
    if case.wish is None:
        return frozenset({"read"})
    wish, following = case.wish, [c for c in case.snapshot.connectors if case.follows(c)]
    mail = any((requested_services(s, wish) or MAIL_ACCESS) & MAIL_ACCESS for s in case.targets)
    value = case.snapshot.hybrid.tls_certificate_name if case.snapshot.hybrid else None
    hybrid = _HYBRID in map(str.lower, wish.connectors) or any(refers_to(value, c) for c in case.replaced)
    return frozenset(
        {"read", "deploy"}
        | {f"{connector.kind}-connectors" for connector in following}
        | ({"mail-access"} if mail else set())
        | ({"hybrid"} if hybrid else set())
    )


def _reachability(case: Case) -> Iterator[Finding]:
    why = {unknown.subject.lower(): unknown.why for unknown in case.snapshot.unknown}
    targets = {name.lower() for name in (case.wish.servers if case.wish else ())}
    for info in case.snapshot.unread:
        is_target = bool({info.name.lower(), info.fqdn.lower()} & targets)
        yield (stop if is_target else warn if case.wish else ask)(
            f"{info.name} belongs to the organisation, but could not be read: {why.get(info.name.lower(), 'unknown')}",
            "Nothing is changed anywhere until it answers."
            if is_target
            else steps(
                "It gets no certificate from here. Once it answers, have the task work on it, too:",
                adding("servers", [info.fqdn or info.name], case.context.certificate),
            )
            if case.wish
            else steps("Once it answers, look again:", "certwright exchange doctor"),
            info.name,
        )
    for state in case.snapshot.servers if case.wish is None else ():
        if any(unknown.what == sight.EVERYTHING for unknown in state.unknown):
            yield ask(
                f"{state.info.name} could not be read: {state.away or 'it does not answer'}.",
                steps("Once it is back, look again:", "certwright exchange doctor"),
                state.info.name,
            )


def _targets(case: Case) -> Iterator[Finding]:
    if case.wish is None:
        return
    chosen = case.targets
    left = [state for state in case.snapshot.servers if state not in chosen]
    if left:
        together = [state.info.name for state in left if _is_together(state, chosen)]
        more = f" {listed(together)} serve the same names: clients will see both certificates." if together else ""
        dropped = [state.info.name for state in left if _is_dropped(case, state)]
        more += f" {listed(dropped)} got the last one from here, and still use it until it expires." if dropped else ""
        yield (ask if dropped and not case.context.attended else warn)(
            f"{listed(s.info.name for s in left)} keep their certificates: they are not among the servers that this "
            f"deployment is for.{more}",
            steps(
                "Nothing is copied from one server to another by itself, in an availability group neither. To have the "
                "task work on them, too:",
                adding("servers", [s.info.fqdn or s.info.name for s in left], case.context.certificate),
            ),
        )


def _is_dropped(case: Case, state: ServerState) -> bool:
    """Whether the last deployment worked there, and services still have what it left."""
    last = case.wish.last if case.wish else None
    held = state.certificate(last.thumbprint) if last and state.server in last.servers else None
    return bool(held and held.services)


def _is_together(state: ServerState, chosen: tuple[ServerState, ...]) -> bool:
    """Whether it is in one availability group with one of `chosen`, or serves one of its web addresses."""
    theirs = {a.external or a.internal for other in chosen for a in other.addresses or ()} - {""}
    same_group = bool(state.dag) and any(other.dag == state.dag for other in chosen)
    return same_group or any((a.external or a.internal) in theirs for a in state.addresses or ())


def _rivals(case: Case) -> Iterator[Finding]:
    for rival in case.snapshot.rivals:
        yield (warn if case.context.attended else ask)(
            f"{rival.server}: {rival.product} is at work there too ({rival.evidence}). Two clients replace each "
            "other's certificates, and use up the authority's limits.",
            steps("Disable it there:", rival.disable) if rival.disable else "Disable it there.",
            rival.server,
        )


def _supervision(case: Case) -> Iterator[Finding]:
    if case.wish is not None and not case.context.attended and not case.context.proven:
        yield ask(
            "Nobody looks on, and Certwright has not proved itself on this organisation yet: nothing is changed by "
            "itself before the organisation was found healthy, and one deployment succeeded under somebody's eyes.",
            steps("Run once:", "certwright exchange doctor", f"certwright exchange apply {case.context.certificate}"),
        )


def _load_balancer(case: Case) -> Iterator[Finding]:
    known = {name.lower() for state in case.snapshot.servers for name in state.names}
    rows = [row for row in case.context.rows if row.service == _WEB and row.now]
    nodes = [row for row in rows if row.server.lower() in known]
    fronts = [row for row in rows if row.server.lower() not in known]
    served = {row.now for row in nodes}
    if len(served) > 1 and case.wish is None:
        yield warn(
            f"Servers serve different certificates for the web: {_by_certificate(nodes)}. Behind one balancer users "
            "are signed out when they change servers.",
            steps(
                "Deploy the certificate to all of them; what is missing is shown by",
                f"certwright exchange plan {case.context.certificate}",
            ),
        )
    for front in fronts:
        if served and front.now not in served:
            yield warn(
                f"{front.address}:{front.port} serves {front.shown_now}, and the servers "
                f"{', '.join(sorted({row.shown_now for row in nodes}))}: something in between ends TLS with a "
                "certificate of its own. Extended Protection, which is on by default, then needs the same certificate "
                "there; TLS offload is not supported with it.",
                install(case.context.certificate),
                front.address,
            )


def _by_certificate(rows: list[ServedRow]) -> str:
    served = dict.fromkeys(row.shown_now for row in rows)
    return "; ".join(f"{now} on {listed(row.server for row in rows if row.shown_now == now)}" for now in served)


def _served(case: Case) -> Iterator[Finding]:
    if case.wish is None and not sight.shown(case):
        yield ask(
            "No port was seen: what the servers serve is not known.",
            steps(
                "Their names do not resolve here, a firewall is in between, or their services are down. Let this "
                "machine reach them, or give their addresses in the parameter verify of the task. Then look again:",
                "certwright exchange doctor",
            ),
        )
    look_again = steps(
        "Look again, and see what would mend it:",
        f"certwright exchange verify {case.context.certificate}",
        f"certwright exchange plan {case.context.certificate}",
    )
    wrong: dict[tuple[str, str], list[str]] = {}
    for row in case.context.rows:
        if told := _amiss(row, alone=case.wish is None):
            wrong.setdefault((row.server, told), []).append(f"{row.service} at {row.address}, port {row.port}")
    for (server, told), places in wrong.items():
        yield warn(f"{server or 'The public name'}: {listed(dict.fromkeys(places))}: {told}.", look_again, server)


def _amiss(row: ServedRow, *, alone: bool) -> str:
    """What is wrong with what a port serves, also by itself if it is looked at `alone`; empty if nothing is."""
    if row.verdict.is_failure:
        return f"{row.verdict}{': ' + row.detail if row.detail else ''}"
    if alone and row.now and not row.valid and row.service not in _INTERNAL and "TLS" in row.protocol:
        return f"clients refuse this certificate, which is expired or for other names ({row.shown_now})"
    return ""


def _unknown(case: Case) -> Iterator[Finding]:
    unread = {info.name.lower() for info in case.snapshot.unread}
    everything = (*case.snapshot.unknown, *(u for state in case.snapshot.servers for u in state.unknown))
    for unknown in everything:
        if unknown.subject.lower() not in unread:
            yield _not_read(unknown)
    if case.snapshot.send_connectors is None:
        yield warn(
            "The account may not read send connectors: whether one names a certificate is not known, and none follows.",
            steps(
                "Let the account into Organization Management, or give it what is needed:",
                "certwright exchange account --script",
            ),
        )
    blind = [state.info.name for state in case.snapshot.servers if state.host is None]
    if blind and case.wish is None:
        yield note(
            f"Bindings of IIS, the kind of the keys, and other certificate tools on {listed(blind)} are not known: "
            "they are read through the host's own PowerShell.",
            "Give its address in the parameter winrm, for example http://{server}:5985/wsman.",
        )


def _not_read(unknown: Unknown) -> Finding:
    where = f" of {unknown.subject}" if unknown.subject else ""
    return note(
        f"Not read: {unknown.what}{where}: {unknown.why}",
        "Nothing is assumed in its place.",
        unknown.subject,
    )


CHECKS = (
    Check(
        "rights",
        "Rights of the account",
        "Exchange hides cmdlets and parameters that an account may not use. What is missing is named, with what "
        "gives it: `certwright exchange account --script` writes the commands that give an account exactly what is "
        "needed.",
        _rights,
        unseen=sight.organisation(lambda snapshot: snapshot.rights is not None),
    ),
    Check(
        "reachability",
        "Reach of the servers",
        "If one server of a deployment cannot be read, nothing is changed on any. Others of the organisation are "
        "named.",
        _reachability,
    ),
    Check(
        "targets",
        "Servers left out",
        "Servers that serve the same names need the same certificate. An availability group copies none.",
        _targets,
        deploys,
        sight.servers(sight.addresses),
    ),
    Check(
        "rivals",
        "Other certificate tools",
        "Another ACME client (win-acme, simple-acme, Certify, Posh-ACME) would replace certificates again. By itself "
        "Certwright changes nothing while one is at work; the command that disables it is shown.",
        _rivals,
        unseen=sight.servers(sight.rivals),
    ),
    Check(
        "supervision",
        "First deployment",
        "By itself, Certwright changes an organisation only after `certwright exchange doctor` passed there and one "
        "deployment succeeded while a person looked on.",
        _supervision,
        lambda case: deploys(case) and not case.context.attended,
    ),
    Check(
        "load-balancer",
        "Load balancer",
        "A balancer that ends TLS must have the same certificate as the servers, because Extended Protection binds a "
        "sign-in to it. Servers behind one balancer need the same one.",
        _load_balancer,
        unseen=sight.ports(_WEB),
    ),
    Check(
        "served",
        "What ports serve",
        "What a port serves is in date and fits a name. Certificates for mail among servers, and that of the "
        "Exchange Back End, are self-signed by design and are not judged.",
        _served,
        unseen=sight.ports(),
    ),
    Check(
        "unknown",
        "What could not be read",
        "What could not be read is listed with its reason. Nothing is assumed in its place, so that checks which "
        "need it find nothing.",
        _unknown,
    ),
)
