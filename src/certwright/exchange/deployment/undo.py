"""The way back: what has to be done so that each server uses again what it used before.

Computed from what is remembered and what is there now, so that it can be done twice, and gone on with after a crash or
when a server is back. The new certificate stays in the stores.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_

from certwright.domain.deployment import Change, Finding, Plan, ServedRow, Severity
from certwright.domain.errors import CertwrightError, NeedsPerson, Unreachable
from certwright.exchange.access.host import MAIL_SERVICES
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.apply import Work, carry_out, organisational
from certwright.exchange.deployment.connectors import ORGANISATION, title
from certwright.exchange.deployment.memory import Before, Deployment, Named, Remembered
from certwright.exchange.deployment.rollout import shown
from certwright.exchange.fitness import unusable, unusable_by
from certwright.exchange.model import MAIL_ACCESS, Connector, ServerState, Service
from certwright.exchange.parallel import in_turn, side_by_side
from certwright.exchange.references import referred_to
from certwright.sdk.journal import Step

IRREVOCABLE = Service.SMTP | MAIL_ACCESS
_MAIL_STAYS = (
    "{}: SMTP, IMAP and POP go on serving the newer certificate where they choose by name: Exchange cannot take that "
    "assignment away again. It is valid and stays in the store."
)


@dataclass(slots=True)
class Return:
    """The way back of one server: changes in their order, and what stays as it is, and why."""

    changes: list[Change] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    kept: Service = IRREVOCABLE


def way_back(
    deployment: Deployment,
    state: ServerState,
    now: datetime,
    protected: Collection[str] = (),
    *,
    do_not_require_ssl: bool = False,
) -> Return:
    """How `state` becomes what it was before `deployment`, as far as it was that which changed it.

    `protected` are the thumbprints with which Exchange signs its own tokens.
    """
    before = deployment.servers[state.server]
    back = Return()
    for named in deployment.connectors:
        if named.kind == "receive" and named.server == state.server:
            _connector(back, named, state.connectors or (), [state], deployment, now)
    ours = state.certificate(deployment.thumbprint)
    for service, was, now_is in (
        (Service.POP, before.pop_name, state.pop_name),
        (Service.IMAP, before.imap_name, state.imap_name),
    ):
        if not was or not now_is or was == now_is:
            continue
        if ours and ours.facts and not ours.facts.covers(now_is):
            back.stays.append(
                f"{state.server}: {service} looks for {now_is} now, which somebody else set: it stays so."
            )
        else:
            back.changes.append(changes.set_name(state.server, service, was, "it was so before"))
    if _serves(state, deployment.thumbprint) and before.web_site != deployment.thumbprint:
        obstacle = _obstacle(before.web_site, state, now, protected)
        _web_site(back, before, state, obstacle, do_not_require_ssl=do_not_require_ssl)
    if state.internal_transport in deployment.versions:
        _internal_transport(back, before, state, _obstacle(before.internal, state, now, protected))
    return back


def _serves(state: ServerState, thumbprint: str) -> bool:
    """Whether the Default Web Site uses this certificate, as far as Exchange tells."""
    found = state.certificate(thumbprint)
    if state.web_site_certificate() is not None:
        return found is not None and found.on_web_site
    return found is not None and (found.services is None or Service.IIS in found.services)


def _web_site(
    back: Return, before: Before, state: ServerState, obstacle: str | None, *, do_not_require_ssl: bool
) -> None:
    if before.web_site is None or obstacle:
        back.stays.append(
            f"{state.server}: the Default Web Site keeps the new certificate, because the one before "
            f"({before.web_site or 'unknown'}) {obstacle}."
        )
        back.kept |= Service.IIS
        return
    why = "the web site was bound to it before"
    back.changes.append(
        changes.enable(state.server, before.web_site, Service.IIS, why, do_not_require_ssl=do_not_require_ssl)
    )


def _internal_transport(back: Return, before: Before, state: ServerState, obstacle: str | None) -> None:
    if before.internal is None or before.internal == state.internal_transport:
        return
    if obstacle:
        back.stays.append(
            f"{state.server}: ours stays the internal transport certificate, because the one before "
            f"({before.internal}) {obstacle}."
        )
        return
    why = "it was the internal transport certificate before"
    back.changes.append(changes.enable(state.server, before.internal, Service.SMTP, why))


def _obstacle(thumbprint: str | None, state: ServerState, now: datetime, protected: Collection[str]) -> str | None:
    """Why a certificate must not be assigned again, or None."""
    found = state.certificate(thumbprint)
    if found is None:
        return "is not in the server's store"
    if found.is_protected or thumbprint in protected:
        return "belongs to Exchange's own sign-in"
    return unusable(found, now)


def plan(deployment: Deployment, work: Work, now: datetime) -> Plan:
    """What `undo` would do now, as a plan: what belongs to the organisation comes first, as it came last."""
    servers = sorted(server for server in deployment.servers if server not in deployment.settled)
    states = {server: _read(work, server) for server in servers}
    owned = [named for named in deployment.connectors if named.kind != "receive"]
    current = organisational(work.organisation, work.servers) if owned else ()
    ways = [_organisation_back(owned, current or (), deployment, list(states.values()), now)]
    for server, state in states.items():
        protected = work.organisation.session(server).protected()
        ways.append(way_back(deployment, state, now, protected, do_not_require_ssl=work.do_not_require_ssl))
    told = [Finding(check="undo-stays", severity=Severity.WARN, message=s) for back in ways for s in back.stays]
    moved = [s for s, state in states.items() if _assigned(state, deployment.thumbprint) & IRREVOCABLE]
    if moved:
        mail = _MAIL_STAYS.format(", ".join(moved))
        told.append(Finding(check="undo-mail-stays", severity=Severity.NOTE, message=mail))
    return Plan(
        changes=tuple(change.model_copy(update={"wave": 1}) for back in ways for change in back.changes),
        findings=tuple(told),
        basis={server: shown(state) for server, state in states.items()},
    )


def _read(work: Work, server: str) -> ServerState:
    """A server as it is now, with the revocations that we know of."""
    return work.organisation.state(server).knowing(work.revoked)


def _organisation_back(
    owned: Sequence[Named],
    current: Sequence[Connector],
    deployment: Deployment,
    states: Sequence[ServerState],
    now: datetime,
) -> Return:
    """The way back of what belongs to no server."""
    back = Return()
    for named in reversed(owned):
        _connector(back, named, current, states, deployment, now)
    return back


def _assigned(state: ServerState, thumbprint: str) -> Service:
    found = state.certificate(thumbprint)
    return found.services or Service.NONE if found else Service.NONE


def let_go(
    deployment: Deployment, servers: Collection[str], now: datetime, *, do_not_require_ssl: bool = False
) -> dict[str, list[str]]:
    """The servers that still have to be taken back, but are no longer among `servers`: what a person does on each."""
    return {
        server: [
            f"{server} is no longer among the task's servers: what was begun there is not taken back.",
            *by_hand(server, before, now, deployment.connectors, do_not_require_ssl=do_not_require_ssl),
        ]
        for server, before in deployment.servers.items()
        if server not in deployment.settled and not any(_is_same(server, named) for named in servers)
    }


def _is_same(server: str, other: str) -> bool:
    """Whether two names mean the same server; one of them may be short."""
    one, two = server.lower(), other.lower()
    is_short = "." not in one or "." not in two
    return one == two or (is_short and one.partition(".")[0] == two.partition(".")[0])


def without(deployment: Deployment, servers: Collection[str]) -> Deployment:
    """`deployment`, as if it had never begun on `servers`."""
    kept = {server: before for server, before in deployment.servers.items() if server not in servers}
    return deployment.model_copy(update={"servers": kept})


def undo(deployment: Deployment, work: Work, now: datetime) -> Service:
    """Take the deployment back on every server that answers and is not settled; connectors first, as they came last.

    Returns:
        The services that may go on serving the version that was taken back.

    Raises:
        NeedsPerson: if a server could not be reached or refused; the others are done, and this one goes on later.
    """
    servers = [server for server in deployment.servers if server not in deployment.settled]
    failed: dict[str, CertwrightError] = {}
    if owned := [named for named in deployment.connectors if named.kind != "receive"]:
        failed |= in_turn([ORGANISATION], lambda _: _connectors_back(owned, deployment, work, now))
    kept = dict.fromkeys(servers, IRREVOCABLE)

    def take_back(server: str) -> None:
        kept[server] |= _server_back(server, deployment, work, now)

    failed |= side_by_side(servers, take_back, work.stop)
    if failed:
        raise stuck(deployment, failed, now, do_not_require_ssl=work.do_not_require_ssl)
    return reduce(or_, kept.values(), IRREVOCABLE)


def undo_server(deployment: Deployment, server: str, work: Work, now: datetime) -> None:
    """Take the deployment back on one server alone.

    Raises:
        Unreachable, DeploymentError: if it does not answer, or refuses.
    """
    if server in deployment.servers:
        _server_back(server, deployment, work, now)


def _server_back(server: str, deployment: Deployment, work: Work, now: datetime) -> Service:
    with work.journal.step(f"{server}: take back") as step:
        state = _read(work, server)
        protected = work.organisation.session(server).protected()
        back = way_back(deployment, state, now, protected, do_not_require_ssl=work.do_not_require_ssl)
        _carry_out(back, work, step)
        return back.kept


def _connectors_back(owned: Sequence[Named], deployment: Deployment, work: Work, now: datetime) -> None:
    with work.journal.step("The organisation's connectors: take back") as step:
        current = organisational(work.organisation, work.servers)
        if current is None:
            raise Unreachable(
                "No server answers, so connectors cannot be read.",
                hint="Once one of the servers answers, run this again: it goes on with the way back.",
            )
        states = _readable(deployment, work)
        _carry_out(_organisation_back(owned, current, deployment, states, now), work, step)


def _readable(deployment: Deployment, work: Work) -> list[ServerState]:
    """The servers that can be read now."""
    states: dict[str, ServerState] = {}

    def read(server: str) -> None:
        states[server] = _read(work, server)

    side_by_side(deployment.servers, read, work.stop)
    return list(states.values())


def _carry_out(back: Return, work: Work, step: Step) -> None:
    for note in back.stays:
        step.note(note)
    if not back.changes:
        step.note("Nothing has to be taken back.")
    for change in back.changes:
        step.note(f"{change.typed}   (because {change.why})")
        carry_out(change, work, step)


def _connector(
    back: Return,
    named: Named,
    current: Iterable[Connector],
    states: Sequence[ServerState],
    deployment: Deployment,
    now: datetime,
) -> None:
    """The way back of one connector: to the value it had, if a certificate of that name can still be used."""
    restored = changes.name_certificate(named.connector, named.before, "it was so before", target=ORGANISATION)
    found = changes.connector_of(restored, current)
    if found is None or (found.tls_certificate_name or "").lower() == (named.before or "").lower():
        return
    stored = [c for state in states for c in state.certificates]
    ours = [c for c in stored if c.thumbprint in deployment.versions]
    if ours and not referred_to(found.tls_certificate_name, ours):
        value = found.tls_certificate_name or "no certificate"
        back.stays.append(f"{title(named.connector)} names {value} now, which somebody else set: it stays so.")
        return
    held = referred_to(named.before, stored)
    obstacles = [obstacle for certificate in held if (obstacle := unusable(certificate, now))]
    if named.before is not None and len(obstacles) == len(held):
        reason = f"the certificate it named before {obstacles[0]}" if held else "no server has what it named before"
        back.stays.append(f"{title(named.connector)} keeps the name of the new certificate: {reason}.")
        return
    back.changes.append(restored)


def by_hand(
    server: str,
    before: Before,
    now: datetime,
    connectors: Iterable[Named] = (),
    *,
    do_not_require_ssl: bool = False,
) -> list[str]:
    """What a person does to take the deployment back on `server`, by what is remembered alone: sentences.

    A certificate that must not be used again is named with the reason instead of the command.
    """
    todo = []
    for thumbprint, service, used in (
        (before.web_site, Service.IIS, "the Default Web Site's earlier certificate"),
        (before.internal, Service.SMTP, "the earlier internal transport certificate"),
    ):
        if thumbprint and (obstacle := _remembered_obstacle(before.certificates.get(thumbprint), now)):
            todo.append(f"{server}: {used} {thumbprint} {obstacle}: leave the new one there.")
        elif thumbprint:
            made = changes.enable(server, thumbprint, service, "", do_not_require_ssl=do_not_require_ssl)
            todo.append(_shell(made))
    for service, name in ((Service.POP, before.pop_name), (Service.IMAP, before.imap_name)):
        if name:
            todo.append(_shell(changes.set_name(server, service, name, "")))
            restart = changes.restart(server, MAIL_SERVICES[service], "").typed
            todo.append(f"Then, if {service} runs, on {server} itself: {restart}")
    return todo + [_named_by_hand(named, now) for named in connectors if named.server == server]


def _named_by_hand(named: Named, now: datetime) -> str:
    """The same for a connector."""
    obstacles = [_remembered_obstacle(found, now) for found in named.certificates.values()]
    if obstacles and all(obstacles):
        return f"{title(named.connector)}: the certificate it named before {obstacles[0]}: leave it the new one."
    return _shell(changes.name_certificate(named.connector, named.before, ""))


def _shell(change: Change) -> str:
    return f"To do it by hand, in the Exchange Management Shell: {change.typed}"


def _remembered_obstacle(found: Remembered | None, now: datetime) -> str | None:
    if found is None:
        return None
    if found.protected:
        return "belongs to Exchange's own sign-in"
    return unusable_by(found.has_key, found.not_after, found.status, now)


def mixed_state(rows: Sequence[ServedRow]) -> list[str]:
    """What each port serves, in words."""
    return [
        f"{r.server} {r.service} {r.address}:{r.port}: {r.shown_now}"
        f"{', valid' if r.valid else ''}{f' ({r.detail})' if r.detail else ''}"
        for r in rows
    ]


def _distinct(errors: Iterable[Exception]) -> list[Exception]:
    """Errors that say different things; servers behind one address fail with the same words."""
    return list({str(error): error for error in errors}.values())


def stuck(
    deployment: Deployment,
    failed: Mapping[str, CertwrightError],
    now: datetime,
    *,
    do_not_require_ssl: bool = False,
) -> NeedsPerson:
    """What a person has to do where the deployment could not be taken back."""
    owned = [named for named in reversed(deployment.connectors) if named.kind != "receive"]
    commands = [_named_by_hand(named, now) for named in owned if ORGANISATION in failed]
    for server in deployment.servers:
        if server in failed:
            before, connectors = deployment.servers[server], deployment.connectors
            commands += by_hand(server, before, now, connectors, do_not_require_ssl=do_not_require_ssl)
    return NeedsPerson(
        f"The change could not be taken back on {', '.join(failed)}.",
        causes=[*_distinct(failed.values()), *commands],
        hint="It goes on by itself with the next run once the server answers; or run the commands above.",
    )
