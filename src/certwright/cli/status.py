"""`certwright status`: how all is; `certwright certificate look`: what is served now."""

from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.session import Exit, Session, command
from certwright.cli.show import served_tables
from certwright.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from certwright.domain.health_rules import Health
    from certwright.engine.status import Status

_SHOWN = 50


def register(app: typer.Typer, certificates: typer.Typer) -> None:
    """Add the commands: one to all, one to those of certificates."""
    command(app, "status")(status)
    command(certificates, "look")(look)


def status(
    session: Session,
    health: Annotated[
        list[str] | None,
        typer.Option(
            help="Tell of these: critical, failing, attention, paused, renewing, ok [default: the first three]."
        ),
    ] = None,
) -> None:
    """Say how all is, and what needs a person; exit code 0 if nothing does, 4 for attention, 1 for what is worse."""
    from certwright.domain.health import NEEDS_PERSON  # noqa: PLC0415 - loads cryptography
    from certwright.domain.health_rules import Health  # noqa: PLC0415 - as above
    from certwright.engine.status import status as count  # noqa: PLC0415 - loads the store

    if strangers := [name for name in health or () if name not in set(Health)]:
        raise ConfigurationError(
            f"There is no health {strangers[0][:40]!r}.", hint=f"Choose among: {', '.join(Health)}."
        )
    wanted = [Health(name) for name in health] if health else NEEDS_PERSON
    found = count(session.engine, wanted, None if session.as_json else _SHOWN)
    session.code = _code(found.overall)
    session.emit(_status_data(found), lambda console: console.print("\n".join(_status_lines(found))))


def look(session: Session, certificate: Annotated[str | None, typer.Argument(metavar="[CERT]")] = None) -> None:
    """Look at what is served, as the service does daily: of one certificate now, or of all that are due."""
    from certwright.domain.health import worst  # noqa: PLC0415 - loads cryptography
    from certwright.engine.looks import look_at, look_at_due  # noqa: PLC0415 - loads the store

    if certificate:
        done = [look_at(session.engine, certificate)]
    else:
        done = []
        while found := look_at_due(session.engine):
            done += found
    session.code = _code(worst(each.health.health for each in done)) if done else Exit.NOTHING_TO_DO

    def to_person(console: Any) -> None:
        for each in done:
            for seen in each.looks.tasks.values():
                for shown in served_tables(console, seen.rows, each.managed.title):
                    console.print(shown)
            console.print("\n".join(_lines(each.managed.id, each.managed.title, each.health)))
        if not done:
            console.print("Nothing is due to be looked at.")

    session.emit([each.data() for each in done], to_person)


def _code(health: "Health") -> Exit:
    from certwright.domain.health_rules import Health  # noqa: PLC0415 - loads cryptography

    return {Health.CRITICAL: Exit.FAILED, Health.FAILING: Exit.FAILED, Health.ATTENTION: Exit.WAITING}.get(
        health, Exit.DONE
    )


def _status_lines(found: "Status") -> list[str]:
    lines = [f"{found.overall.capitalize()}. Certificates: {_counted(found.certificates)}."]
    if found.watched:
        lines.append(f"Watched: {_counted(found.watched)}.")
    for trouble in found.service:
        lines.append(f"{trouble.health}: {trouble.title} fails since {_moment(trouble.since)}: {trouble.message}")
        lines += [f"   {line}" for line in trouble.hint.splitlines()]
    for each in found.judged:
        lines += _lines(each.id, each.title, each.condition)
    for watched, health in found.seen[:_SHOWN]:
        problem = f": {watched.problem}" if watched.problem else ""
        lines.append(f"{health}: {watched.title}, which is watched: {_ends(watched)}{problem}")
    if found.more:
        lines.append(f"And {found.more} more: certwright status --json")
    return [*lines, *map(str, found.gaps)]


def _ends(watched: Any) -> str:
    return f"ends on {_moment(watched.seen.not_after)}"


def _moment(moment: "datetime") -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _counted(counts: "Mapping[Health, int]") -> str:
    return ", ".join(f"{count} {health}" for health, count in counts.items()) or "none"


def _lines(managed_id: str, title: str, condition: Any) -> list[str]:
    lines = [f"{condition.health}: {title} ({managed_id}): {condition.message} [{condition.rule}]"]
    return [*lines, *(f"   {line}" for line in condition.hint.splitlines())]


def _status_data(found: "Status") -> dict[str, Any]:
    return {
        "overall": found.overall,
        "certificates": dict(found.certificates),
        "watched": dict(found.watched),
        "service": [{"health": trouble.health, **trouble.model_dump(mode="json")} for trouble in found.service],
        "missing": [str(gap) for gap in found.gaps],
        "told": [
            *({"id": e.id, "title": e.title, "watched": False, **_condition(e.condition)} for e in found.judged),
            *(
                {"id": w.id, "title": w.title, "watched": True, "health": health, "message": w.problem or _ends(w)}
                for w, health in found.seen
            ),
        ],
    }


def _condition(condition: Any) -> dict[str, Any]:
    return dict(condition.model_dump(mode="json"))
