"""Rows that are put in place of earlier ones."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, and_, insert, update


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Keep `row` in place of the one with its primary key; only one writes at a time, so nothing comes between."""
    keys = {column.name for column in table.primary_key}
    same = and_(*(table.c[key] == row[key] for key in sorted(keys)))
    values = {name: value for name, value in row.items() if name not in keys}
    if connection.execute(update(table).where(same).values(values)).rowcount == 0:
        connection.execute(insert(table).values(row))
