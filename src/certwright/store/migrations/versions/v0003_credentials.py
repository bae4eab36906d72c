"""What may be shown of a credential is more than a user name."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE credentials RENAME COLUMN username TO shown")
    credentials = sa.table("credentials", sa.column("name", sa.String), sa.column("shown", sa.String))
    connection = op.get_bind()
    for name, username in connection.execute(sa.select(credentials)).all():
        shown = json.dumps({"username": username})
        connection.execute(sa.update(credentials).where(credentials.c.name == name).values(shown=shown))
