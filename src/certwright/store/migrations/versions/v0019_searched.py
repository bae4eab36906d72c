"""Titles and names of managed certificates in small letters, beside each other, so that a search reads nothing else.

Nodes of the version before do not keep it; the housekeeping makes up for that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    searched = op.create_table(
        "searched",
        sa.Column("title", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_searched_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("title", name="pk_searched"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_searched_managed_id", "searched", ["managed_id"])
    managed = sa.table("managed", sa.column("id"), sa.column("title"))
    names = sa.table("names", sa.column("managed_id"), sa.column("identifier"))
    connection = op.get_bind()
    titles = {row.id: row.title for row in connection.execute(sa.select(managed.c.id, managed.c.title))}
    words = {managed_id: [title.lower()] for managed_id, title in titles.items()}
    for row in connection.execute(sa.select(names.c.managed_id, names.c.identifier)):
        words[row.managed_id].append(row.identifier)
    if rows := [{"title": titles[of], "managed_id": of, "text": "\n".join(said)} for of, said in words.items()]:
        connection.execute(sa.insert(searched), rows)
