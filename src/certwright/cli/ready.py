"""`certwright ready`: whether the service on this machine can work; what containers and monitors ask."""

import http.client
import json
from typing import Annotated, Any

import typer

from certwright.cli.session import Session, command
from certwright.domain.errors import ConfigurationError, Unreachable

_SECONDS = 15
_MOST_BYTES = 100_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "ready")(ready)


def ready(
    session: Session,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT", envvar="CERTWRIGHT_LISTEN", help="Where the service listens, as it was told."
        ),
    ] = None,
) -> None:
    """Ask the service on this machine whether it can work; the exit code is 0 only then."""
    if not listen:
        raise ConfigurationError(
            "Where does the service listen? It was not said.",
            hint="Give --listen, or CERTWRIGHT_LISTEN, as for `certwright serve`.",
        )
    told = _asked(listen)
    if reasons := told["reasons"]:
        raise Unreachable(
            f"The service at {listen} is not ready.", causes=reasons, hint="Its log says more, and since when."
        )
    session.say(f"The service at {listen} is ready.", ready=True)


def _asked(listen: str) -> dict[str, Any]:
    """What /readyz says.

    Raises:
        Unreachable: if nothing answers there, or something else.
    """
    from certwright.probe import Endpoint  # noqa: PLC0415 - loads the store's libraries

    at = Endpoint.parse(listen)
    connection = http.client.HTTPConnection(at.host, at.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        told = json.loads(connection.getresponse().read(_MOST_BYTES))
        if isinstance(told, dict) and isinstance(told.get("reasons"), list):
            return told
    except OSError as error:
        raise Unreachable(
            f"Nothing answers at {listen}: {error}.", hint="Is the service running, and told to listen there?"
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        raise _something_else(listen) from error
    finally:
        connection.close()
    raise _something_else(listen)


def _something_else(listen: str) -> Unreachable:
    return Unreachable(
        f"What answers at {listen} is not the service.", hint="Choose another port for it: certwright serve --listen."
    )
