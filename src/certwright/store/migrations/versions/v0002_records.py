"""What was seen of a subject, such as an organisation, and when."""

import sqlalchemy as sa
from alembic import op

from certwright.store.columns import NUMBER

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "records",
        sa.Column("sequence", NUMBER, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_records"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_records_subject", "records", ["subject", "kind", "sequence"])
