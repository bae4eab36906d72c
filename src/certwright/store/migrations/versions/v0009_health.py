"""How each managed certificate is, and looks at what is in use; records in DNS that end are told of."""

import json
import random
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_PROBLEMS = [
    "issuance",
    "deployment",
    "expiring",
    "rolled-back",
    "needs-person",
    "drift",
    "authority-incident",
    "watched",
]


def upgrade() -> None:
    op.add_column("managed", sa.Column("next_look_at", sa.DateTime(timezone=True)))
    op.add_column("managed", sa.Column("health", sa.String))
    long_ago = sa.text("'1970-01-01 00:00:00'")
    op.add_column("managed", sa.Column("health_until", sa.DateTime(timezone=True), server_default=long_ago))
    op.add_column("managed", sa.Column("condition", sa.String))
    op.create_index("ix_managed_health", "managed", ["health", "title"])
    looked_at, changing = sa.text("next_look_at IS NOT NULL"), sa.text("health_until IS NOT NULL")
    op.create_index("ix_managed_look", "managed", ["next_look_at"], sqlite_where=looked_at, postgresql_where=looked_at)
    op.create_index("ix_managed_judge", "managed", ["health_until"], sqlite_where=changing, postgresql_where=changing)
    op.create_table(
        "looks",
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_looks_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("managed_id", name="pk_looks"),
    )
    _look_at_all_within_a_day(op.get_bind())
    _tell_of_records(op.get_bind())


def _look_at_all_within_a_day(connection: sa.Connection) -> None:
    """What has nothing to look at is left out from then on."""
    managed = sa.table("managed", sa.column("id"), sa.column("next_look_at", sa.DateTime(timezone=True)))
    now = datetime.now(UTC)
    for managed_id in connection.scalars(sa.select(managed.c.id)).all():
        moment = now + timedelta(days=random.random())  # noqa: S311 - spreads work, protects nothing
        connection.execute(sa.update(managed).where(managed.c.id == managed_id).values(next_look_at=moment))


def _tell_of_records(connection: sa.Connection) -> None:
    """Rules that tell of all problems tell of this one too."""
    rules = sa.table("rules", sa.column("name"), sa.column("body"))
    for name, body in connection.execute(sa.select(rules.c.name, rules.c.body)).all():
        rule = json.loads(body)
        matters = rule.get("matters", [])
        if set(_PROBLEMS) <= set(matters):
            rule["matters"] = [*matters, "proof"]
            connection.execute(sa.update(rules).where(rules.c.name == name).values(body=json.dumps(rule)))
