from datetime import UTC, datetime

from certwright.store import Store
from certwright.store.watches import astray_query, due_query
from world.stores import on_sqlite


@on_sqlite
def test_the_partial_index_answers_what_is_due(store: Store) -> None:
    plans = []
    with store.read() as unit:
        connection = unit.watches.connection
        for query in (due_query, astray_query):
            asked = query(datetime(2026, 12, 1, tzinfo=UTC), 500)
            text = str(asked.compile(connection, compile_kwargs={"literal_binds": True}))
            plans += [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    search = "SEARCH watches USING INDEX ix_watches_due"
    assert plans == [f"{search} (next_look_at>? AND next_look_at<?)", f"{search} (next_look_at>?)"]
