"""`certwright person`: who signs in to the pages."""

from typing import Annotated

import typer

from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.access import Role

app = typer.Typer(help="People who sign in to the pages.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="With which this person signs in.")]
PasswordFile = Annotated[str | None, typer.Option(help="File with the password [default: asks]; - is standard input.")]


@command(app, "add")
def add(
    session: Session,
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="administrator, operator or viewer.")],
    password_file: PasswordFile = None,
) -> None:
    """Let somebody sign in."""
    from certwright.engine.people import add_person  # noqa: PLC0415 - loads the store

    made = add_person(session.engine, name, role, read_secret(password_file, "password"))
    session.say(f"{made.name} can sign in, as {made.role}.", **made.model_dump(mode="json"))


@command(app, "list")
def list_people(session: Session) -> None:
    """List the people."""
    now = session.engine.now()
    with session.engine.store.read() as unit:
        found = unit.people.list()
    rows = [
        [one.name, one.role, f"until {until:%Y-%m-%d %H:%M} UTC" if (until := one.locked(now)) else "no"]
        for one in found
    ]
    session.emit(
        [one.model_dump(mode="json") for one in found],
        lambda console: console.print(table(["Name", "Role", "Locked"], rows)),
    )


@command(app, "password")
def password(session: Session, name: Name, password_file: PasswordFile = None) -> None:
    """Give somebody another password, and end what is locked; where this person is signed in, it ends."""
    from certwright.engine.people import set_password  # noqa: PLC0415 - loads the store

    changed = set_password(session.engine, name, read_secret(password_file, "new password"))
    session.say(f"{changed.name} has a new password.", **changed.model_dump(mode="json"))


@command(app, "remove")
def remove(session: Session, name: Name) -> None:
    """Have somebody not be let in any more, at once."""
    with session.engine.store.write() as unit:
        unit.people.remove(name)
    session.say(f"{name} is not let in any more.", name=name)
