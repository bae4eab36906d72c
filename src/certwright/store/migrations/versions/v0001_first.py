"""The first schema."""

import sqlalchemy as sa
from alembic import op

from certwright.store.columns import NUMBER

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "store",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_by_master", sa.LargeBinary, nullable=False),
        sa.Column("key_by_recovery", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("epoch", NUMBER, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", NUMBER, nullable=False),
        sa.Column("started", sa.String, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "issuers",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_issuers"),
    )
    op.create_table(
        "credentials",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("username", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_credentials"),
    )
    _managed()
    _issuance()
    _journal()
    _deployment()


def _managed() -> None:
    op.create_table(
        "managed",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("revision", NUMBER, nullable=False),
        sa.Column("next_action_at", sa.DateTime(timezone=True)),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_managed"),
        sa.UniqueConstraint("title", name="uq_managed_title"),
        sa.ForeignKeyConstraint(["issuer"], ["issuers.name"], name="fk_managed_issuer"),
    )
    scheduled = sa.text("next_action_at IS NOT NULL")
    op.create_index("ix_managed_due", "managed", ["next_action_at"], sqlite_where=scheduled, postgresql_where=scheduled)
    op.create_index("ix_managed_issuer", "managed", ["issuer"])
    op.create_table(
        "names",
        sa.Column("identifier", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("identifier", "managed_id", name="pk_names"),
        _owned("names"),
    )
    op.create_index("ix_names_managed_id", "names", ["managed_id"])


def _issuance() -> None:
    op.create_table(
        "versions",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("chain_pem", sa.String, nullable=False),
        sa.Column("key_form", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("order_url", sa.String),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("sequence", name="pk_versions"),
        sa.UniqueConstraint("id", name="uq_versions_id"),
        _owned("versions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_versions_managed_id", "versions", ["managed_id"])
    op.create_table(
        "orders",
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("csr", sa.LargeBinary, nullable=False),
        sa.Column("url", sa.String),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("managed_id", name="pk_orders"),
        _owned("orders"),
    )
    op.create_table(
        "answers",
        sa.Column("token", sa.String, nullable=False),
        sa.Column("key_authorization", sa.String, nullable=False),
        sa.Column("put_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_answers"),
    )
    op.create_index("ix_answers_put_at", "answers", ["put_at"])


def _journal() -> None:
    op.create_table(
        "runs",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.String),
        sa.Column("message", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_managed_id", "runs", ["managed_id"])
    op.create_table(
        "entries",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", NUMBER, nullable=False),
        sa.Column("parent", NUMBER, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("outcome", sa.String),
        sa.Column("detail", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_entries"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_entries_run_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entries_run_id", "entries", ["run_id"])
    op.create_table(
        "events",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("run_id", sa.String),
        sa.Column("version_id", sa.String),
        sa.PrimaryKeyConstraint("sequence", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_managed_id", "events", ["managed_id"])


def _deployment() -> None:
    op.create_table(
        "deployments",
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_deployments"),
        _owned("deployments"),
    )
    op.create_index("ix_deployments_managed_id", "deployments", ["managed_id"])
    op.create_table(
        "memory",
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "key", name="pk_memory"),
    )


def _owned(table: str) -> sa.ForeignKeyConstraint:
    """The reference to a managed certificate that takes the row along when it goes."""
    return sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name=f"fk_{table}_managed_id", ondelete="CASCADE")
