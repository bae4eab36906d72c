"""What is known of renewals beside the versions: the authority's advice, failures, a hold."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "renewals",
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_renewals_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("managed_id", name="pk_renewals"),
    )
