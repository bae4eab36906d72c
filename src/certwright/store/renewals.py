"""What is known of each managed certificate's renewals beside its versions."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from certwright.domain.renewal_state import RenewalState
from certwright.store import rows
from certwright.store.schema import renewals

_GET = select(renewals.c.body).where(renewals.c.managed_id == bindparam("managed_id"))


@dataclass(frozen=True, slots=True)
class Renewals:
    """The states, by managed certificate; they go with it."""

    connection: Connection

    def get(self, managed_id: str) -> RenewalState:
        """What is known; nothing at first."""
        return self.connection.scalar(_GET, {"managed_id": managed_id}) or RenewalState()

    def save(self, managed_id: str, state: RenewalState) -> None:
        """Keep what is known, in place of what was."""
        rows.put(self.connection, renewals, {"managed_id": managed_id, "body": state})
