"""The command tree."""

import importlib.metadata
from typing import Annotated

import typer

from certwright.cli import (
    audit,
    backup,
    certificate,
    change,
    credential,
    demo,
    deploy,
    diagnostics,
    exchange,
    housekeeping,
    initialise,
    issuance,
    issuer,
    keys,
    notification,
    person,
    probe,
    ready,
    renewal,
    serve,
    settings,
    status,
    task,
    token,
    validation,
    watch,
    window,
)

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 usage, 3 not due or nothing to do, 4 waiting for a person, 130 stopped with "
    "nothing begun that stays."
)

app = typer.Typer(
    name="certwright",
    help="Keeps TLS certificates valid and served: gets them from any ACME authority, puts them on Microsoft Exchange, "
    "proves it on every port, and takes it back when it fails.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
initialise.register(app)
app.add_typer(issuer.app, name="issuer")
app.add_typer(credential.app, name="credential")
change.register(certificate.app)
issuance.register(certificate.app)
renewal.register(certificate.app)
status.register(app, certificate.app)
app.add_typer(certificate.app, name="certificate")
app.add_typer(validation.app, name="validation")
app.add_typer(task.app, name="task")
app.add_typer(window.app, name="window")
app.add_typer(person.app, name="person")
app.add_typer(token.app, name="token")
app.add_typer(notification.app, name="notification")
deploy.register(app)
serve.register(app)
settings.register(app)
ready.register(app)
app.add_typer(exchange.app, name="exchange")
probe.register(app)
backup.register(app)
app.add_typer(watch.app, name="watch")
housekeeping.register(app)
diagnostics.register(app)
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
demo.register(app)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        typer.echo(importlib.metadata.version("certwright"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Certwright."""
