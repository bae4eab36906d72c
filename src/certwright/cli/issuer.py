"""`certwright issuer`: accounts at authorities."""

from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

from certwright.cli.params import PluginGroup, given, options
from certwright.cli.secret import read_secret
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain import authorities
from certwright.domain.authorities import Authority
from certwright.domain.errors import ConfigurationError
from certwright.domain.limits import moment_in_words, span_in_words
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
                help="Whether it issues for names that exist only inside networks "
                "[default: if --ca-file is given, or it is step-ca].",
            ),
        ] = None,
        **values: Any,
    ) -> None:
        from certwright.engine.issuers import add_issuer  # noqa: PLC0415 - loads the store

        if (eab_kid is None) != (eab_key_file is None):
            raise ConfigurationError("--eab-kid and --eab-key-file belong together.")
        eab = (eab_kid, read_secret(eab_key_file, "EAB key").encode()) if eab_kid else None
        params = given(plugin.params, values)
        issuer = add_issuer(session.engine, plugin.name, name, params, internal_names=internal_names, eab=eab)
        session.say(f"The issuer {name!r} is ready.", **_data(issuer))


def _build_change(group: typer.Typer, plugin: Plugin) -> None:
    signature = [one for one in options(plugin.params) if one.name not in plugin.cls.account_params]

    @command(group, plugin.name, signature=signature, help=f"Change an issuer of the kind {plugin.name}.")
    def change(
        session: Session,
        name: Annotated[str, typer.Argument(help="The issuer.")],
        unset: Annotated[
            list[str] | None, typer.Option(metavar="PARAMETER", help="Back to its default; may be given several times.")
        ] = None,
        **values: Any,
    ) -> None:
        from certwright.engine.issuers import change_issuer  # noqa: PLC0415 - loads the store

        names = [one.lstrip("-").replace("-", "_") for one in unset or ()]
        changed = change_issuer(session.engine, plugin.name, name, given(plugin.params, values), names)
        session.say(
            f"The issuer {name!r} is changed, and its authority answers.\n"
            "What failed before is tried again by itself; at once by: certwright certificate request CERT",
            **_data(changed),
        )


class _AddGroup(PluginGroup):
    kind = "issuers"
    build = staticmethod(_build)


class _ChangeGroup(PluginGroup):
    kind = "issuers"
    build = staticmethod(_build_change)


app.add_typer(typer.Typer(cls=_AddGroup, help="Register an account.", no_args_is_help=True), name="add")
_CHANGE = "Change parameters of an issuer; the others stay, and so does its account."
app.add_typer(typer.Typer(cls=_ChangeGroup, help=_CHANGE, no_args_is_help=True), name="change")


@command(app, "authorities")
def list_authorities(session: Session) -> None:
    """List the authorities that need no address: what each issues, what it asks for, how much it allows."""
    session.emit(
        [_authority_data(a) for a in authorities.CATALOGUE],
        lambda console: console.print(
            table(
                ["Name", "Authority", "Valid", "Names", "Wildcards", "IP addresses", "External account"],
                [_authority_row(a) for a in authorities.CATALOGUE],
            )
        ),
    )


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


@command(app, "limits")
def limits(
    session: Session,
    name: Annotated[str, typer.Argument(help="The issuer.")],
    requests: Annotated[int, typer.Option("--requests", min=1, help="Say when so many more would be done.")] = 1,
) -> None:
    """Show how much of the authority's rate limits is left, and when there is room again."""
    from certwright.engine.ledger import levels  # noqa: PLC0415 - loads the store

    found = levels(session.engine, name, requests)
    column = "Next request" if requests == 1 else f"{requests} requests done by"
    session.emit(
        [_level_data(level) for level in found],
        lambda console: console.print(
            table(["Limit", "Of", "Left", "Full again", column], [_level_row(level) for level in found])
            if found
            else f"Nothing is known that limits {name!r}."
        ),
    )


@command(app, "remove")
def remove(session: Session, name: Annotated[str, typer.Argument(help="The issuer.")]) -> None:
    """Forget an issuer that no managed certificate uses; its account at the authority stays."""
    from certwright.engine.issuers import remove_issuer  # noqa: PLC0415 - loads the store

    remove_issuer(session.engine, name)
    session.say(f"The issuer {name!r} is removed.")


def _authority_data(authority: Authority) -> dict[str, Any]:
    data: dict[str, Any] = TypeAdapter(Authority).dump_python(authority, mode="json")
    return data


def _authority_row(authority: Authority) -> list[str]:
    terms = authority.terms
    some = [name for name, each in authority.profiles.items() if each.ip_addresses]
    return [
        authority.name,
        authority.title,
        span_in_words(terms.lifetime) if terms.lifetime else "",
        str(terms.max_names or ""),
        _said(authority.wildcards),
        f"profile {' or '.join(some)}" if some else _said(terms.ip_addresses),
        "needed" if authority.external_account else "no",
    ]


def _level_data(level: Any) -> dict[str, Any]:
    return {
        "limit": level.key.scope,
        "subject": level.key.subject,
        "most": level.limit.most if level.limit else None,
        "within_seconds": level.limit.within.total_seconds() if level.limit else None,
        "left": level.left,
        "full_at": level.bucket.full_at.isoformat(),
        "shut_until": level.bucket.shut_until.isoformat() if level.bucket.shut_until else None,
        "done_at": level.done_at.isoformat(),
    }


def _level_row(level: Any) -> list[str]:
    return [
        level.limit.words(level.key.subject) if level.limit else "as the authority said",
        level.key.subject,
        "" if level.left is None else str(level.left),
        moment_in_words(level.bucket.full_at),
        moment_in_words(level.done_at),
    ]


def _said(able: bool | None) -> str:  # noqa: FBT001 - it is the value that is shown
    return "" if able is None else "yes" if able else "no"


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
