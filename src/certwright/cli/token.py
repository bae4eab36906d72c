"""`certwright token`: with what programs use the API."""

from datetime import timedelta
from typing import Annotated

import typer

from certwright.cli.person import TagOption
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.access import Permission

app = typer.Typer(help="Tokens with which programs use the API.", no_args_is_help=True)


@command(app, "add")
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    allow: Annotated[
        list[str],
        typer.Option(
            metavar="PERMISSION", help=f"What it allows: {', '.join(Permission)}; may be given several times."
        ),
    ],
    tag: TagOption = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it is valid.")] = 90,
) -> None:
    """Make a token and show it, once."""
    from certwright.engine.tokens import create_token  # noqa: PLC0415 - loads the store

    token, shown = create_token(session.engine, name, allow, timedelta(days=days), tag or ())
    session.emit(
        {**token.model_dump(mode="json"), "token": shown},
        lambda console: console.print(
            f"{shown}\n\nKeep it like a password; it is not shown again. It is valid until"
            f" {token.expires_at:%Y-%m-%d %H:%M} UTC.\n"
            "Use it as: Authorization: Bearer TOKEN"
        ),
    )


@command(app, "list")
def list_tokens(session: Session) -> None:
    """List the tokens: what each allows, until when, and when it was used last, to the hour."""
    now = session.engine.now()
    with session.engine.store.read() as unit:
        found = unit.tokens.list()
    rows = [
        [
            token.name,
            ", ".join(token.permissions),
            ", ".join(token.tags) or "all",
            f"{token.expires_at:%Y-%m-%d %H:%M}" if token.is_valid(now) else "has ended",
            f"{token.used_at:%Y-%m-%d %H:00}" if token.used_at else "never",
        ]
        for token in found
    ]
    session.emit(
        [token.model_dump(mode="json") for token in found],
        lambda console: console.print(
            table(["Name", "Allows", "Certificates", "Valid until (UTC)", "Last used (UTC)"], rows)
        ),
    )


@command(app, "remove")
def remove(session: Session, name: Annotated[str, typer.Argument(metavar="NAME", help="Of the token.")]) -> None:
    """Have a token let nobody in any more."""
    from certwright.engine.tokens import remove_token  # noqa: PLC0415 - loads the store

    remove_token(session.engine, name)
    session.say(f"The token {name!r} lets nobody in any more.", name=name)
