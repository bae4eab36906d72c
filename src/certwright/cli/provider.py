"""`certwright person provider`: by which OpenID providers people sign in to the pages, and as what."""

from typing import Annotated, Any

import typer

from certwright.cli.params import given, options, secret_options, secrets_given
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.engine.openid.params import ProviderParams

app = typer.Typer(help="OpenID providers by which people sign in.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The provider; part of addresses, such as contoso.")]


@command(app, "add", signature=[*options(ProviderParams), *secret_options(ProviderParams)])
def add(
    session: Session,
    name: Name,
    no_check: Annotated[bool, typer.Option("--no-check", help="Store it without asking it first.")] = False,
    **values: Any,
) -> None:
    """Have people sign in by a provider, in place of the one of that name; who came by that has to sign in again."""
    from certwright.engine.openid.providers import providers, put_provider  # noqa: PLC0415 - loads the store

    params = {**given(ProviderParams, values), **secrets_given(ProviderParams, values)}
    seen = put_provider(session.engine, name, params, checked=not no_check)
    (made,) = (each for each in providers(session.engine) if each.name == name)
    session.say(
        f"The provider {name!r} is stored. {seen}".strip()
        + f"\nRegister this there as the redirect URI of a web application: {made.redirect_uri}",
        name=name,
        seen=seen,
        redirect_uri=made.redirect_uri,
    )


@command(app, "list")
def list_providers(session: Session) -> None:
    """List the providers, with the redirect URI that each has to know."""
    from certwright.engine.openid.providers import providers  # noqa: PLC0415 - loads the store

    found = providers(session.engine)
    rows = [
        [
            each.name,
            each.shown["issuer"],
            each.redirect_uri,
            "; ".join(f"{role}: {', '.join(values)}" for role, values in each.roles),
        ]
        for each in found
    ]
    session.emit(
        [{"name": each.name, **each.shown, "redirect_uri": each.redirect_uri} for each in found],
        lambda console: console.print(table(["Name", "Issuer", "Redirect URI", "Who comes as what"], rows)),
    )


@command(app, "test")
def test(session: Session, name: Name) -> None:
    """Ask a provider all that can be asked without a person, and say what is wrong."""
    from certwright.engine.openid.providers import try_provider  # noqa: PLC0415 - loads the store

    seen = try_provider(session.engine, name)
    session.say(seen, name=name, seen=seen)


@command(app, "remove")
def remove(session: Session, name: Name) -> None:
    """Remove a provider; nobody comes by it any more, and who did is signed out."""
    from certwright.engine.openid.providers import remove_provider  # noqa: PLC0415 - loads the store

    remove_provider(session.engine, name)
    session.say(f"Nobody comes by {name!r} any more.", name=name)
