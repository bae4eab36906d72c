"""What is left for a person, or for a later run, when all else of a deployment is done."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from certwright.domain.deployment import Finding
from certwright.domain.errors import CertwrightError, NeedsPerson
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.apply import Left
from certwright.exchange.deployment.connectors import LEFT_OUT
from certwright.exchange.model import ServerState, Service
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.verification import balancers, chains, evidence, verify
from certwright.exchange.verification.chains import Gap
from certwright.exchange.verification.evidence import Blind
from certwright.exchange.verification.ports import Port

WAITS = "connector-waits"
SOAK = timedelta(hours=24)
"""How long those who chose some of the servers have to look at these, before the others follow by themselves."""


def completed(snapshot: Snapshot, left: Iterable[Left]) -> Snapshot:
    """`snapshot` with the names of POP and IMAP that are left to a person: what a later look finds is compared with it.

    What stands there now was set by the assignment, and chosen by nobody.
    """
    names = {(one.change.target, one.change.action): one.change.parameters.get("X509CertificateName") for one in left}

    def named(state: ServerState) -> ServerState:
        pop = names.get((state.server, changes.SET_NAME[Service.POP])) or state.pop_name
        imap = names.get((state.server, changes.SET_NAME[Service.IMAP])) or state.imap_name
        return replace(state, pop_name=pop, imap_name=imap)

    return replace(snapshot, servers=tuple(map(named, snapshot.servers)))


def outstanding(
    title: str,
    *,
    left: Sequence[Left] = (),
    restarts: Sequence[Port] = (),
    copies: Sequence[Port] = (),
    gaps: Iterable[Gap] = (),
    unseen: Sequence[Blind] = (),
    away: Mapping[str, str] | None = None,
    failed: Mapping[str, CertwrightError] | None = None,
    others: Sequence[str] = (),
    findings: Sequence[Finding] = (),
) -> NeedsPerson | None:
    """The error that says so; None if nothing is left.

    Args:
        title: of the managed certificate.
        left: changes that failed and only complete it.
        restarts: ports of services that a person has to restart.
        copies: ports of load balancers that present a copy of the earlier certificate.
        gaps: ports that send the certificate without that of its issuer.
        unseen: servers of which it was not seen whether they serve it.
        away: servers that had to be left alone, and why.
        failed: servers that failed alone, and why; a `NeedsPerson` says that one could not be taken back yet.
        others: servers that were not chosen, and do not use the certificate yet.
        findings: what the plan found.
    """
    error: NeedsPerson | None = None
    if left:
        error = verify.person_completes(left, restarts, title)
    elif restarts:
        error = verify.person_restarts(restarts, title)
    elif copies:
        error = balancers.person_installs(copies, title)
    elif found := chains.findings(gaps, title):
        error = chains.person_adds(found, title)
    if unseen:
        error = evidence.person_looks(unseen, shlex.quote(title), error)
    waiting = [f.text for f in findings if f.check == WAITS or (others and f.check == LEFT_OUT)]
    if not (away or failed or others or waiting):
        return error
    servers = [*(away or ()), *(failed or ()), *others]
    causes: list[Exception | str] = [f"{server}: left alone, because {why}" for server, why in (away or {}).items()]
    causes += [f"{server}: failed, and {_went(failure)}" for server, failure in (failed or {}).items()]
    causes += [f"{server}: not worked on, because it was not chosen this time" for server in others]
    causes += [*(failed or {}).values(), *waiting]
    if error:
        causes += [error.message, *error.causes]
    return NeedsPerson(
        f"All is done but for {', '.join(servers) or 'connectors that have to wait'}.",
        causes=causes,
        hint=_next_step(title, is_chosen=bool(others)),
        retry_after=SOAK if others else None,
        can_wait=error is None and not any(isinstance(failure, NeedsPerson) for failure in (failed or {}).values()),
    )


def _next_step(title: str, *, is_chosen: bool) -> str:
    if not is_chosen:
        return f"The next run of {title!r} goes on there, once the server can be worked on."
    return (
        f"When all is well, go on with the others: certwright exchange apply {shlex.quote(title)}. Where unattended "
        f"work is released, it does so by itself after {SOAK / timedelta(hours=1):g} hours."
    )


def _went(failure: CertwrightError) -> str:
    stuck = isinstance(failure, NeedsPerson)
    return "could not be taken back yet" if stuck else "was taken back alone"
