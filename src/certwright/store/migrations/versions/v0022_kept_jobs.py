"""Who began each job and when it ended, so that nobody's jobs drive out those of others, nor what goes on.

Nodes of the version before do not keep it: what they begin stays.
"""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

from certwright.store.columns import Moment

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("begun_by", sa.String))
    op.add_column("jobs", sa.Column("ended_at", sa.DateTime(timezone=True)))
    op.create_index("ix_jobs_begun_by", "jobs", ["begun_by"])
    jobs = sa.table("jobs", sa.column("id"), sa.column("body"), sa.column("begun_by"), sa.column("ended_at", Moment()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(jobs.c.id, jobs.c.body)).all():
        job = json.loads(row.body)
        ended = datetime.fromisoformat(job["ended_at"]) if job["ended_at"] else None
        connection.execute(jobs.update().where(jobs.c.id == row.id).values(begun_by=job["by"], ended_at=ended))
