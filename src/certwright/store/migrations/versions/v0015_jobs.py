"""Jobs with their results, and answers that are given again."""

import sqlalchemy as sa
from alembic import op

from certwright.store.columns import NUMBER

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("result", sa.String),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "repeats",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_repeats"),
        sa.UniqueConstraint("id", name="uq_repeats_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_repeats_at", "repeats", ["at"])
    op.create_index("ix_repeats_caller", "repeats", ["caller"])
