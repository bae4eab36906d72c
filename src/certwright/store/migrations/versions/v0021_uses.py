"""Which credentials, issuers and kinds of task each managed certificate uses, so that nobody reads all for it.

Nodes of the version before do not keep it. `referred` is the revision that it tells of: the housekeeping makes up for
what is behind.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
_BATCH = 10_000


def upgrade() -> None:
    uses = op.create_table(
        "uses",
        sa.Column("used", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("managed_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["managed_id"], ["managed.id"], name="fk_uses_managed_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("used", "name", "managed_id", name="pk_uses"),
    )
    op.create_index("ix_uses_managed_id", "uses", ["managed_id"])
    op.add_column("managed", sa.Column("referred", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    columns = ("id", "issuer", "revision", "referred", "body")
    managed = sa.table("managed", *map(sa.column, columns))
    is_behind = managed.c.referred.is_distinct_from(managed.c.revision)
    op.create_index("ix_managed_referred", "managed", ["referred"], sqlite_where=is_behind, postgresql_where=is_behind)
    connection = op.get_bind()
    for each in connection.execute(sa.select(managed.c.id, managed.c.issuer, managed.c.body)).partitions(_BATCH):
        rows = [
            {"used": used, "name": name, "managed_id": row.id}
            for row in each
            for used, name in sorted({("issuer", row.issuer), *_used(json.loads(row.body))})
        ]
        connection.execute(sa.insert(uses), rows)
    op.execute(managed.update().values(referred=managed.c.revision))


def _used(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    tasks, validations = body.get("tasks", ()), body.get("validations", ())
    if named := body.get("pfx_password_credential"):
        yield "credential", named
    for each in (*tasks, *validations):
        for key, value in each.get("params", {}).items():
            if "credential" in key and isinstance(value, str):
                yield "credential", value
    for issuer in body.get("fallback_issuers", ()):
        yield "issuer", issuer
    for task in tasks:
        yield "task", task["kind"]
