"""Records what an organisation answers to read-only calls, without a real name in it, so that it can be looked into."""

from collections.abc import Sequence

from certwright.exchange.access.organisation import Organisation
from certwright.exchange.discovery.discover import discover
from certwright.exchange.discovery.redaction import redact
from certwright.remoting.psrp import Transcript
from certwright.sdk.journal import Journal


def capture(organisation: Organisation, names: Sequence[str], journal: Journal) -> str:
    """The transcript of a discovery from `names` on, as lines of JSON; see `redaction`.

    Args:
        organisation: how it is reached; nothing may have been read through it yet.
        names: as for `discover`.
        journal: what is told who waits.

    Raises:
        Unreachable, DeploymentError: if one of the servers of `names` cannot be read.
    """
    transcripts: list[Transcript] = []
    organisation.record_to(transcripts.append)
    snapshot = discover(organisation, names, journal)
    for state in snapshot.servers:
        organisation.session(state.server).read_raw(state.server)
    with journal.step("replace every name"):
        return "".join(f"{line}\n" for line in redact(transcripts))
