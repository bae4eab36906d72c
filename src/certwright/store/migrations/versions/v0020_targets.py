"""The servers on which managed certificates were found or put, so that lists can go by them.

Nodes of the version before do not keep it; the next deployment makes up for that.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    targets = op.create_table(
        "targets",
        sa.Column("target", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_targets_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("target", "task_id", name="pk_targets"),
    )
    op.create_index("ix_targets_task_id", "targets", ["task_id"])
    op.create_index("ix_targets_managed_id", "targets", ["managed_id"])
    deployments = sa.table("deployments", sa.column("task_id"), sa.column("managed_id"), sa.column("body"))
    connection = op.get_bind()
    rows = [
        {"target": target, "task_id": row.task_id, "managed_id": row.managed_id}
        for row in connection.execute(sa.select(deployments))
        for state in [json.loads(row.body)]
        for target in sorted({each["server"] for each in (*state["baseline"], *state["served"])})
    ]
    if rows:
        connection.execute(sa.insert(targets), rows)
