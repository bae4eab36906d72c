from datetime import UTC, datetime, timedelta

import pytest

from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.managed import ManagedCertificate
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.store import Store
from certwright.store.uses import Users

pytestmark = pytest.mark.usefixtures("issuer")
NOW = datetime(2026, 12, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)


def window(name: str, span: str = "Sat 22:00-04:00") -> MaintenanceWindow:
    return MaintenanceWindow(name=name, zone="Europe/Berlin", spans=(Span.parse(span),))


def managed(title: str, name: str | None) -> ManagedCertificate:
    given = {"title": title, "identifiers": [f"{title}.contoso.com"], "issuer": "le", "window": name}
    return ManagedCertificate.model_validate(given)


def test_they_are_kept_by_name_and_replaced(store: Store) -> None:
    with store.write() as unit:
        for made in (window("weekend"), window("night"), window("weekend", "Sun 01:00-02:00")):
            unit.windows.put(made)
    with store.read() as unit:
        assert unit.windows.list() == [window("night"), window("weekend", "Sun 01:00-02:00")]
        assert unit.windows.get("night") == window("night")
        with pytest.raises(NotFound, match="no maintenance window 'day'") as caught:
            unit.windows.get("day")
    assert caught.value.hint == "Windows: night, weekend."


def test_a_certificate_refers_only_to_one_that_is_there(store: Store) -> None:
    with store.write() as unit, pytest.raises(NotFound, match="no maintenance window 'weekend'") as caught:
        unit.managed.add(managed("mail", "weekend"))
    assert "certwright window add" in caught.value.hint
    with store.write() as unit:
        mail = managed("post", None)
        unit.managed.add(mail)
        with pytest.raises(NotFound, match="no maintenance window 'weekend'"):
            unit.managed.update(mail.model_copy(update={"window": "weekend"}))


def test_one_in_use_is_not_removed_and_its_users_are_named(store: Store) -> None:
    mail, web = managed("mail", "weekend"), managed("web", "weekend")
    with store.write() as unit:
        unit.windows.put(window("weekend"))
        for certificate in (web, mail):
            unit.managed.add(certificate)
        assert unit.windows.users("weekend") == Users(["mail", "web"], 0)
        with pytest.raises(ConfigurationError, match="used by 'mail', 'web'") as caught:
            unit.windows.remove("weekend")
        assert "certwright certificate window" in caught.value.hint
        unit.managed.update(mail.model_copy(update={"window": None}))
        with pytest.raises(ConfigurationError, match="used by 'web'"):
            unit.windows.remove("weekend")
        unit.managed.remove(web.id)
        unit.windows.remove("weekend")
        assert unit.windows.list() == []
        with pytest.raises(NotFound):
            unit.windows.remove("weekend")


def test_many_users_are_counted(store: Store) -> None:
    with store.write() as unit:
        unit.windows.put(window("weekend"))
        for number in range(10, 22):
            unit.managed.add(managed(f"host{number}", "weekend"))
        users = unit.windows.users("weekend")
        assert (users.first, users.more) == ([f"host{number}" for number in range(10, 20)], 2)
        with pytest.raises(ConfigurationError, match=r"used by 'host10', .*, 'host19', and 2 more"):
            unit.windows.remove("weekend")


def test_those_on_the_schedule_that_refer_to_it_are_looked_at_now(store: Store) -> None:
    soon, before = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
    given = {"waits": LATER, "overdue": before, "idle": None}
    with store.write() as unit:
        for name in ("weekend", "night"):
            unit.windows.put(window(name))
        other = managed("other", "night")
        unit.managed.add(other)
        unit.managed.set_next_check(other.id, soon)
        mine = {title: managed(title, "weekend") for title in given}
        for title, certificate in mine.items():
            unit.managed.add(certificate)
            unit.managed.set_next_check(certificate.id, given[title])
        unit.managed.hurry("weekend", NOW)
        assert {title: unit.managed.next_check(one.id) for title, one in mine.items()} == {**given, "waits": NOW}
        assert unit.managed.next_check(other.id) == soon
