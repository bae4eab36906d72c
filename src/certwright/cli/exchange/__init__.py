"""`certwright exchange`: an Exchange organisation, read, judged, deployed to and cleaned up."""

import typer

from certwright.cli.exchange import deployment, organisation
from certwright.cli.params import options
from certwright.cli.session import command
from certwright.exchange.connection import Connection
from certwright.exchange.settings import Settings

_REMEMBERED = "[default: those of the organisation that is known]"

app = typer.Typer(help="Microsoft Exchange: discover, plan, apply, verify, clean up.", no_args_is_help=True)
_reach = options(Connection, _REMEMBERED)
for _work, _signature in (  # in the order in which a person needs them
    (organisation.discover, _reach),
    (organisation.names, _reach),
    (organisation.doctor, _reach),
    (organisation.account, _reach),
    (deployment.setup, options(Settings, _REMEMBERED)),
    (deployment.plan, ()),
    (organisation.acknowledge, _reach),
    (deployment.apply, ()),
    (deployment.verify, ()),
    (deployment.undo, ()),
    (organisation.status, _reach),
    (deployment.cleanup, ()),
    (organisation.capture, _reach),
):
    command(app, _work.__name__, signature=_signature)(_work)
