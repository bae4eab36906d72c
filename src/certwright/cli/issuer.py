"""`certwright issuer`: accounts at authorities."""

from typing import Annotated, Any

import typer

from certwright.cli.params import PluginGroup, given, options
from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Issuer
from certwright.engine.catalog import Plugin

app = typer.Typer(help="Accounts at certificate authorities.", no_args_is_help=True)


def _build(group: typer.Typer, plugin: Plugin) -> None:
    @command(group, plugin.name, signature=options(plugin.params), help=plugin.page.split("\n\n")[0])
    def add(
        session: Session,
        name: Annotated[str, typer.Argument(help="What you call it, for example letsencrypt.")],
        eab_kid: Annotated[str | None, typer.Option(help="Key id of the external account binding.")] = None,
        eab_key_file: Annotated[
            str | None, typer.Option(help="File with its base64url MAC key; - is standard input.")
        ] = None,
        internal_names: Annotated[
            bool | None,
            typer.Option(
                "--internal-names/--public-names",
                help="Whether it issues for names that exist only inside networks [default: if --ca-file is given].",
            ),
        ] = None,
        **values: Any,
    ) -> None:
        from certwright.engine.issuers import add_issuer  # noqa: PLC0415 - loads the store

        if (eab_kid is None) != (eab_key_file is None):
            raise ConfigurationError("--eab-kid and --eab-key-file belong together.")
        eab = (eab_kid, read_secret(eab_key_file, "EAB key").encode()) if eab_kid else None
        params = given(plugin.params, values)
        internal = "ca_file" in params if internal_names is None else internal_names
        issuer = add_issuer(session.engine, plugin.name, name, params, internal_names=internal, eab=eab)
        session.say(f"The issuer {name!r} is ready.", **_data(issuer))


class _AddGroup(PluginGroup):
    kind = "issuers"
    build = staticmethod(_build)


app.add_typer(typer.Typer(cls=_AddGroup, help="Register an account.", no_args_is_help=True), name="add")


@command(app, "list")
def list_issuers(session: Session) -> None:
    """List the issuers."""
    with session.engine.store.read() as unit:
        issuers = unit.issuers.list()
    session.emit(
        [_data(i) for i in issuers],
        lambda console: console.print(
            table(["Name", "Kind", "Directory", "Internal names", "Profiles"], [_row(i) for i in issuers])
        ),
    )


@command(app, "remove")
def remove(session: Session, name: Annotated[str, typer.Argument(help="The issuer.")]) -> None:
    """Forget an issuer that no managed certificate uses; its account at the authority stays."""
    with session.engine.store.write() as unit:
        unit.issuers.remove(name)
    session.say(f"The issuer {name!r} is removed.")


def _data(issuer: Issuer) -> dict[str, Any]:
    return issuer.model_dump(mode="json")


def _row(issuer: Issuer) -> list[str]:
    able = issuer.capabilities
    return [
        issuer.name,
        issuer.kind,
        str(issuer.params.get("directory", "")),
        "yes" if able.internal_names else "no",
        ", ".join(able.profiles) or "none",
    ]
