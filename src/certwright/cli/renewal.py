"""`certwright certificate hold`, `release`, `policy` and `window`: when a certificate is renewed, and deployed."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from certwright.cli.session import Session, command
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import MOST_DAYS, RenewalPolicy

if TYPE_CHECKING:
    from certwright.domain.renewal import Decision

Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]


def register(app: typer.Typer) -> None:
    """Add the commands to those of certificates."""
    command(app, "hold")(hold)
    command(app, "release")(release)
    command(app, "policy")(policy)
    command(app, "window")(window)


def hold(
    session: Session,
    certificate: Reference,
    reason: Annotated[str, typer.Option(help="Why; it is told wherever the certificate is shown.")],
    until: Annotated[datetime | None, typer.Option(help="Until when, in UTC; without it until it is released.")] = None,
) -> None:
    """Have it not be renewed for a while; what is issued already is still deployed."""
    from certwright.engine.hold import hold as keep  # noqa: PLC0415 - loads the store

    _tell(session, keep(session.engine, certificate, reason, until.replace(tzinfo=UTC) if until else None))


def release(session: Session, certificate: Reference) -> None:
    """Let it be renewed again; what failed before keeps its pause, unless somebody requests it."""
    from certwright.engine.hold import release as let_go  # noqa: PLC0415 - loads the store

    _tell(session, let_go(session.engine, certificate))


def policy(
    session: Session,
    certificate: Reference,
    days_before: Annotated[
        int | None, typer.Option(min=1, max=MOST_DAYS, help="Renew so many days before its end.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(min=0.01, max=0.99, help="Renew after this share of its life, such as 0.5.")
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="As the authority advises, else after two thirds of its life.")
    ] = False,
) -> None:
    """Choose when it is renewed; never later than with a third of its life left, or half of a life under ten days."""
    from certwright.engine.hold import set_policy  # noqa: PLC0415 - loads the store

    if sum(given is not None for given in (days_before, share)) + default != 1:
        raise ConfigurationError("Give one of --days-before, --share and --default.")
    wanted = RenewalPolicy(days_before=days_before) if days_before else RenewalPolicy()
    if share is not None:
        wanted = RenewalPolicy(lifetime_share=share)
    _tell(session, set_policy(session.engine, certificate, wanted))


def window(
    session: Session,
    certificate: Reference,
    name: Annotated[str | None, typer.Argument(metavar="[WINDOW]", help="The maintenance window.")] = None,
    anytime: Annotated[bool, typer.Option("--anytime", help="No window: deploy as soon as it is renewed.")] = False,
) -> None:
    """Choose the maintenance window in which it is deployed; renewing goes on by its own clock."""
    from certwright.engine.windows import held, set_window  # noqa: PLC0415 - loads the store

    if (name is None) != anytime:
        raise ConfigurationError("Give either a window or --anytime.", hint="`certwright window list` shows all.")
    managed = set_window(session.engine, certificate, name)
    with session.engine.store.read() as unit:
        found = held(session.engine, unit, managed)
    when = f"in the window {name!r}" if name else "at any time"
    lines = [f"{managed.title} is deployed {when}.", *(f"{one.task.title}: {one.message}" for one in found)]
    session.say("\n".join(lines), window=name, held=[one.data() for one in found])


def _tell(session: Session, decision: "Decision") -> None:
    session.say(
        f"{'Due now' if decision.due else 'Not due'}. {decision.message}",
        due=decision.due,
        reason=decision.reason,
        next_check=decision.next_check,
    )
