"""Orders in flight: what a crashed request needs to go on with the same order."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from certwright.domain.errors import NotFound, StoreError
from certwright.store.schema import managed, orders
from certwright.store.secrets import Secrets

_IS_OF = orders.c.managed_id == bindparam("of_managed")
_GET, _UPDATE, _DELETE, _INSERT = (
    select(orders).where(_IS_OF),
    update(orders).where(_IS_OF),
    delete(orders).where(_IS_OF),
    insert(orders),
)
_OWNER = select(managed.c.id).where(managed.c.id == bindparam("managed_id"))


@dataclass(frozen=True, slots=True)
class OrderInFlight:
    """An order that was begun and not closed. `csr` is DER; `url` is None until the authority has given it."""

    managed_id: str
    issuer: str
    fingerprint: str
    csr: bytes
    url: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders in flight: at most one for each managed certificate."""

    connection: Connection
    secrets: Secrets

    def begin(
        self,
        managed_id: str,
        issuer: str,
        fingerprint: str,
        csr_der: bytes,
        private_key_pem: bytes | None,
        at: datetime,
    ) -> OrderInFlight:
        """Keep what the order will need, before the authority is asked.

        Raises:
            NotFound: if the managed certificate was removed.
            StoreError: if it has an order in flight already.
        """
        if self.connection.scalar(_OWNER, {"managed_id": managed_id}) is None:
            raise NotFound(f"The managed certificate {managed_id} was removed.")
        if self.get(managed_id):
            raise StoreError(f"The managed certificate {managed_id} has an order in flight already.")
        values = {"managed_id": managed_id, "issuer": issuer, "fingerprint": fingerprint, "csr": csr_der}
        self.connection.execute(_INSERT, {**values, "created_at": at})
        if private_key_pem is not None:
            self.secrets.put(key_name(managed_id), private_key_pem)
        return OrderInFlight(managed_id, issuer, fingerprint, csr_der, None, at)

    def set_url(self, managed_id: str, url: str) -> None:
        """Note the order's address, as soon as the authority has given it.

        Raises:
            NotFound: if there is no order in flight.
        """
        changed = self.connection.execute(_UPDATE, {"of_managed": managed_id, "url": url})
        if changed.rowcount != 1:
            raise NotFound(f"The managed certificate {managed_id} has no order in flight.")

    def get(self, managed_id: str) -> OrderInFlight | None:
        """The order in flight, if there is one."""
        rows = self.connection.execute(_GET, {"of_managed": managed_id}).mappings()
        return next((OrderInFlight(**row) for row in rows), None)

    def private_key(self, managed_id: str) -> bytes | None:
        """The private key in PEM that belongs to the order's request, or None if it is not with us."""
        return self.secrets.find(key_name(managed_id))

    def close(self, managed_id: str) -> None:
        """Forget the order and its copy of the key; that there is none is fine."""
        self.connection.execute(_DELETE, {"of_managed": managed_id})
        self.secrets.remove(key_name(managed_id))


def key_name(managed_id: str) -> str:
    """The name of the secret that holds the private key of the order in flight."""
    return f"order:{managed_id}"
