"""The store: everything that must be known after a crash, in one SQLite file, with its secrets encrypted.

SQLAlchemy makes this package heavy; only the wiring imports it.
"""

from certwright.store.credentials import CredentialInfo
from certwright.store.leases import Lease
from certwright.store.lifecycle import create, open_store, recover
from certwright.store.orders import OrderInFlight
from certwright.store.unit import Store, UnitOfWork

__all__ = [
    "CredentialInfo",
    "Lease",
    "OrderInFlight",
    "Store",
    "UnitOfWork",
    "create",
    "open_store",
    "recover",
]
