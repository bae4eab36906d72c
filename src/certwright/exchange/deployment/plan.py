"""What must be done on Exchange, and why; or why nothing may be done. Pure: values in, a plan out.

The order is chosen for the way back. The import changes nothing that is served, so it is done everywhere first. Then
servers change in waves, the canary alone; what belongs to the organisation follows when all servers have the
certificate. Within a wave the web sites come first, because they alone can be taken back: Exchange cannot take an
assignment to SMTP, POP or IMAP back, and among several certificates for a name these services choose the newest.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime

from certwright.domain.deployment import Change, Finding, Plan, Severity
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.basis import basis
from certwright.exchange.deployment.connectors import LED_AWAY, Followers, follow
from certwright.exchange.deployment.server import Draft, draft
from certwright.exchange.deployment.situation import Situation, replaced, stored, with_replaced
from certwright.exchange.deployment.waves import numbered, order_servers, pools_of
from certwright.exchange.deployment.wish import Wish, requested_services
from certwright.exchange.judgement.checks import Context, check
from certwright.exchange.model import SUPPORTED, ServerState, Service
from certwright.exchange.snapshot import Snapshot


def make_plan(situation: Situation, wish: Wish, now: datetime, context: Context | None = None) -> Plan:
    """The changes that make every server use the version, in their order; none if they all do.

    A plan with refusals has no changes.
    """
    states = workable(situation.snapshot, wish)
    followers = _followers(situation, wish, now, states)
    drafts = _drafts(situation, wish, now, states, followers)
    todo = tuple(_ordered(drafts, order_servers(states, wish.order), followers))
    findings = [finding for made in drafts.values() for finding in made.findings]
    if any(change.action != changes.RESTART for change in todo):
        findings += followers.findings
        findings += _checked(situation, wish, now, context or Context())
        findings += _said(todo, states, wish)
    else:
        findings += [f for f in followers.findings if f.severity is Severity.STOP or f.check == LED_AWAY]
    distinct = tuple(dict.fromkeys(findings))
    is_refused = any(finding.severity is Severity.STOP for finding in distinct)
    return Plan(changes=() if is_refused else todo, findings=distinct, basis=basis(situation, wish, distinct))


def left_out(situation: Situation, wish: Wish, now: datetime, others: Collection[str]) -> tuple[str, ...]:
    """Those of the `others`, which were not chosen, that do not use the version as they should."""
    everywhere = replace(wish, servers=(*wish.servers, *others))
    states = [state for state in situation.snapshot.servers if state.server in others]
    followers = _followers(situation, everywhere, now, chosen(situation.snapshot, everywhere))
    drafts = _drafts(situation, everywhere, now, states, followers)
    return tuple(server for server, made in drafts.items() if made.imports or made.served or made.is_refused)


def _drafts(
    situation: Situation, wish: Wish, now: datetime, states: Sequence[ServerState], followers: Followers
) -> dict[str, Draft]:
    return {s.server: draft(s, situation, wish, now, followers.receive.get(s.server, ())) for s in states}


def workable(snapshot: Snapshot, wish: Wish) -> tuple[ServerState, ...]:
    """The servers to work on now: those that were chosen, without those that must be left alone."""
    return tuple(state for state in chosen(snapshot, wish) if not state.away)


def chosen(snapshot: Snapshot, wish: Wish) -> tuple[ServerState, ...]:
    """The servers that the version is for."""
    return tuple(state for state in snapshot.servers if not wish.servers or state.server in wish.servers)


def _followers(situation: Situation, wish: Wish, now: datetime, states: Sequence[ServerState]) -> Followers:
    earlier = stored(situation, replaced(situation, wish))
    servers = [state.server for state in states]
    silent = [state.server for state in states if not _is_for_smtp(state, situation, wish)]
    followed = wish.last.connectors if wish.last else {}
    return follow(situation.snapshot, wish.facts, now, earlier, wish.connectors, servers, silent, followed)


def _is_for_smtp(state: ServerState, situation: Situation, wish: Wish) -> bool:
    """Whether SMTP will have the certificate on `state`, or has it already; so as long as nothing else is known."""
    wanted = requested_services(state, with_replaced(wish, state, situation))
    held = state.certificate(wish.facts.thumbprint)
    return wanted is None or Service.SMTP in wanted | (held.services or Service.NONE if held else Service.NONE)


def _ordered(drafts: dict[str, Draft], waves: Sequence[Sequence[str]], followers: Followers) -> Iterator[Change]:
    yield from (change for made in drafts.values() for change in made.imports)
    grouped = [[change for server in wave for change in drafts[server].served] for wave in waves]
    yield from numbered([*grouped, followers.organisation])


def _checked(situation: Situation, wish: Wish, now: datetime, context: Context) -> tuple[Finding, ...]:
    every = replace(wish, predecessors=replaced(situation, wish))
    known = {field.name: getattr(context, field.name) for field in fields(context)}
    return check(situation.snapshot, every, now, **known)


def _said(todo: Sequence[Change], states: Sequence[ServerState], wish: Wish) -> Iterator[Finding]:
    """What follows from the changes, and that no plan can avoid."""
    grown = [c for c in todo if c.action == changes.ENABLE and changes.services_of(c) & SUPPORTED & ~Service.IIS]
    if any(c.parameters["Thumbprint"] == wish.facts.thumbprint for c in grown):
        yield Finding(
            check="assignments-stay",
            severity=Severity.NOTE,
            message="What is assigned to SMTP, POP or IMAP stays assigned: Exchange cannot take that back. After a "
            "rollback these services may go on serving the new certificate, which is valid; the web site goes back.",
        )
    bound = {c.target for c in todo if c.action == changes.ENABLE and changes.services_of(c) == Service.IIS}
    for pool in pools_of(states, wish.order):
        if len(mixed := [server for server in pool if server in bound]) > 1:
            waves = sum(not bound.isdisjoint(wave) for wave in order_servers(states, wish.order) if set(wave) & {*pool})
            yield _mixed(mixed, waves)


def _mixed(servers: Sequence[str], waves: int) -> Finding:
    together = "at the same time" if waves == 1 else f"in {waves} waves"
    return Finding(
        check="mixed-certificates",
        severity=Severity.NOTE,
        subject=", ".join(servers),
        message=f"{', '.join(servers)} change {together}, so for a while they serve different certificates. The cookie "
        "of forms-based sign-in is bound to the certificate: users whom a balancer sends from one to another sign in "
        "again. The time ends with the pool's last wave; each wave waits for its ports for a few minutes at most, and "
        "takes back or goes on then.",
        remedy="Choose a quiet time, or drain the servers at the balancer; a larger wave width makes it shorter.",
    )
