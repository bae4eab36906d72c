"""You create the TXT records yourself, wherever the zone is kept.

A run shows the exact records and waits for them; it goes on by itself once every server of the zone shows them. A run
that has waited long enough ends, and the next one goes on with the same records, whatever happened in between. Since
that takes a person at every renewal, choose it only where nothing else can write to the zone; a CNAME from
`_acme-challenge` to a zone that Certwright may write to (`acme_dns`, `rfc2136`) is made once and lasts.
"""

from collections.abc import Sequence

from pydantic import Field

from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams


class Params(PluginParams):
    """How patient a run is."""

    wait: float = Field(default=600, gt=0, le=86_400, description="Seconds that a run waits for you before it ends.")


class Manual(DnsProvider[Params]):
    """Tells a person what to do."""

    Params = Params
    by_hand = True

    @property
    def wait(self) -> float:
        """As long as the person wishes."""
        return self.params.wait

    def check(self) -> str:
        """There is nothing to sign in to."""
        return "You create the records yourself."

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Show the records."""
        for record in records:
            self.context.journal.note(f'Create in the zone {zone}:  {record.name}  TXT  "{record.value}"')

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Say that nobody needs them."""
        names = ", ".join(dict.fromkeys(record.name for record in records))
        self.context.journal.note(
            f"The TXT records at {names} in the zone {zone} are not needed any more: you may remove them."
        )
