"""When the current version of each managed certificate ends, beside it, so that lists can be in that order; open runs.

Nodes of the version before do not keep it; it is put right when its health is judged next.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("managed", sa.Column("ends_at", sa.DateTime(timezone=True)))
    managed, versions = sa.table("managed", sa.column("id"), sa.column("ends_at")), sa.table("versions")
    for name in ("managed_id", "sequence", "not_after"):
        versions.append_column(sa.column(name))
    newest = sa.select(versions.c.not_after).where(versions.c.managed_id == managed.c.id)
    op.execute(managed.update().values(ends_at=newest.order_by(versions.c.sequence.desc()).limit(1).scalar_subquery()))
    op.create_index("ix_managed_ends", "managed", ["ends_at", "title"])
    is_open = sa.text("ended_at IS NULL")
    op.create_index("ix_runs_open", "runs", ["sequence"], sqlite_where=is_open, postgresql_where=is_open)
