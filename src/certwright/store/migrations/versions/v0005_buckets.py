"""How much of authorities' rate limits is used."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "buckets",
        sa.Column("authority", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shut_until", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("authority", "scope", "subject", name="pk_buckets"),
    )
    op.create_index("ix_buckets_full_at", "buckets", ["full_at"])
