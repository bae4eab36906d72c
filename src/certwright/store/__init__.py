"""The store: everything that must be known after a crash, in a SQLite file or on PostgreSQL, its secrets encrypted.

SQLAlchemy makes this package heavy; only the wiring imports it.
"""

from certwright.store.backup import Backup
from certwright.store.credentials import CredentialInfo, Sealed
from certwright.store.leases import Lease
from certwright.store.lifecycle import create, open_store, recover, restore, rotate
from certwright.store.orders import OrderInFlight
from certwright.store.rotation import Rotated
from certwright.store.unit import Store, UnitOfWork

__all__ = [
    "Backup",
    "CredentialInfo",
    "Lease",
    "OrderInFlight",
    "Rotated",
    "Sealed",
    "Store",
    "UnitOfWork",
    "create",
    "open_store",
    "recover",
    "restore",
    "rotate",
]
