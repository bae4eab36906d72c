"""The tables. What is searched for is a column; the rest of a value is JSON.

Every secret lies encrypted in `secrets`, under a name that says whose it is, so that one table is all that a change of
keys has to rewrite.
"""

from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypedColumns,
    event,
    text,
)

from certwright.domain.access import ApiToken, Person, SignedIn
from certwright.domain.audit import SignedHead
from certwright.domain.health import Condition
from certwright.domain.jobs import Job
from certwright.domain.looks import Looks
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.messages import Message
from certwright.domain.notices import Case, Pace
from certwright.domain.renewal_state import RenewalState
from certwright.domain.rules import Rule
from certwright.domain.runs import DeploymentState
from certwright.domain.watching import Watched
from certwright.domain.windows import MaintenanceWindow
from certwright.store.columns import NUMBER, Moment, Stored

REVISION = "0022"
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
    epoch = Column(NUMBER, nullable=False)
    host = Column(String, nullable=False)
    pid = Column(NUMBER, nullable=False)
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
    shown = Column(String, nullable=False)


class _Managed(TypedColumns):
    id = Column(String, primary_key=True)
    title = Column(String, nullable=False, unique=True)
    issuer = Column(String, ForeignKey("issuers.name"), nullable=False, index=True)
    revision = Column(NUMBER, nullable=False)
    next_action_at: Column[datetime | None] = Column(Moment)
    next_look_at: Column[datetime | None] = Column(Moment)
    health: Column[str | None] = Column(String)
    health_until: Column[datetime | None] = Column(Moment, server_default=text("'1970-01-01 00:00:00'"))
    condition: Column[Condition | None] = Column(Stored(Condition))
    ends_at: Column[datetime | None] = Column(Moment)
    referred: Column[int | None] = Column(NUMBER)
    body: Column[ManagedCertificate] = Column(Stored(ManagedCertificate), nullable=False)


class _Renewal(TypedColumns):
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True)
    body: Column[RenewalState] = Column(Stored(RenewalState), nullable=False)


class _Looks(TypedColumns):
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True)
    body: Column[Looks] = Column(Stored(Looks), nullable=False)


class _Name(TypedColumns):
    identifier = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True, index=True)


class _Searched(TypedColumns):
    title = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), nullable=False, index=True)
    text = Column(String, nullable=False)


class _Version(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    id = Column(String, nullable=False, unique=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), nullable=False, index=True)
    issuer = Column(String, nullable=False)
    chain_pem = Column(String, nullable=False)
    key_form = Column(String, nullable=False)
    fingerprint = Column(String, nullable=False)
    order_url: Column[str | None] = Column(String)
    issued_at = Column(Moment, nullable=False)
    revoked_at: Column[datetime | None] = Column(Moment)
    not_before: Column[datetime | None] = Column(Moment)
    not_after: Column[datetime | None] = Column(Moment, index=True)


class _Order(TypedColumns):
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True)
    issuer = Column(String, nullable=False)
    fingerprint = Column(String, nullable=False)
    csr = Column(LargeBinary, nullable=False)
    url: Column[str | None] = Column(String)
    created_at = Column(Moment, nullable=False)


class _Run(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    id = Column(String, nullable=False, unique=True)
    managed_id = Column(String, nullable=False, index=True)
    kind = Column(String, nullable=False)
    started_at = Column(Moment, nullable=False)
    ended_at: Column[datetime | None] = Column(Moment)
    outcome: Column[str | None] = Column(String)
    message = Column(String, nullable=False)


class _Entry(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    run_id = Column(String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True)
    at = Column(Moment, nullable=False)
    step = Column(NUMBER, nullable=False)
    parent = Column(NUMBER, nullable=False)
    phase = Column(String, nullable=False)
    title = Column(String, nullable=False)
    outcome: Column[str | None] = Column(String)
    detail = Column(String, nullable=False)


class _Deployment(TypedColumns):
    task_id = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), nullable=False, index=True)
    body: Column[DeploymentState] = Column(Stored(DeploymentState), nullable=False)


class _Target(TypedColumns):
    target = Column(String, primary_key=True)
    task_id = Column(String, primary_key=True, index=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), nullable=False, index=True)


class _Memory(TypedColumns):
    task_id = Column(String, primary_key=True)
    key = Column(String, primary_key=True)
    value = Column(String, nullable=False)


class _Answer(TypedColumns):
    token = Column(String, primary_key=True)
    key_authorization = Column(String, nullable=False)
    put_at = Column(Moment, nullable=False, index=True)


class _Event(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    kind = Column(String, nullable=False)
    managed_id = Column(String, nullable=False, index=True)
    at = Column(Moment, nullable=False)
    message = Column(String, nullable=False)
    hint = Column(String, nullable=False, server_default=text("''"))
    run_id: Column[str | None] = Column(String)
    version_id: Column[str | None] = Column(String)


class _Record(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    subject = Column(String, nullable=False)
    kind = Column(String, nullable=False)
    at = Column(Moment, nullable=False)
    value = Column(String, nullable=False)


class _Bucket(TypedColumns):
    authority = Column(String, primary_key=True)
    scope = Column(String, primary_key=True)
    subject = Column(String, primary_key=True)
    full_at = Column(Moment, nullable=False, index=True)
    shut_until: Column[datetime | None] = Column(Moment)


class _Watch(TypedColumns):
    id = Column(String, primary_key=True)
    title = Column(String, nullable=False, unique=True)
    next_look_at: Column[datetime | None] = Column(Moment)
    body: Column[Watched] = Column(Stored(Watched), nullable=False)


class _Window(TypedColumns):
    name = Column(String, primary_key=True)
    body: Column[MaintenanceWindow] = Column(Stored(MaintenanceWindow), nullable=False)


class _WindowUse(TypedColumns):
    window = Column(String, ForeignKey("windows.name"), primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True, index=True)


class _Tag(TypedColumns):
    tag = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True, index=True)


class _Uses(TypedColumns):
    used = Column(String, primary_key=True)
    name = Column(String, primary_key=True)
    managed_id = Column(String, ForeignKey("managed.id", ondelete="CASCADE"), primary_key=True, index=True)


class _Token(TypedColumns):
    id = Column(String, primary_key=True)
    name = Column(String, nullable=False, unique=True)
    digest = Column(LargeBinary, nullable=False)
    body: Column[ApiToken] = Column(Stored(ApiToken), nullable=False)


class _Person(TypedColumns):
    name = Column(String, primary_key=True)
    password = Column(String, nullable=False)
    issuer = Column(String)
    subject = Column(String)
    body: Column[Person] = Column(Stored(Person), nullable=False)


class _Session(TypedColumns):
    digest = Column(LargeBinary, primary_key=True)
    person = Column(String, ForeignKey("people.name", ondelete="CASCADE"), nullable=False, index=True)
    since = Column(Moment, nullable=False, index=True)
    body: Column[SignedIn] = Column(Stored(SignedIn), nullable=False)


class _Rule(TypedColumns):
    name = Column(String, primary_key=True)
    body: Column[Rule] = Column(Stored(Rule), nullable=False)
    pace: Column[Pace] = Column(Stored(Pace), nullable=False)


class _Case(TypedColumns):
    rule = Column(String, ForeignKey("rules.name", ondelete="CASCADE"), primary_key=True)
    matter = Column(String, primary_key=True)
    managed_id = Column(String, primary_key=True)
    topic = Column(String, nullable=False)
    since = Column(Moment, nullable=False)
    told_at: Column[datetime | None] = Column(Moment)
    over_at: Column[datetime | None] = Column(Moment, index=True)
    look_at: Column[datetime | None] = Column(Moment, index=True)
    body: Column[Case] = Column(Stored(Case), nullable=False)


class _Posting(TypedColumns):
    id = Column(String, primary_key=True)
    channel = Column(String, primary_key=True)
    created_at = Column(Moment, nullable=False)
    attempts = Column(NUMBER, nullable=False)
    next_attempt_at: Column[datetime | None] = Column(Moment, index=True)
    ended_at: Column[datetime | None] = Column(Moment, index=True)
    told = Column(String, nullable=False)
    body: Column[Message] = Column(Stored(Message), nullable=False)


class _Audit(TypedColumns):
    number = Column(NUMBER, primary_key=True, autoincrement=False)
    at = Column(Moment, nullable=False, index=True)
    actor = Column(String, nullable=False, index=True)
    action = Column(String, nullable=False)
    kind = Column(String, nullable=False)
    subject = Column(String, nullable=False, index=True)
    title = Column(String, nullable=False)
    text = Column(String, nullable=False)
    hash = Column(String, nullable=False)


class _AuditHead(TypedColumns):
    number = Column(NUMBER, primary_key=True, autoincrement=False)
    body: Column[SignedHead] = Column(Stored(SignedHead), nullable=False)


class _Job(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    id = Column(String, nullable=False, unique=True)
    begun_by = Column(String, index=True)
    ended_at: Column[datetime | None] = Column(Moment)
    result: Column[str | None] = Column(String)
    body: Column[Job] = Column(Stored(Job), nullable=False)


class _Repeat(TypedColumns):
    sequence = Column(NUMBER, primary_key=True)
    id = Column(String, nullable=False, unique=True)
    caller = Column(String, nullable=False, index=True)
    at = Column(Moment, nullable=False, index=True)


store = Table("store", metadata, _Store)
leases = Table("leases", metadata, _Lease)
secrets = Table("secrets", metadata, _Secret)
issuers = Table("issuers", metadata, _Issuer)
credentials = Table("credentials", metadata, _Credential)
managed = Table("managed", metadata, _Managed)
renewals = Table("renewals", metadata, _Renewal)
looks = Table("looks", metadata, _Looks)
names = Table("names", metadata, _Name)
searched = Table("searched", metadata, _Searched)
versions = Table("versions", metadata, _Version, sqlite_autoincrement=True)
orders = Table("orders", metadata, _Order)
runs = Table("runs", metadata, _Run, sqlite_autoincrement=True)
entries = Table("entries", metadata, _Entry, sqlite_autoincrement=True)
deployments = Table("deployments", metadata, _Deployment)
targets = Table("targets", metadata, _Target)
memory = Table("memory", metadata, _Memory)
answers = Table("answers", metadata, _Answer)
events = Table("events", metadata, _Event, sqlite_autoincrement=True)
records = Table("records", metadata, _Record, sqlite_autoincrement=True)
buckets = Table("buckets", metadata, _Bucket)
watches = Table("watches", metadata, _Watch)
windows = Table("windows", metadata, _Window)
window_uses = Table("window_uses", metadata, _WindowUse)
tags = Table("tags", metadata, _Tag)
uses = Table("uses", metadata, _Uses)
tokens = Table("tokens", metadata, _Token)
people = Table("people", metadata, _Person)
sessions = Table("sessions", metadata, _Session)
rules = Table("rules", metadata, _Rule)
cases = Table("cases", metadata, _Case)
outbox = Table("outbox", metadata, _Posting)
audit = Table("audit", metadata, _Audit)
audit_heads = Table("audit_heads", metadata, _AuditHead)
jobs = Table("jobs", metadata, _Job, sqlite_autoincrement=True)
repeats = Table("repeats", metadata, _Repeat, sqlite_autoincrement=True)


def _partial(index: Index, where: ColumnElement[bool]) -> None:
    """An index of some rows; said where a table is made, as each of `sqlite_where=` and its like loads that dialect."""

    @event.listens_for(index.table, "before_create")
    def say(_table: Table, connection: Connection, **_options: object) -> None:
        index.dialect_options[connection.dialect.name]["where"] = where


@event.listens_for(searched, "before_create")
def _in_order(table: Table, connection: Connection, **_options: object) -> None:
    """Its rows lie in the order of their titles, where they would lie as they came; said then, as above."""
    if connection.dialect.name == "sqlite":
        table.dialect_options["sqlite"]["with_rowid"] = False


Index("ix_cases_topic", cases.c.rule, cases.c.topic)
Index("ix_records_subject", records.c.subject, records.c.kind, records.c.sequence)
Index("ix_managed_health", managed.c.health, managed.c.title)
Index("ix_people_issuer_subject", people.c.issuer, people.c.subject, unique=True)
Index("ix_managed_ends", managed.c.ends_at, managed.c.title)
_scheduled, _watched = managed.c.next_action_at.is_not(None), watches.c.next_look_at.is_not(None)
_looked_at, _changing = managed.c.next_look_at.is_not(None), managed.c.health_until.is_not(None)
_partial(Index("ix_managed_due", managed.c.next_action_at), _scheduled)
_partial(Index("ix_watches_due", watches.c.next_look_at), _watched)
_partial(Index("ix_managed_look", managed.c.next_look_at), _looked_at)
_partial(Index("ix_managed_judge", managed.c.health_until), _changing)
_partial(Index("ix_managed_referred", managed.c.referred), managed.c.referred.is_distinct_from(managed.c.revision))
_partial(Index("ix_runs_open", runs.c.sequence), runs.c.ended_at.is_(None))
