"""Carries a plan out in its waves: import everywhere, the canary, then the others; the organisation last."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from certwright.domain.deployment import Change, Plan
from certwright.domain.errors import CertwrightError, DeploymentError, Unreachable
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.apply import NAME, Work, check_import, let_trust, make
from certwright.exchange.deployment.waves import Phase, Wave, phase_of, waves_of
from certwright.exchange.fitness import UNTRUSTED
from certwright.exchange.model import ServerState
from certwright.exchange.parallel import first_of, in_turn, side_by_side


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a task does between the changes.

    `before_import` is called with each server before the certificate is put into its store, `before_use` before the
    first change there that is served, `before_connectors` before what belongs to the organisation is changed. `verify`
    looks at servers that have changed, and tells by server what is wrong. `alone` takes a server back that failed after
    the first wave, `settled` hears of one that did not; where these are None, one failure ends the whole plan.
    """

    before_use: Callable[[str], None]
    before_import: Callable[[str], None] = lambda _: None
    before_connectors: Callable[[], None] = lambda: None
    verify: Callable[[Sequence[str]], Mapping[str, CertwrightError]] = lambda _: {}
    alone: Callable[[str, CertwrightError], None] | None = None
    settled: Callable[[str], None] | None = None


def carry_out_plan(plan: Plan, work: Work, hooks: Hooks) -> None:
    """Do what `plan` says: import everywhere, then wave by wave; each is verified before the next begins.

    Where mail services have moved, which cannot be taken back, what only completes the change is no reason to take the
    web site back: it is left for a person, and the rest is done. So are connectors, of a server as of the organisation:
    they go on naming the earlier certificate, which stays in the store, and their ports serve it. What belongs to the
    organisation does so too while a server that failed alone does not have the new one in use.

    Raises:
        DeploymentError, Unreachable: for the first wave in which a change failed, once its servers have ended.
    """
    if plan.refusals or plan.questions:
        raise DeploymentError("Nothing was changed: the plan was refused.", causes=[*plan.refusals, *plan.questions])
    begun = False
    alone: list[str] = []
    _import_everywhere(plan, work, hooks)
    for wave in waves_of(plan.changes):
        if wave.number == 0:
            continue
        if Phase.ORGANISATION in wave.phases and alone:
            work.journal.note(f"Connectors of the organisation stay as they are until {', '.join(alone)} is done too.")
        elif Phase.ORGANISATION in wave.phases:
            hooks.before_connectors()
            for change in wave.phases[Phase.ORGANISATION].get(_first_target(wave), ()):
                make(change, work, is_optional=True)
        else:
            alone += _serve(wave, work, hooks, may_fail_alone=begun)
            begun = True


def _import_everywhere(plan: Plan, work: Work, hooks: Hooks) -> None:
    """Nothing is used anywhere before all servers have the certificate and accept it, with its issuers if need be."""
    imports = {change.target: change for change in plan.changes if phase_of(change) is Phase.IMPORT}
    issuers = {change.target: change for change in plan.changes if changes.imports_issuers(change)}

    def run(server: str) -> None:
        hooks.before_import(server)
        make(imports[server], work)

    def check(server: str) -> None:
        wanted = imports.get(server) or issuers[server]
        found = check_import(wanted, work, may_lack_issuers=server in issuers)
        if found.status == UNTRUSTED:
            let_trust(issuers[server], work)
            found = check_import(wanted, work)
        if found.tls_certificate_name:
            work.secrets.setdefault(NAME, found.tls_certificate_name)

    for servers, step in ((imports, run), ({**imports, **issuers}, check)):
        if failed := side_by_side(servers, step, work.stop):
            raise first_of(failed)
    if imports and any(map(changes.needs_name, plan.changes)) and work.written is None:
        raise DeploymentError(
            "Exchange does not tell how it writes issuer and subject of the imported certificate, so that connectors "
            "cannot name it. Nothing that is served was changed.",
            hint="Set them yourself, or leave them out of the parameter connectors.",
        )


def _serve(wave: Wave, work: Work, hooks: Hooks, *, may_fail_alone: bool) -> tuple[str, ...]:
    """One wave of servers: every phase on all of them before the next, then what their ports show.

    Returns:
        The servers that failed alone.
    """
    alone = hooks.alone if may_fail_alone else None
    prepared: set[str] = set()
    failed: dict[str, CertwrightError] = {}

    def go_on() -> None:
        if failed and alone is None:
            raise first_of(failed)

    def run(changes_of: Mapping[str, Sequence[Change]], server: str) -> None:
        if server not in prepared:
            hooks.before_use(server)
            prepared.add(server)
        for change in changes_of[server]:
            make(change, work)

    work.journal.note(f"Wave {wave.number}: {', '.join(wave.servers)}")
    for phase, targets in wave.phases.items():
        going = [server for server in targets if server not in failed]
        doing = partial(run, targets)
        failed |= in_turn(going, doing) if phase is Phase.WEB_RESTART else side_by_side(going, doing, work.stop)
        go_on()
    side_by_side(wave.servers, partial(_read_back, work), work.stop)
    failed |= hooks.verify([server for server in wave.servers if server not in failed])
    go_on()
    _settle(wave, failed, hooks)
    return tuple(failed)


def _settle(wave: Wave, failed: Mapping[str, CertwrightError], hooks: Hooks) -> None:
    """Where servers stand for themselves: those that failed are taken back, the others are done."""
    for server in wave.servers:
        if server not in failed and hooks.settled:
            hooks.settled(server)
        elif server in failed and hooks.alone:
            hooks.alone(server, failed[server])


def _first_target(wave: Wave) -> str:
    return next(iter(wave.phases[Phase.ORGANISATION]))


def _read_back(work: Work, server: str) -> None:
    """Say what the server shows after its changes."""
    try:
        state = work.states[server] = work.organisation.state(server)
    except (Unreachable, DeploymentError) as failure:
        work.journal.note(f"{server}: cannot be read back: {failure.message}")
        return
    work.journal.note(f"{server}: read back: {shown(state)}.")


def shown(state: ServerState) -> str:
    """What a server uses, in words."""
    bound = state.web_site_certificate()
    named = [f"{c.name} names {c.tls_certificate_name}" for c in state.connectors or () if c.tls_certificate_name]
    return "; ".join(
        [
            f"the web site uses {bound.thumbprint if bound else 'a certificate that Exchange does not tell'}",
            f"internal transport {state.internal_transport or 'unknown'}",
            f"POP looks for {state.pop_name or 'unknown'}, IMAP for {state.imap_name or 'unknown'}",
            *named,
        ]
    )
