"""Records of many zones: at the same time, but never too much of one service at once, and one fault stops no other."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright.domain.errors import SolverError
from certwright.domain.runs import Entry
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.credentials import store_credential
from certwright.engine.left_over import clear_left_over
from certwright.engine.logs import Lines
from certwright.engine.slots import MOST
from certwright.engine.written import WrittenRecords
from certwright.sdk.dns import TxtRecord
from world.site import Site

ZONES = {f"zone{n}.test": [TxtRecord(f"_acme-challenge.zone{n}.test", "value")] for n in range(10)}
PROGRAM = """#!/bin/sh
echo begin >> "$(dirname "$0")/at-work"
sleep 0.1
echo end >> "$(dirname "$0")/at-work"
[ "$3" != zone3.test ] && echo "$CERTWRIGHT_ACTION $1" >> "$(dirname "$0")/done"
"""

FULL = """#!/bin/sh
here=$(dirname "$0")
[ "$CERTWRIGHT_ACTION" = create ] && [ "$2" = too-many ] && exit 1
[ "$CERTWRIGHT_ACTION" = delete ] && [ -e "$here/out-of-order" ] && exit 1
echo "$CERTWRIGHT_ACTION $1" >> "$here/done"
"""


@pytest.fixture
def heard() -> list[Entry]:
    return []


@pytest.fixture
def engine(tmp_path: Path, heard: list[Entry]) -> Iterator[Engine]:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    program = scripts / "records.sh"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with Site(tmp_path, script_folders=(scripts,)).initialise().engine(heard.append) as engine:
        params = {"create": str(program), "delete": str(program), "per_second": 1000}
        store_credential(engine, "script", "own", params, checked=False)
        yield engine


def most_at_once(tmp_path: Path) -> int:
    now = most = 0
    for line in (tmp_path / "scripts" / "at-work").read_text().splitlines():
        now += 1 if line == "begin" else -1
        most = max(most, now)
    return most


def test_zones_wait_for_each_other_only_as_far_as_the_service_needs(engine: Engine, tmp_path: Path) -> None:
    with engine.store.lease("credential:own") as lease:
        records = WrittenRecords(engine, ActiveRun.unrecorded(engine, lease))
        with pytest.raises(SolverError, match=r"records\.sh"):
            records.add("own", ZONES)
        records.remove("own", ZONES)
    done = (tmp_path / "scripts" / "done").read_text().splitlines()
    assert len(done) == 2 * (len(ZONES) - 1)
    assert most_at_once(tmp_path) <= MOST["dns"]


def test_what_one_zone_keeps_is_tried_again_and_the_others_are_not(
    engine: Engine, tmp_path: Path, heard: list[Entry]
) -> None:
    with engine.store.lease("credential:own") as lease:
        with pytest.raises(SolverError):
            WrittenRecords(engine, ActiveRun.unrecorded(engine, lease)).add("own", ZONES)
        for _ in range(2):
            clear_left_over(engine, ActiveRun.unrecorded(engine, lease))
    done = (tmp_path / "scripts" / "done").read_text().splitlines()
    assert len([line for line in done if line.startswith("delete")]) == len(ZONES) - 1
    assert len([e for e in heard if "the next run tries again: _acme-challenge.zone3.test" in e.title]) == 2


def test_what_was_written_before_a_refusal_is_not_forgotten(engine: Engine, tmp_path: Path, heard: list[Entry]) -> None:
    scripts = tmp_path / "scripts"
    (scripts / "records.sh").write_text(FULL)
    (scripts / "out-of-order").touch()
    zones = {"zone.test": [TxtRecord("_acme-challenge.zone.test", v) for v in ("written", "too-many")]}
    with engine.store.lease("credential:own") as lease:
        records = WrittenRecords(engine, ActiveRun.unrecorded(engine, lease))
        with pytest.raises(SolverError, match="did not create"):
            records.add("own", zones)
        records.remove("own", zones)
        assert [e for e in heard if "the next run tries again: _acme-challenge.zone.test" in e.title]
        (scripts / "out-of-order").unlink()
        clear_left_over(engine, ActiveRun.unrecorded(engine, lease))
    assert "delete _acme-challenge.zone.test" in (scripts / "done").read_text().splitlines()


def test_what_a_fault_of_a_provider_keeps_is_told_with_the_fault_in_the_log(
    engine: Engine, heard: list[Entry], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "certwright")
    zones = {"zone.test": [TxtRecord("_acme-challenge.zone.test", "value")]}
    with engine.store.lease("credential:own") as lease:
        records = WrittenRecords(engine, ActiveRun.unrecorded(engine, lease))
        records.add("own", zones)
        monkeypatch.setattr("certwright.dns.script.Script.remove", lambda *_: 1 / 0)
        records.remove("own", zones)
    (told,) = (e.title for e in heard if "the next run tries again: _acme-challenge.zone.test" in e.title)
    assert told.endswith("It was stopped by an unexpected ZeroDivisionError; the log has the details.")
    assert "ZeroDivisionError: division by zero" in "\n".join(map(Lines().format, caplog.records))


def test_what_was_refused_alone_is_forgotten(engine: Engine, heard: list[Entry]) -> None:
    zones = {"zone3.test": ZONES["zone3.test"]}
    with engine.store.lease("credential:own") as lease:
        records = WrittenRecords(engine, ActiveRun.unrecorded(engine, lease))
        with pytest.raises(SolverError):
            records.add("own", zones)
        heard.clear()
        records.remove("own", zones)
        clear_left_over(engine, ActiveRun.unrecorded(engine, lease))
    assert not [e for e in heard if "tries again" in e.title]
