"""Certificates from elsewhere that are only watched."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watches"),
        sa.UniqueConstraint("title", name="uq_watches_title"),
    )
    due = sa.text("next_look_at IS NOT NULL")
    op.create_index("ix_watches_due", "watches", ["next_look_at"], sqlite_where=due, postgresql_where=due)
