"""Who vouches for somebody that comes by a sign-in provider."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("people", sa.Column("issuer", sa.String))
    op.add_column("people", sa.Column("subject", sa.String))
    op.create_index("ix_people_issuer_subject", "people", ["issuer", "subject"], unique=True)
