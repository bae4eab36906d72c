"""The way back: what has to be done so that each server uses again what it used before.

Computed from what is remembered and what is there now, so that it can be done twice, and gone on with after a crash or
when a server is back. The new certificate stays in the stores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from certwright.domain.deployment import Change, ServedRow
from certwright.domain.errors import DeploymentError, NeedsPerson, Unreachable
from certwright.exchange import changes
from certwright.exchange.apply import Work, carry_out
from certwright.exchange.memory import Before, Deployment
from certwright.exchange.model import MAIL_ACCESS, ServerState, Service
from certwright.exchange.plan import unusable

IRREVOCABLE = Service.SMTP | MAIL_ACCESS


@dataclass(slots=True)
class Return:
    """The way back of one server: changes in their order, and what stays as it is, and why."""

    changes: list[Change] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    kept: Service = IRREVOCABLE


def way_back(deployment: Deployment, state: ServerState, now: datetime) -> Return:
    """How `state` becomes what it was before `deployment`, as far as it was that which changed it."""
    before = deployment.servers[state.server]
    back = Return()
    for service, was, now_is in (
        (Service.POP, before.pop_name, state.pop_name),
        (Service.IMAP, before.imap_name, state.imap_name),
    ):
        if was and now_is and was != now_is:
            back.changes.append(changes.set_name(state.server, service, was, "it was so before"))
    _web_site(back, before, state, deployment.thumbprint, now)
    if state.internal_transport in deployment.versions:
        _internal_transport(back, before, state, now)
    return back


def _web_site(back: Return, before: Before, state: ServerState, thumbprint: str, now: datetime) -> None:
    bound, new = state.web_site_certificate(), state.certificate(thumbprint)
    if bound is not None and bound.thumbprint != thumbprint:
        return
    if bound is None and (new is None or (new.services is not None and Service.IIS not in new.services)):
        return
    if before.web_site == thumbprint:
        return
    obstacle = _obstacle(before.web_site, state, now)
    if before.web_site is None or obstacle:
        back.stays.append(
            f"{state.server}: the Default Web Site keeps the new certificate, because the one before "
            f"({before.web_site or 'unknown'}) {obstacle}."
        )
        back.kept |= Service.IIS
        return
    back.changes.append(
        changes.enable(state.server, before.web_site, Service.IIS, "the web site was bound to it before")
    )


def _internal_transport(back: Return, before: Before, state: ServerState, now: datetime) -> None:
    if before.internal is None or before.internal == state.internal_transport:
        return
    if obstacle := _obstacle(before.internal, state, now):
        back.stays.append(
            f"{state.server}: ours stays the internal transport certificate, because the one before "
            f"({before.internal}) {obstacle}."
        )
        return
    why = "it was the internal transport certificate before"
    back.changes.append(changes.enable(state.server, before.internal, Service.SMTP, why))


def _obstacle(thumbprint: str | None, state: ServerState, now: datetime) -> str | None:
    """Why a certificate must not be assigned again, or None."""
    found = state.certificate(thumbprint)
    if found is None:
        return "is not in the server's store"
    if found.is_protected:
        return "belongs to Exchange's own sign-in"
    return unusable(found, now)


def undo(deployment: Deployment, work: Work, now: datetime) -> Service:
    """Take the deployment back on every server that answers.

    Returns:
        The services that may go on serving the version that was taken back.

    Raises:
        NeedsPerson: if a server could not be reached or refused; the others are done, and this one goes on later.
    """
    kept = IRREVOCABLE
    failed: dict[str, Exception] = {}
    for server in deployment.servers:
        with work.journal.step(f"{server}: take back") as step:
            try:
                state = work.organisation.state(server)
                back = way_back(deployment, state, now)
                for note in back.stays:
                    step.note(note)
                if not back.changes:
                    step.note("Nothing has to be taken back.")
                for change in back.changes:
                    step.note(f"{changes.typed_by_hand(change)}   (because {change.why})")
                    carry_out(change, work, step)
                kept |= back.kept
            except (Unreachable, DeploymentError) as failure:
                failed[server] = failure
                step.note(failure.message)
    if failed:
        raise _stuck(deployment, failed)
    return kept


def by_hand(server: str, before: Before) -> list[str]:
    """The commands with which a person takes the deployment back on `server`, without knowing its state."""
    todo = []
    if before.web_site:
        todo.append(changes.enable(server, before.web_site, Service.IIS, ""))
    if before.internal:
        todo.append(changes.enable(server, before.internal, Service.SMTP, ""))
    for service, name in ((Service.POP, before.pop_name), (Service.IMAP, before.imap_name)):
        if name:
            todo.append(changes.set_name(server, service, name, ""))
    return [changes.typed_by_hand(change) for change in todo]


def mixed_state(rows: Sequence[ServedRow]) -> list[str]:
    """What each port serves, in words."""
    return [
        f"{r.server} {r.service} {r.address}:{r.port}: {r.now or 'nothing'}"
        f"{', valid' if r.valid else ''}{f' ({r.detail})' if r.detail else ''}"
        for r in rows
    ]


def _stuck(deployment: Deployment, failed: Mapping[str, Exception]) -> NeedsPerson:
    commands = [line for server in failed for line in by_hand(server, deployment.servers[server])]
    return NeedsPerson(
        f"The change could not be taken back on {', '.join(failed)}.",
        causes=[*failed.values(), *(f"To do it by hand, in the Exchange Management Shell: {c}" for c in commands)],
        hint="It goes on by itself with the next run once the server answers; or run the commands above.",
    )
