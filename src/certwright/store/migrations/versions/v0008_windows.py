"""Maintenance windows, and which managed certificates refer to them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "windows",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_windows"),
    )
    op.create_table(
        "window_uses",
        sa.Column("window", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["window"], ["windows.name"], name="fk_window_uses_window"),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_window_uses_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("window", "managed_id", name="pk_window_uses"),
    )
    op.create_index("ix_window_uses_managed_id", "window_uses", ["managed_id"])
