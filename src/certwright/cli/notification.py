"""`certwright notification`: who is told of what, and by which channels."""

from collections.abc import Iterable
from datetime import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.params import PluginGroup, given, options, secret_options, secrets_given
from certwright.cli.session import Exit, Session, command
from certwright.cli.show import table
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.domain.rules import USUAL, Digest, Matter, QuietHours, Rule
from certwright.engine.catalog import Plugin
from certwright.sdk.fields import in_line
from certwright.sdk.params import read_params

if TYPE_CHECKING:
    from certwright.engine.notify import Attempt

app = typer.Typer(help="Who is told of problems, and how.", no_args_is_help=True)
channel_app = typer.Typer(help="The ways that messages take.", no_args_is_help=True)
rule_app = typer.Typer(help="Who is told of what, and when.", no_args_is_help=True)
app.add_typer(channel_app, name="channel")
app.add_typer(rule_app, name="rule")
Name = Annotated[str, typer.Argument(help="What you call it.")]


def _build(group: typer.Typer, plugin: Plugin) -> None:
    signature = [*options(plugin.params), *secret_options(plugin.params)]

    @command(group, plugin.name, signature=signature, help=plugin.page.split("\n\n")[0])
    def add(
        session: Session,
        name: Name,
        no_check: Annotated[bool, typer.Option("--no-check", help="Store it without trying it first.")] = False,
        **values: Any,
    ) -> None:
        from certwright.engine.channels import add_channel  # noqa: PLC0415 - loads the store
        from certwright.engine.gaps import advice  # noqa: PLC0415 - as above

        params = {**given(plugin.params, values), **secrets_given(plugin.params, values)}
        seen = add_channel(session.engine, plugin.name, name, params, checked=not no_check)
        with session.engine.store.read() as unit:
            missing = advice(unit)
        lines = [
            f"The channel {name!r} is stored. {seen}".strip(),
            f"Next: certwright notification channel test {name}",
        ]
        session.emit(
            {"name": name, "kind": plugin.name, "seen": seen, "advice": missing},
            lambda console: console.print("\n".join([*lines, *missing])),
        )


class _AddGroup(PluginGroup):
    kind = "notifications"
    build = staticmethod(_build)


channel_app.add_typer(
    typer.Typer(
        cls=_AddGroup,
        help="Store a channel. Adding one that exists replaces it wherever it is used.",
        no_args_is_help=True,
    ),
    name="add",
)


@command(channel_app, "list")
def list_channels(session: Session) -> None:
    """List the channels, and what is missing so that nobody is left without word."""
    from certwright.engine.channels import channels  # noqa: PLC0415 - loads the store
    from certwright.engine.gaps import advice  # noqa: PLC0415 - as above

    with session.engine.store.read() as unit:
        found, missing, waiting = channels(unit), advice(unit), unit.outbox.waiting()
    count = {c.name: sum(posting.channel == c.name for posting in waiting) for c in found}
    rows = [
        {"name": c.name, "kind": c.kind, **c.shown, "used_by": list(c.used_by), "waiting": count[c.name]} for c in found
    ]
    shown = [
        [c.name, c.kind, ", ".join(f"{k}: {in_line(v)}" for k, v in c.shown.items() if v), str(count[c.name] or "")]
        for c in found
    ]

    def to_person(console: Any) -> None:
        console.print(table(["Name", "Kind", "What may be shown", "Waiting"], shown))
        for line in missing:
            console.print(line)

    session.emit({"channels": rows, "advice": missing}, to_person)


@command(channel_app, "test")
def test_channel(session: Session, name: Annotated[str, typer.Argument(help="The channel.")]) -> None:
    """Send a test message, and say what was answered."""
    from certwright.engine.channels import try_channel  # noqa: PLC0415 - loads the store

    answer = try_channel(session.engine, name)
    session.say(f"Sent. {answer}", name=name, answer=answer)


@command(channel_app, "remove")
def remove_channel(session: Session, name: Annotated[str, typer.Argument(help="The channel.")]) -> None:
    """Remove a channel that no rule names; what waits for it is dropped."""
    from certwright.engine.channels import remove_channel as forget  # noqa: PLC0415 - loads the store

    forget(session.engine, name)
    session.say(f"The channel {name!r} is removed.", name=name)


@command(rule_app, "add")
def add_rule(
    session: Session,
    name: Name,
    matters: Annotated[
        list[str] | None,
        typer.Option(
            "--matter", metavar="MATTER", help=f"What is told of [default: all but audit]: {', '.join(Matter)}."
        ),
    ] = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", metavar="CHANNEL", help="By which channels [default: all].")
    ] = None,
    failures: Annotated[
        int,
        typer.Option(help="Failures in a row of a request, deployment or duty of the service before it is told of."),
    ] = 3,
    days: Annotated[int, typer.Option(help="Days before the expiry from which each problem is told of at once.")] = 14,
    quiet: Annotated[
        str | None, typer.Option(metavar="FROM-TO", help="When only what is urgent is told, such as 22:00-07:00.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Whose clock that is, such as Europe/Berlin.")] = "UTC",
    digest: Annotated[Digest, typer.Option(help="How often what is not urgent is told together.")] = Digest.NONE,
    digest_at: Annotated[str, typer.Option(metavar="HH:MM", help="When on the day.")] = "08:00",
) -> None:
    """Add a rule, or replace the one of that name."""
    from certwright.engine.channels import put_rule  # noqa: PLC0415 - loads the store

    values = {
        "name": name,
        "channels": tuple(channels or ()),
        "failures": failures,
        "days": days,
        "quiet": QuietHours.parse(quiet) if quiet else None,
        "zone": zone,
        "digest": digest,
        "digest_at": _clock(digest_at),
    }
    if matters:
        values["matters"] = tuple(matters)
    rule = read_params(Rule, values, f"the rule {name!r}")
    put_rule(session.engine, rule)
    session.say(f"The rule {name!r} is stored.", **rule.model_dump(mode="json"))


def _clock(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text[:20]!r} is no time of the day.", hint="Write it as 08:00.") from None


@command(rule_app, "list")
def list_rules(session: Session) -> None:
    """List the rules."""
    with session.engine.store.read() as unit:
        rules = [rule for rule, _ in unit.notices.rules()]
    session.emit(
        [rule.model_dump(mode="json") for rule in rules],
        lambda console: console.print(
            table(["Name", "Matters", "Channels", "From", "When"], [_row(rule) for rule in rules])
        ),
    )


def _row(rule: Rule) -> list[str]:
    told = "all" if set(rule.matters) == set(USUAL) else ", ".join(rule.matters)
    when = [] if rule.digest is Digest.NONE else [f"{rule.digest} at {rule.digest_at:%H:%M}"]
    when += [f"quiet {rule.quiet}"] if rule.quiet else []
    clock = f" ({rule.zone})" if when else ""
    start = f"{rule.failures} failures, or {rule.days} days before the expiry"
    return [rule.name, told, ", ".join(rule.channels) or "all", start, f"{', '.join(when) or 'at once'}{clock}"]


@command(rule_app, "remove")
def remove_rule(session: Session, name: Annotated[str, typer.Argument(help="The rule.")]) -> None:
    """Remove a rule."""
    from certwright.engine.channels import remove_rule as forget  # noqa: PLC0415 - loads the store

    forget(session.engine, name)
    session.say(f"The rule {name!r} is removed.", name=name)


@command(app, "send")
def send(session: Session) -> None:
    """Send what is due now; the service and `certwright certificate renew` do this by themselves."""
    from certwright.engine.gaps import advice  # noqa: PLC0415 - loads the store
    from certwright.engine.notify import deliver  # noqa: PLC0415 - as above

    attempts = deliver(session.engine)
    with session.engine.store.read() as unit:
        missing = advice(unit)
    if any(attempt.error for attempt in attempts):
        session.code = Exit.FAILED
    elif not attempts:
        session.code = Exit.NOTHING_TO_DO
    lines = attempt_lines(attempts) or ["Nothing is to be sent now."]
    session.emit(
        {"attempts": [_data(attempt) for attempt in attempts], "advice": missing},
        lambda console: console.print("\n".join([*lines, *missing])),
    )


def sent_along(session: Session) -> list[str]:
    """Send what is due at the end of other work, which has succeeded whatever becomes of this; lines for a person."""
    from certwright.engine.notify import deliver  # noqa: PLC0415 - loads the store

    try:
        return attempt_lines(deliver(session.engine))
    except CertwrightError as error:
        return [f"Notifications: {line}" for line in error.explain()]


def attempt_lines(attempts: Iterable["Attempt"]) -> list[str]:
    """What was sent, and what was not, with the reason."""
    lines = []
    for attempt in attempts:
        if attempt.error is None:
            lines.append(f"Told by {attempt.channel}: {attempt.subject}. {attempt.answer}")
            continue
        lines.append(f"Not told by {attempt.channel}: {attempt.subject}.")
        lines += [f"  {line}" for line in attempt.error.explain()]
        if attempt.again:
            lines.append(f"  It is tried again from {attempt.again:%Y-%m-%d %H:%M} UTC on.")
    return lines


def _data(attempt: "Attempt") -> dict[str, Any]:
    return {
        "channel": attempt.channel,
        "subject": attempt.subject,
        "answer": attempt.answer,
        "error": list(attempt.error.explain()) if attempt.error else None,
        "again": attempt.again.isoformat() if attempt.again else None,
    }
