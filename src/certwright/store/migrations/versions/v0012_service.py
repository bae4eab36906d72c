"""Rules that tell of all problems tell of the service's own too."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_PROBLEMS = [
    "issuance",
    "deployment",
    "expiring",
    "rolled-back",
    "needs-person",
    "drift",
    "proof",
    "authority-incident",
    "watched",
]


def upgrade() -> None:
    connection = op.get_bind()
    rules = sa.table("rules", sa.column("name"), sa.column("body"))
    for name, body in connection.execute(sa.select(rules.c.name, rules.c.body)).all():
        rule = json.loads(body)
        matters = rule.get("matters", [])
        if set(_PROBLEMS) <= set(matters):
            rule["matters"] = [*matters, "service"]
            connection.execute(sa.update(rules).where(rules.c.name == name).values(body=json.dumps(rule)))
