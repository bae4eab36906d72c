"""`certwright certificate request`, `renew` and `revoke`: what the authority is asked for."""

from typing import Annotated, Any

import typer

from certwright.cli.deploy import Now
from certwright.cli.notification import sent_along
from certwright.cli.session import Exit, Session, command, exit_code
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import CertificateVersion

Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]
Force = Annotated[bool, typer.Option("--force", help="Also if it is not due.")]


def register(app: typer.Typer) -> None:
    """Add the commands to those of certificates."""
    command(app, "request")(request)
    command(app, "renew")(renew)
    command(app, "revoke")(revoke)


def request(session: Session, certificate: Reference, force: Force = False) -> None:
    """Get the next version if one is due; an order that was interrupted is resumed."""
    from certwright.engine.request import request as ask  # noqa: PLC0415 - loads the store

    result = ask(session.engine, certificate, force=force)
    if result.version is None:
        session.code = Exit.NOTHING_TO_DO
        told = "\n".join(filter(None, (f"Not due. {result.decision.message}", result.decision.hint)))
        session.say(told, issued=None, reason=result.decision.reason)
        return
    session.say(
        f"Issued: version {result.version.id}.\nNext: {_next(session, result.version.managed_id)}",
        issued=_version(result.version),
        reason=result.decision.reason,
    )


def renew(
    session: Session,
    certificate: Annotated[str | None, typer.Argument(metavar="[CERT]", help="Without it: all that is due.")] = None,
    force: Force = False,
    now: Now = False,
) -> None:
    """Get what is due and run the deployment tasks that have not put it to use."""
    from certwright.cli.deploy import report, worst  # noqa: PLC0415 - loads the store
    from certwright.engine import renew as engine  # noqa: PLC0415 - as above

    if certificate is None:
        if force:
            raise ConfigurationError(
                "--force needs a certificate: renewing all that is not due would meet rate limits."
            )
        if now:
            raise ConfigurationError("--now needs a certificate: it is a word for one that you look at.")
        done = engine.renew_all(session.engine)
    else:
        done = [engine.renew(session.engine, certificate, force=force, anytime=now)]
    codes = [worst(item.tasks) for item in done] + [exit_code(item.error) for item in done if item.error]
    if not done or all(item.nothing_to_do for item in done):
        session.code = Exit.NOTHING_TO_DO
    else:
        session.code = max(codes, default=Exit.DONE, key=_severity)
    for item in done:
        report(session, item.tasks)
    lines = [*_renewal_lines(done), *sent_along(session)]
    session.emit([_renewal(item) for item in done], lambda console: console.print("\n".join(lines)))


def revoke(
    session: Session,
    certificate: Reference,
    reason: Annotated[str, typer.Option(help="key-compromise, superseded, cessation-of-operation, ...")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Revoke the current version. Almost never right: do it only if its key is in wrong hands."""
    from certwright.engine.revoke import revoke as take_back  # noqa: PLC0415 - loads the store

    warning = (
        "Revoking breaks every service that still presents this certificate, frees no rate limit and cannot be undone. "
        "If it is only to be replaced, run: certwright certificate renew --force"
    )
    if not yes and not typer.confirm(f"{warning}\nRevoke it?", default=False, err=True):
        raise ConfigurationError("Nothing was revoked.", hint="With --yes it is revoked without a question.")
    version = take_back(session.engine, certificate, reason)
    session.say(
        f"Revoked. Replace it now: certwright certificate renew {version.managed_id}", version=version.id, reason=reason
    )


def _next(session: Session, managed_id: str) -> str:
    """What puts a new version to use."""
    with session.engine.store.read() as unit:
        kinds = {task.kind for task in unit.managed.get(managed_id).deploying}
    if kinds == {"exchange"}:
        return f"certwright exchange plan {managed_id}"
    if kinds:
        return f"certwright deploy {managed_id}"
    return f"certwright task add {managed_id} KIND ..., or certwright certificate export {managed_id}"


def _severity(code: Exit) -> int:
    return [Exit.DONE, Exit.NOTHING_TO_DO, Exit.WAITING, Exit.USAGE, Exit.FAILED].index(code)


def _version(version: CertificateVersion) -> dict[str, Any]:
    return version.model_dump(mode="json")


def _renewal(item: Any) -> dict[str, Any]:
    issued = item.request.version if item.request else None
    return {
        "certificate": item.managed.id,
        "issued": _version(issued) if issued else None,
        "reason": item.request.decision.reason if item.request else None,
        "error": list(item.error.explain()) if item.error else None,
        "tasks": [task.data() for task in item.tasks],
    }


def _renewal_lines(done: list[Any]) -> list[str]:
    if not done:
        return ["Nothing is due."]
    lines = []
    for item in done:
        if item.request and item.request.version:
            lines.append(f"{item.managed.title}: issued version {item.request.version.id}.")
        if item.error:
            lines += [f"{item.managed.title}: {line}" for line in item.error.explain()]
        elif not item.request.version:
            lines.append(f"{item.managed.title}: not due. {item.request.decision.message}")
    return lines
