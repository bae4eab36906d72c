"""The tables. What is searched for is a column; the rest of a value is JSON.

Every secret lies encrypted in `secrets`, under a name that says whose it is, so that one table is all that a change of
keys has to rewrite.
"""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, TypedColumns

from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.runs import DeploymentState
from certwright.store.columns import Moment, Stored

REVISION = "0001"
"""The newest migration; revisions are numbered so that a later one is greater."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class _Store(TypedColumns):
    id = Column(String, primary_key=True)
    created_at = Column(Moment, nullable=False)
    key_by_master = Column(LargeBinary, nullable=False)
    key_by_recovery = Column(LargeBinary, nullable=False)


class _Lease(TypedColumns):
    name = Column(String, primary_key=True)
    epoch = Column(Integer, nullable=False)
    host = Column(String, nullable=False)
    pid = Column(Integer, nullable=False)
    started = Column(String, nullable=False)
    since = Column(Moment, nullable=False)
    expires_at: Column[datetime | None] = Column(Moment)


class _Secret(TypedColumns):
    name = Column(String, primary_key=True)
    value = Column(LargeBinary, nullable=False)


class _Issuer(TypedColumns):
    name = Column(String, primary_key=True)
    body: Column[Issuer] = Column(Stored(Issuer), nullable=False)


class _Credential(TypedColumns):
    name = Column(String, primary_key=True)
    kind = Column(String, nullable=False)
    username = Column(String, nullable=False)


class _Managed(TypedColumns):
    id = Column(String, primary_key=True)
    title = Column(String, nullable=False, unique=True)
    issuer = Column(String, ForeignKey("issuers.name"), nullable=False, index=True)
    revision = Column(Integer, nullable=False)
    next_action_at: Column[datetime | None] = Column(Moment)
    body: Column[ManagedCertificate] = Column(Stored(ManagedCertificate), nullable=False)


class _Name(TypedColumns):
    identifier = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True, index=True)


class _Version(TypedColumns):
    sequence = Column(Integer, primary_key=True)
    id = Column(String, nullable=False, unique=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), nullable=False, index=True)
    issuer = Column(String, nullable=False)
    chain_pem = Column(String, nullable=False)
    key_form = Column(String, nullable=False)
    fingerprint = Column(String, nullable=False)
    order_url: Column[str | None] = Column(String)
    issued_at = Column(Moment, nullable=False)
    revoked_at: Column[datetime | None] = Column(Moment)


class _Order(TypedColumns):
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True)
    issuer = Column(String, nullable=False)
    fingerprint = Column(String, nullable=False)
    csr = Column(LargeBinary, nullable=False)
    url: Column[str | None] = Column(String)
    created_at = Column(Moment, nullable=False)


class _Run(TypedColumns):
    sequence = Column(Integer, primary_key=True)
    id = Column(String, nullable=False, unique=True)
    managed_id = Column(String, nullable=False, index=True)
    kind = Column(String, nullable=False)
    started_at = Column(Moment, nullable=False)
    ended_at: Column[datetime | None] = Column(Moment)
    outcome: Column[str | None] = Column(String)
    message = Column(String, nullable=False)


class _Entry(TypedColumns):
    sequence = Column(Integer, primary_key=True)
    run_id = Column(String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True)
    at = Column(Moment, nullable=False)
    step = Column(Integer, nullable=False)
    parent = Column(Integer, nullable=False)
    phase = Column(String, nullable=False)
    title = Column(String, nullable=False)
    outcome: Column[str | None] = Column(String)
    detail = Column(String, nullable=False)


class _Deployment(TypedColumns):
    task_id = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), nullable=False, index=True)
    body: Column[DeploymentState] = Column(Stored(DeploymentState), nullable=False)


class _Memory(TypedColumns):
    task_id = Column(String, primary_key=True)
    key = Column(String, primary_key=True)
    value = Column(String, nullable=False)


class _Answer(TypedColumns):
    token = Column(String, primary_key=True)
    key_authorization = Column(String, nullable=False)
    put_at = Column(Moment, nullable=False, index=True)


class _Event(TypedColumns):
    sequence = Column(Integer, primary_key=True)
    kind = Column(String, nullable=False)
    managed_id = Column(String, nullable=False, index=True)
    at = Column(Moment, nullable=False)
    message = Column(String, nullable=False)
    run_id: Column[str | None] = Column(String)
    version_id: Column[str | None] = Column(String)


store = Table("store", metadata, _Store)
leases = Table("leases", metadata, _Lease)
secrets = Table("secrets", metadata, _Secret)
issuers = Table("issuers", metadata, _Issuer)
credentials = Table("credentials", metadata, _Credential)
managed = Table("managed", metadata, _Managed)
names = Table("names", metadata, _Name)
versions = Table("versions", metadata, _Version, sqlite_autoincrement=True)
orders = Table("orders", metadata, _Order)
runs = Table("runs", metadata, _Run, sqlite_autoincrement=True)
entries = Table("entries", metadata, _Entry, sqlite_autoincrement=True)
deployments = Table("deployments", metadata, _Deployment)
memory = Table("memory", metadata, _Memory)
answers = Table("answers", metadata, _Answer)
events = Table("events", metadata, _Event, sqlite_autoincrement=True)

Index("ix_managed_due", managed.c.next_action_at, sqlite_where=managed.c.next_action_at.is_not(None))
