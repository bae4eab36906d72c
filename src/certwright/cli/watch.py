"""`certwright watch`: certificates from elsewhere, so that everything with an end is watched in one place."""

from datetime import datetime
from typing import Annotated, Any, get_args

import typer

from certwright.cli.secret import read_file, read_secret
from certwright.cli.session import Exit, Session, command
from certwright.cli.show import table
from certwright.domain.errors import ConfigurationError

app = typer.Typer(help="Certificates from elsewhere: watched, and not renewed.", no_args_is_help=True)
Item = Annotated[str, typer.Argument(metavar="ITEM", help="Its id or title.")]

PasswordFile = Annotated[str | None, typer.Option(help="File with the password of a PFX file; - is standard input.")]


@command(app, "add")
def add(
    session: Session,
    file: Annotated[str | None, typer.Option(help="A PEM, DER or PFX file; a key in it is not kept.")] = None,
    password_file: PasswordFile = None,
    endpoint: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="A service to look at.")] = None,
    starttls: Annotated[
        str | None, typer.Option(help="smtp, imap, pop3 or ldap [default: TLS from the start].")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name to send and to expect [default: HOST].")] = None,
    title: Annotated[str | None, typer.Option(help="What you call it.")] = None,
) -> None:
    """Watch the certificate in a file, or what a service serves."""
    from certwright.engine.watch import watch_endpoint, watch_file  # noqa: PLC0415 - loads the store

    if (file is None) == (endpoint is None):
        raise ConfigurationError("Either a file or a service is watched.", hint="Give --file or --endpoint.")
    if file is not None:
        if starttls or name:
            raise ConfigurationError("--starttls and --name go with --endpoint.")
        password = read_secret(password_file, "password").encode() if password_file else None
        watched = watch_file(session.engine, read_file(file, "a certificate"), title, password)
    else:
        if password_file:
            raise ConfigurationError("--password-file goes with --file.")
        watched = watch_endpoint(session.engine, _place(endpoint or "", starttls, name), title)
    now, end = session.engine.now(), f"{watched.seen.not_after:%Y-%m-%d}"
    session.say(
        f"{watched.title!r} is watched: it ends on {end}, in {watched.days_left(now)} days.", **_data(watched, now)
    )


@command(app, "replace")
def replace(
    session: Session,
    item: Item,
    file: Annotated[str, typer.Option(help="The new PEM, DER or PFX file; a key in it is not kept.")],
    password_file: PasswordFile = None,
) -> None:
    """Watch a renewed certificate in place of the file that was given before; title and history stay."""
    from certwright.engine.watch import replace_file  # noqa: PLC0415 - loads the store

    password = read_secret(password_file, "password").encode() if password_file else None
    watched = replace_file(session.engine, item, read_file(file, "a certificate"), password)
    now, changes = session.engine.now(), "; ".join(watched.changes)
    session.say(f"{watched.title!r} has another certificate: {changes}.", **_data(watched, now))


def _place(endpoint: str, starttls: str | None, name: str | None) -> Any:
    from certwright.domain.watching import Place, StartTls  # noqa: PLC0415 - loads cryptography
    from certwright.probe import Endpoint  # noqa: PLC0415 - as above

    if starttls not in (None, *get_args(StartTls)):
        raise ConfigurationError(f"There is no STARTTLS for {starttls!r}.", hint="Choose smtp, imap, pop3 or ldap.")
    where = Endpoint.parse(endpoint)
    return Place(host=where.host, port=where.port, starttls=starttls, name=name)


@command(app, "list")
def list_watched(session: Session) -> None:
    """List what is watched, as it was seen last; what ends first comes first."""
    with session.engine.store.read() as unit:
        found = sorted(unit.watches.list(), key=lambda watched: watched.seen.not_after)
    _show(session, found)


@command(app, "look")
def look(session: Session, item: Annotated[str | None, typer.Argument(metavar="[ITEM]")] = None) -> None:
    """Look now: at one item, or at all that are due."""
    from certwright.engine.watch import look_at, look_at_all  # noqa: PLC0415 - loads the store

    if item is None:
        done = look_at_all(session.engine)
    else:
        with session.engine.store.read() as unit:
            wanted = unit.watches.get(item)
        done = look_at(session.engine, [wanted])
    found = [one.watched for one in done]
    now = session.engine.now()
    bad = [watched for watched in found if watched.state(now) in ("expired", "not seen", "problem")]
    session.code = Exit.FAILED if bad else Exit.DONE if found else Exit.NOTHING_TO_DO
    _show(session, found)


@command(app, "remove")
def remove(session: Session, item: Item) -> None:
    """Watch it no more."""
    from certwright.engine.watch import unwatch  # noqa: PLC0415 - loads the store

    watched = unwatch(session.engine, item)
    session.say(f"{watched.title!r} is watched no more.", id=watched.id)


def _show(session: Session, found: list[Any]) -> None:
    now = session.engine.now()
    headers = ["Id", "Title", "Where", "Names", "Ends", "Days left", "State", "Changed"]
    rows = [
        [
            watched.id,
            watched.title,
            str(watched.place or "file"),
            ", ".join(watched.seen.names),
            f"{watched.seen.not_after:%Y-%m-%d %H:%M}",
            str(watched.days_left(now)),
            ": ".join(filter(None, (watched.state(now), watched.problem))),
            f"{watched.since:%Y-%m-%d}: {'; '.join(watched.changes)}" if watched.changes else "",
        ]
        for watched in found
    ]
    session.emit([_data(watched, now) for watched in found], lambda console: console.print(table(headers, rows)))


def _data(watched: Any, now: datetime) -> dict[str, Any]:
    return {**watched.model_dump(mode="json"), "days_left": watched.days_left(now), "state": watched.state(now)}
