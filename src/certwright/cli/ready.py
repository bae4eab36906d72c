"""`certwright ready`: whether the service on this machine can work; what containers and monitors ask."""

import http.client
import json
import ssl
from dataclasses import replace
from typing import Annotated, Any

import typer

from certwright.cli.session import Session, command
from certwright.domain.errors import ConfigurationError, Unreachable
from certwright.settings import Settings

_SECONDS = 15
_MOST_BYTES = 100_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "ready")(ready)


def ready(
    session: Session,
    listen: Annotated[
        str | None, typer.Option(metavar="ADDRESS:PORT", help="Where the service listens [setting: listen].")
    ] = None,
) -> None:
    """Ask the service on this machine whether it can work; the exit code is 0 only then."""
    settings = session.settings if listen is None else replace(session.settings, listen=listen)
    told = _asked(settings)
    if reasons := told["reasons"]:
        raise Unreachable(
            f"The service at {settings.listen} is not ready.",
            causes=reasons,
            hint="Its log says more, and since when.",
        )
    session.say(f"The service at {settings.listen} is ready.", ready=True)


def _asked(settings: Settings) -> dict[str, Any]:
    """What /readyz says.

    Raises:
        ConfigurationError: if the service listens nowhere.
        Unreachable: if nothing answers there, or something else.
    """
    connection = _connection(settings)
    try:
        connection.request("GET", "/readyz")
        told = json.loads(connection.getresponse().read(_MOST_BYTES))
        if isinstance(told, dict) and isinstance(told.get("reasons"), list):
            return told
    except ssl.SSLError as error:
        raise _something_else(settings) from error
    except OSError as error:
        raise Unreachable(
            f"Nothing answers at {settings.listen}: {error}.",
            hint="Is the service running, and told to listen there?",
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        raise _something_else(settings) from error
    finally:
        connection.close()
    raise _something_else(settings)


def _connection(settings: Settings) -> http.client.HTTPConnection:
    from certwright.server import address  # noqa: PLC0415 - loads the store's libraries

    at = address.listens_at(settings)
    if at is None:
        raise ConfigurationError(
            "The service listens nowhere, and so cannot be asked.", hint="Name an address in the setting listen."
        )
    here = address.on_this_machine(at)
    if not address.speaks_tls(settings, at):
        return http.client.HTTPConnection(here.host, here.port, timeout=_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent there; only its health is believed, by this machine
    return http.client.HTTPSConnection(here.host, here.port, timeout=_SECONDS, context=context)


def _something_else(settings: Settings) -> Unreachable:
    return Unreachable(
        f"What answers at {settings.listen} is not the service.",
        hint="Choose another port for it: certwright serve --listen.",
    )
