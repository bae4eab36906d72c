"""`certwright credential`: what signs in to targets and DNS services; stored encrypted, shown never."""

from typing import Annotated, Any, ClassVar

import typer

from certwright.cli.params import PluginGroup, given, options, secret_options, secrets_given
from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.credentials import SignIn
from certwright.engine.catalog import Plugin
from certwright.sdk.context import Credential
from certwright.sdk.fields import in_line

app = typer.Typer(
    help="User names, passwords and keys for targets and DNS services; shown never.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="What you call it.")]
PasswordFile = Annotated[
    str | None, typer.Option(help="File with the password; - is standard input. Without it you are asked.")
]


def _add_exchange(group: typer.Typer) -> None:
    @command(group, "exchange", help=SignIn.EXCHANGE.sentence)
    def add(
        session: Session,
        name: Name,
        username: Annotated[str, typer.Option(help="The user name, for example svc-certs@contoso.com.")],
        password_file: PasswordFile = None,
    ) -> None:
        _store(session, SignIn.EXCHANGE, name, username, password_file)


def _add_pfx(group: typer.Typer) -> None:
    @command(group, "pfx", help=SignIn.PFX.sentence)
    def add(session: Session, name: Name, password_file: PasswordFile = None) -> None:
        _store(session, SignIn.PFX, name, "", password_file)


def _add_proxy(group: typer.Typer) -> None:
    @command(group, "proxy", help=SignIn.PROXY.sentence)
    def add(
        session: Session,
        name: Name,
        username: Annotated[str, typer.Option(help="The user name.")],
        password_file: PasswordFile = None,
    ) -> None:
        _store(session, SignIn.PROXY, name, username, password_file)


def _add_script(group: typer.Typer) -> None:
    @command(group, "script", help=SignIn.SCRIPT.sentence)
    def add(
        session: Session,
        name: Name,
        username: Annotated[str | None, typer.Option(help="The user name, if there is one.")] = None,
        password_file: PasswordFile = None,
    ) -> None:
        _store(session, SignIn.SCRIPT, name, username or "", password_file)


def _store(session: Session, kind: SignIn, name: str, username: str, password_file: str | None) -> None:
    from certwright.engine.credentials import store_sign_in  # noqa: PLC0415 - loads the store

    store_sign_in(session.engine, kind, Credential(name, username, read_secret(password_file, "password")))
    session.say(f"The credential {name!r} is stored.", name=name, kind=kind, username=username)


def _build(group: typer.Typer, plugin: Plugin) -> None:
    signature = [*options(plugin.params), *secret_options(plugin.params)]

    @command(group, f"dns:{plugin.name}", signature=signature, help=plugin.page.split("\n\n")[0])
    def add(
        session: Session,
        name: Name,
        no_check: Annotated[
            bool, typer.Option("--no-check", help="Store it without signing in with it first.")
        ] = False,
        **values: Any,
    ) -> None:
        from certwright.engine.credentials import store_credential  # noqa: PLC0415 - loads the store

        params = {**given(plugin.params, values), **secrets_given(plugin.params, values)}
        seen = store_credential(session.engine, plugin.name, name, params, checked=not no_check)
        session.say(
            f"The credential {name!r} is stored. {seen}".strip(), name=name, kind=f"dns:{plugin.name}", seen=seen
        )


class _AddGroup(PluginGroup):
    kind = "dns"
    prefix = "dns:"
    build = staticmethod(_build)
    own: ClassVar = {"exchange": _add_exchange, "pfx": _add_pfx, "proxy": _add_proxy, "script": _add_script}


app.add_typer(
    typer.Typer(
        cls=_AddGroup,
        help="Store a credential. Adding one that exists replaces it wherever it is used.",
        no_args_is_help=True,
    ),
    name="add",
)


@command(app, "kinds")
def list_kinds(session: Session) -> None:
    """List the kinds of credential there are, for `certwright credential add`; those of dns: are DNS providers."""
    from certwright.engine.credentials import kinds  # noqa: PLC0415 - loads the store

    rows = [{"kind": kind.name, "for": kind.sentence, "unavailable": kind.unavailable} for kind in kinds()]
    session.emit(
        rows,
        lambda console: console.print(
            table(["Kind", "What it is for", "Unavailable here"], [list(row.values()) for row in rows])
        ),
    )


@command(app, "list")
def list_credentials(session: Session) -> None:
    """List the credentials and who uses them."""
    from certwright.engine.credentials import credentials  # noqa: PLC0415 - loads the store

    found = credentials(session.engine)
    rows = [
        {"name": c.name, "kind": c.kind, **c.shown, "used_by": list(c.used_by.first), "more": c.used_by.more}
        for c in found
    ]
    session.emit(
        rows,
        lambda console: console.print(
            table(
                ["Name", "Kind", "What may be shown", "Used by"],
                [[c.name, c.kind, _shown(c.shown), str(c.used_by) or "nothing"] for c in found],
            )
        ),
    )


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {in_line(value)}" for name, value in values.items() if value not in ("", None))


@command(app, "test")
def try_out(
    session: Session,
    name: Annotated[str, typer.Argument(help="The credential of a DNS provider.")],
    domain: Annotated[
        str | None, typer.Argument(help="A domain of yours: a random record is written there, seen, and removed.")
    ] = None,
) -> None:
    """Sign in to a DNS service, and with a domain try a record there as a request would."""
    from certwright.engine.credentials import try_credential  # noqa: PLC0415 - loads the store

    seen = try_credential(session.engine, name, domain)
    session.say(seen, name=name, domain=domain)


@command(app, "remove")
def remove(session: Session, name: Annotated[str, typer.Argument(help="The credential.")]) -> None:
    """Remove a credential that nothing uses."""
    from certwright.engine.credentials import remove_credential  # noqa: PLC0415 - loads the store

    remove_credential(session.engine, name)
    session.say(f"The credential {name!r} is removed.")
