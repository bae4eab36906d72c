"""Rows that are put in place of earlier ones."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, and_, bindparam, insert, update

_OF = "of_"


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Keep `row` in place of the one with its primary key; only one writes at a time, so nothing comes between."""
    keys, change, add = _statements(table)
    values = {(_OF + name if name in keys else name): value for name, value in row.items()}
    if connection.execute(change, values).rowcount == 0:
        connection.execute(add, row)


@cache
def _statements(table: Table) -> tuple[frozenset[str], Update, Insert]:
    keys = frozenset(column.name for column in table.primary_key)
    same = and_(*(table.c[key] == bindparam(_OF + key) for key in sorted(keys)))
    return keys, update(table).where(same), insert(table)
