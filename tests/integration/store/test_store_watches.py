from datetime import UTC, datetime

from certwright.store import Store
from certwright.store.watches import due_query
from world.stores import on_sqlite


@on_sqlite
def test_the_partial_index_answers_what_is_due(store: Store) -> None:
    with store.read() as unit:
        connection = unit.watches.connection
        query = due_query(datetime(2026, 12, 1, tzinfo=UTC), 500)
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert plan == ["SEARCH watches USING INDEX ix_watches_due (next_look_at>? AND next_look_at<?)"]
