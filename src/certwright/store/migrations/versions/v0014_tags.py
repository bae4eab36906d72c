"""By which tags managed certificates are found."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_tags_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tag", "managed_id", name="pk_tags"),
    )
    op.create_index("ix_tags_managed_id", "tags", ["managed_id"])
