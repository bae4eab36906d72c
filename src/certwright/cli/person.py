"""`certwright person`: who signs in to the pages."""

from datetime import datetime
from typing import Annotated

import typer

from certwright.cli import provider
from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.access import Person, Role
from certwright.domain.errors import ConfigurationError

app = typer.Typer(help="People who sign in to the pages.", no_args_is_help=True)
app.add_typer(provider.app, name="provider")
Name = Annotated[str, typer.Argument(metavar="NAME", help="With which this person signs in.")]
RoleArgument = Annotated[Role, typer.Argument(metavar="ROLE", help=f"{', '.join(Role)}.")]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Only for certificates with this tag; may be given several times [default: all]."),
]
PasswordFile = Annotated[str | None, typer.Option(help="File with the password [default: asks]; - is standard input.")]


@command(app, "add")
def add(
    session: Session,
    name: Name,
    role: RoleArgument,
    tag: TagOption = None,
    password_file: PasswordFile = None,
) -> None:
    """Let somebody sign in."""
    from certwright.engine.people import add_person  # noqa: PLC0415 - loads the store

    made = add_person(session.engine, name, role, read_secret(password_file, "password"), tag or ())
    session.say(f"{made.name} can sign in, as {made.role}.", **made.model_dump(mode="json"))


@command(app, "list")
def list_people(session: Session) -> None:
    """List the people."""
    now = session.engine.now()
    with session.engine.store.read() as unit:
        found = unit.people.list()
    rows = [
        [
            one.name,
            one.role,
            ", ".join(one.tags) or "all",
            "yes" if one.second_factor else "no",
            one.identity.provider if one.identity else "a password",
            _kept_out(one, now),
        ]
        for one in found
    ]
    session.emit(
        [one.model_dump(mode="json") for one in found],
        lambda console: console.print(table(["Name", "Role", "Certificates", "Code", "By", "Kept out"], rows)),
    )


def _kept_out(person: Person, now: datetime) -> str:
    if person.barred:
        return "yes"
    return f"until {until:%Y-%m-%d %H:%M} UTC" if (until := person.locked(now)) else "no"


@command(app, "role")
def role(session: Session, name: Name, role: RoleArgument, tag: TagOption = None) -> None:
    """Give somebody another role, at once."""
    from certwright.engine.people import set_role  # noqa: PLC0415 - loads the store

    changed = set_role(session.engine, name, role, tag or ())
    session.say(f"{changed.name} is {changed.role} now.", **changed.model_dump(mode="json"))


@command(app, "password")
def password(session: Session, name: Name, password_file: PasswordFile = None) -> None:
    """Give somebody another password, and end what is locked; where this person is signed in, it ends."""
    from certwright.engine.people import set_password  # noqa: PLC0415 - loads the store

    changed = set_password(session.engine, name, read_secret(password_file, "new password")).person
    session.say(f"{changed.name} has a new password.", **changed.model_dump(mode="json"))


@command(app, "totp")
def totp(
    session: Session,
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Have no code asked for any more.")] = False,
) -> None:
    """Have a code from an app on a phone asked for beside the password; people can set this up on the pages, too."""
    from certwright.engine import people  # noqa: PLC0415 - loads the store

    if off:
        changed = people.remove_second_factor(session.engine, name)
        session.say(f"{changed.name} signs in by the password alone.", **changed.model_dump(mode="json"))
        return
    if not session.can_ask:
        raise ConfigurationError(
            "A code is set up where somebody can type one.",
            hint="Use a terminal, or the page Account after signing in.",
        )
    factor = people.begin_second_factor(session.engine, name)
    session.console.print(f"Have the app read this, which is shown only now:\n{factor.uri(name)}")
    codes = people.confirm_second_factor(session.engine, name, typer.prompt("The code that it shows", err=True))
    session.say(
        "\n".join(("A code is asked for from now on. If the phone is lost, each of these counts once:", *codes))
    )


@command(app, "remove")
def remove(session: Session, name: Name) -> None:
    """Have somebody not be let in any more, at once."""
    from certwright.engine.people import remove_person  # noqa: PLC0415 - loads the store

    remove_person(session.engine, name)
    session.say(f"{name} is not let in any more.", name=name)


@command(app, "admit")
def admit(session: Session, name: Name) -> None:
    """Let somebody in again who was removed and comes by a provider."""
    from certwright.engine.people import admit_person  # noqa: PLC0415 - loads the store

    admitted = admit_person(session.engine, name)
    session.say(f"{admitted.name} is let in again.", **admitted.model_dump(mode="json"))
