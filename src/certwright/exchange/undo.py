"""The way back: what has to be done so that each server uses again what it used before.

Computed from what is remembered and what is there now, so that it can be done twice, and gone on with after a crash or
when a server is back. The new certificate stays in the stores.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from certwright.domain.deployment import Change, ServedRow
from certwright.domain.errors import DeploymentError, NeedsPerson, Unreachable
from certwright.exchange import changes
from certwright.exchange.apply import Work, carry_out
from certwright.exchange.host import MAIL_SERVICES
from certwright.exchange.memory import Before, Deployment, Remembered
from certwright.exchange.model import MAIL_ACCESS, ServerState, Service
from certwright.exchange.plan import unusable, unusable_by

IRREVOCABLE = Service.SMTP | MAIL_ACCESS


@dataclass(slots=True)
class Return:
    """The way back of one server: changes in their order, and what stays as it is, and why."""

    changes: list[Change] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    kept: Service = IRREVOCABLE


def way_back(deployment: Deployment, state: ServerState, now: datetime, protected: Collection[str] = ()) -> Return:
    """How `state` becomes what it was before `deployment`, as far as it was that which changed it.

    `protected` are the thumbprints with which Exchange signs its own tokens.
    """
    before = deployment.servers[state.server]
    back = Return()
    for service, was, now_is in (
        (Service.POP, before.pop_name, state.pop_name),
        (Service.IMAP, before.imap_name, state.imap_name),
    ):
        if was and now_is and was != now_is:
            back.changes.append(changes.set_name(state.server, service, was, "it was so before"))
    web_site = _obstacle(before.web_site, state, now, protected)
    _web_site(back, before, state, deployment.thumbprint, web_site)
    if state.internal_transport in deployment.versions:
        _internal_transport(back, before, state, _obstacle(before.internal, state, now, protected))
    return back


def _web_site(back: Return, before: Before, state: ServerState, thumbprint: str, obstacle: str | None) -> None:
    bound, new = state.web_site_certificate(), state.certificate(thumbprint)
    if bound is not None and bound.thumbprint != thumbprint:
        return
    if bound is None and (new is None or (new.services is not None and Service.IIS not in new.services)):
        return
    if before.web_site == thumbprint:
        return
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
                back = way_back(deployment, state, now, work.organisation.session(server).protected())
                for note in back.stays:
                    step.note(note)
                if not back.changes:
                    step.note("Nothing has to be taken back.")
                for change in back.changes:
                    step.note(f"{change.typed}   (because {change.why})")
                    carry_out(change, work, step)
                kept |= back.kept
            except (Unreachable, DeploymentError) as failure:
                failed[server] = failure
                step.note(failure.message)
    if failed:
        raise _stuck(deployment, failed, now)
    return kept


def by_hand(server: str, before: Before, now: datetime) -> list[str]:
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
            todo.append(_shell(changes.enable(server, thumbprint, service, "")))
    for service, name in ((Service.POP, before.pop_name), (Service.IMAP, before.imap_name)):
        if name:
            todo.append(_shell(changes.set_name(server, service, name, "")))
            restart = changes.restart(server, MAIL_SERVICES[service], "").typed
            todo.append(f"Then, if {service} runs, on {server} itself: {restart}")
    return todo


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
        f"{r.server} {r.service} {r.address}:{r.port}: {r.now or 'nothing'}"
        f"{', valid' if r.valid else ''}{f' ({r.detail})' if r.detail else ''}"
        for r in rows
    ]


def _distinct(errors: Iterable[Exception]) -> list[Exception]:
    """Errors that say different things; servers behind one address fail with the same words."""
    return list({str(error): error for error in errors}.values())


def _stuck(deployment: Deployment, failed: Mapping[str, Exception], now: datetime) -> NeedsPerson:
    commands = [line for server in failed for line in by_hand(server, deployment.servers[server], now)]
    return NeedsPerson(
        f"The change could not be taken back on {', '.join(failed)}.",
        causes=[*_distinct(failed.values()), *commands],
        hint="It goes on by itself with the next run once the server answers; or run the commands above.",
    )
