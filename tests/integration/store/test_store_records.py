"""Records of what was seen: newest first, and not without end."""

from datetime import UTC, datetime, timedelta

from certwright.store import Store
from certwright.store.records import KEPT

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_the_newest_comes_first_and_the_oldest_go(store: Store) -> None:
    with store.write() as unit:
        for number in range(KEPT + 3):
            unit.records.put("contoso.test", "snapshot", {"number": number}, NOW + timedelta(minutes=number))
        unit.records.put("contoso.test", "doctor", {"passed": True}, NOW)
    with store.read() as unit:
        kept = unit.records.list("contoso.test", "snapshot")
        last = unit.records.last("contoso.test", "snapshot")
        other = unit.records.last("contoso.test", "doctor")
        assert unit.records.last("fabrikam.test", "doctor") is None
    assert [record.value["number"] for record in kept] == list(range(KEPT + 2, 2, -1))
    assert last is not None
    assert (last.value, last.at) == ({"number": KEPT + 2}, NOW + timedelta(minutes=KEPT + 2))
    assert other is not None
    assert other.value == {"passed": True}
