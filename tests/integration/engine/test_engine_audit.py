"""The audit trail as the service keeps it."""

import base64
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.domain.audit import Action
from certwright.domain.errors import ConfigurationError
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.engine.audit import entries, head, note_settings, sign_head, verify
from certwright.engine.context import Engine
from certwright.engine.housekeeping import housekeep
from certwright.engine.logs import Lines
from certwright.engine.windows import put_window
from certwright.settings import Settings
from certwright.store import open_store
from certwright.store.audit import END, Wanted
from world import stores
from world.stores import execute

LONG_AFTER = datetime.now(UTC) + timedelta(days=4000)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.fresh(settings)
    with open_store(settings) as store:
        yield Engine(store, lambda: LONG_AFTER, lambda _: None)


def change(engine: Engine, name: str) -> None:
    put_window(engine, MaintenanceWindow(name=name, zone="UTC", spans=(Span.parse("Mon 02:00-04:00"),)))


def test_where_it_stands_is_signed_and_logged_if_something_was_added(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "certwright")
    first = sign_head(engine)
    assert first
    assert first.is_right
    in_hex = base64.b64decode(first.signature).hex()
    lines = [Lines("%(message)s").format(record) for record in caplog.records]
    assert f"The audit trail stands at {first.head}; signature {in_hex}." in lines
    assert sign_head(engine) is None
    assert head(engine) == first
    change(engine, "nights")
    second = head(engine)
    assert (second.head.number, second.key) == (first.head.number + 1, first.key)
    found = verify(engine, {first.head.number: first.head.hash})
    assert (found.entries, found.heads, found.key, found.faults) == (2, 2, first.key, ())


def test_of_settings_that_are_others_at_the_next_begin_both_are_told(engine: Engine, tmp_path: Path) -> None:
    given = Settings(tmp_path / "data", key_folder=tmp_path / "keys", hosts=("a.contoso.com",), master_key="c4nary")
    note_settings(engine, "mail1", given)
    note_settings(engine, "mail1", given)
    note_settings(engine, "mail1", replace(given, hosts=("b.contoso.com",)))
    note_settings(engine, "mail2", given)
    other, changed, added = entries(engine, Wanted(kind="settings"))
    assert (added.action, added.before, added.subject.title) == (Action.ADDED, None, "mail1")
    assert added.after
    assert added.after["hosts"] == "a.contoso.com"
    assert (changed.action, changed.before, changed.after) == (
        Action.CHANGED,
        {"hosts": "a.contoso.com"},
        {"hosts": "b.contoso.com"},
    )
    assert (other.action, other.subject.title) == (Action.ADDED, "mail2")
    assert "c4nary" not in str(entries(engine))


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (("audit", "audit_heads"), "There is no entry, and the first one tells that the store was made."),
        (("audit where number > 2", "audit_heads"), "The trail ends before entry 3, which was there"),
        (("audit_heads",), "The signed head of entry 2 is missing."),
        (("secrets where name like 'audit:%'", "audit_heads"), "sealed of where the trail ends is missing"),
        (("secrets where name = 'audit:end'",), "sealed of where the trail ends is missing"),
    ],
)
def test_what_is_cut_off_at_the_end_is_found(engine: Engine, cut: tuple[str, ...], told: str, tmp_path: Path) -> None:
    change(engine, "nights")
    sign_head(engine)
    change(engine, "days")
    assert verify(engine, {}).faults == ()
    for rows in cut:
        execute(Settings(tmp_path / "data", key_folder=tmp_path / "keys"), f"delete from {rows}")
    assert told in "\n".join(verify(engine, {}).told)
    change(engine, "later")
    sign_head(engine)
    assert verify(engine, {}).faults


def test_the_end_of_a_new_store_is_sealed(engine: Engine) -> None:
    assert verify(engine, {}).faults == ()


def test_one_is_counted_as_one(engine: Engine) -> None:
    assert verify(engine, {}).whole == "1 entry is there, as it was written; no head is signed yet."
    signed = sign_head(engine)
    assert signed
    assert verify(engine, {}).whole == f"1 entry is there, as it was written; 1 head is signed by {signed.key}."
    change(engine, "nights")
    sign_head(engine)
    assert "2 entries are there, each as it was written; 2 heads are signed by" in verify(engine, {}).whole


def test_the_end_of_a_trail_that_an_earlier_version_wrote_is_sealed_once_and_that_is_noted(engine: Engine) -> None:
    sign_head(engine)
    with engine.store.write() as unit:
        unit.secrets.remove(END)
    assert verify(engine, {}).faults
    for _ in range(2):
        with engine.store.write() as unit:
            unit.trail.seal_first(engine.store.id, unit.secrets)
    assert verify(engine, {}).faults == ()
    newest, _made = entries(engine)
    assert (newest.action, newest.after) == (Action.CHANGED, {"sealed_from": 1})


def test_housekeeping_never_cuts_it(engine: Engine) -> None:
    change(engine, "nights")
    sign_head(engine)
    before = entries(engine)
    housekeep(engine)
    assert entries(engine) == before
    assert verify(engine, {}).faults == ()


def test_a_refused_change_is_not_told_of(engine: Engine) -> None:
    change(engine, "nights")
    before = entries(engine)
    with pytest.raises(ConfigurationError), engine.store.write() as unit:
        unit.issuers.remove("ghost")
    assert entries(engine) == before
    assert entries(engine, Wanted(subject="ghost")) == []
