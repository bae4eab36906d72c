"""Notifications: rules, what each has told, and what is to be sent; how long versions are valid, as columns."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from cryptography import x509

from certwright.store.columns import NUMBER

revision = "0007"
down_revision = "0006"

_PROBLEMS = (
    '["issuance", "deployment", "expiring", "rolled-back", "needs-person", "drift", "authority-incident", "watched"]'
)


def upgrade() -> None:
    op.add_column("events", sa.Column("hint", sa.String, nullable=False, server_default=sa.text("''")))
    op.add_column("versions", sa.Column("not_before", sa.DateTime(timezone=True)))
    op.add_column("versions", sa.Column("not_after", sa.DateTime(timezone=True)))
    op.create_index("ix_versions_not_after", "versions", ["not_after"])
    _fill_validity(op.get_bind())
    op.create_table(
        "rules",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("pace", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_rules"),
    )
    op.create_table(
        "cases",
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("matter", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.Column("over_at", sa.DateTime(timezone=True)),
        sa.Column("look_at", sa.DateTime(timezone=True)),
        sa.Column("body", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["rule"], ["rules.name"], name="fk_cases_rule", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rule", "matter", "managed_id", name="pk_cases"),
    )
    op.create_index("ix_cases_over_at", "cases", ["over_at"])
    op.create_index("ix_cases_look_at", "cases", ["look_at"])
    op.create_index("ix_cases_topic", "cases", ["rule", "topic"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("told", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", "channel", name="pk_outbox"),
    )
    op.create_index("ix_outbox_next_attempt_at", "outbox", ["next_attempt_at"])
    op.create_index("ix_outbox_ended_at", "outbox", ["ended_at"])
    _first_rules(op.get_bind())


def _fill_validity(connection: sa.Connection) -> None:
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in ("sequence", "chain_pem")]
    moments = [sa.column(name, sa.DateTime(timezone=True)) for name in ("not_before", "not_after")]
    versions = sa.table("versions", *columns, *moments)
    rows = connection.execute(sa.select(versions.c.sequence, versions.c.chain_pem)).all()
    for sequence, pem in rows:
        try:
            leaf = x509.load_pem_x509_certificates(pem.encode())[0]
        except ValueError:
            continue
        values = {"not_before": leaf.not_valid_before_utc, "not_after": leaf.not_valid_after_utc}
        connection.execute(sa.update(versions).where(versions.c.sequence == sequence).values(values))


def _first_rules(connection: sa.Connection) -> None:
    """All problems as they come, and a summary once a week; of what happens from now on."""
    rules = sa.table("rules", *(sa.column(name) for name in ("name", "body", "pace")))
    known = connection.scalar(sa.text("SELECT max(sequence) FROM events")) or 0
    pace = f'{{"after": {known}}}'
    bodies = {
        "problems": f'{{"name": "problems", "matters": {_PROBLEMS}}}',
        "summary": '{"name": "summary", "matters": ["summary"], "digest": "weekly"}',
    }
    connection.execute(sa.insert(rules), [{"name": n, "body": body, "pace": pace} for n, body in bodies.items()])
