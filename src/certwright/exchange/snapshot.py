"""Reads all that a plan is made from."""

from collections.abc import Mapping, Sequence

from certwright.exchange.memory import Deployment
from certwright.exchange.model import ServerState
from certwright.exchange.organisation import Organisation
from certwright.exchange.plan import Served, Snapshot
from certwright.sdk.journal import Journal


def take(
    organisation: Organisation,
    servers: Sequence[str],
    journal: Journal,
    begun: Deployment | None,
    served: Mapping[str, Served],
) -> Snapshot:
    """The servers as Exchange tells of them now; nothing is changed.

    Raises:
        Unreachable, DeploymentError: if a server cannot be read.
    """
    states = tuple(_state(organisation, server, journal) for server in servers)
    session = organisation.session(servers[0])
    return Snapshot(states, session.send_connectors(), session.protected(), begun, served)


def _state(organisation: Organisation, server: str, journal: Journal) -> ServerState:
    with journal.step(f"{server}: read what Exchange has there") as step:
        state = organisation.state(server)
        step.note(f"{state.info.version or 'version unknown'}, {len(state.certificates)} certificates")
        return state
