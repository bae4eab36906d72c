"""`certwright credential`: user names and passwords for targets; stored encrypted, shown never."""

from enum import StrEnum
from typing import Annotated

import typer

from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.errors import ConfigurationError
from certwright.sdk.context import Credential


class Kind(StrEnum):
    """What a credential is for."""

    EXCHANGE = "exchange"
    PFX = "pfx"


app = typer.Typer(help="User names and passwords for targets; shown never.", no_args_is_help=True)


@command(app, "add")
def add(
    session: Session,
    kind: Annotated[Kind, typer.Argument(help="What it is for: exchange, or pfx for the password of exported files.")],
    name: Annotated[str, typer.Argument(help="What you call it.")],
    username: Annotated[
        str | None, typer.Option(help="The user name, for example svc-certs@contoso.com; exchange needs it.")
    ] = None,
    password_file: Annotated[
        str | None, typer.Option(help="File with the password; - is standard input. Without it you are asked.")
    ] = None,
) -> None:
    """Store a credential. Adding one that exists replaces its user name and password."""
    if kind is Kind.EXCHANGE and username is None:
        raise ConfigurationError("A credential for exchange needs a user name.", hint="Give it with --username.")
    password = read_secret(password_file, "password")
    if len(password.splitlines()) > 1:
        raise ConfigurationError("The password has line breaks in it.", hint="Write it on one line, alone in the file.")
    credential = Credential(name, username or "", password)
    with session.engine.store.write() as unit:
        unit.credentials.add(kind, credential)
    session.say(f"The credential {name!r} is stored.", name=name, kind=kind, username=credential.username)


@command(app, "list")
def list_credentials(session: Session) -> None:
    """List the credentials and who uses them."""
    with session.engine.store.read() as unit:
        found = unit.credentials.list()
    rows = [{"name": c.name, "kind": c.kind, "username": c.username, "used_by": list(c.used_by)} for c in found]
    session.emit(
        rows,
        lambda console: console.print(
            table(
                ["Name", "Kind", "User name", "Used by"],
                [[c.name, c.kind, c.username, ", ".join(c.used_by) or "nothing"] for c in found],
            )
        ),
    )


@command(app, "remove")
def remove(session: Session, name: Annotated[str, typer.Argument(help="The credential.")]) -> None:
    """Remove a credential that nothing uses."""
    with session.engine.store.write() as unit:
        unit.credentials.remove(name)
    session.say(f"The credential {name!r} is removed.")
