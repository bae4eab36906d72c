"""A damaged store is found, and told of in words."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from certwright.domain.errors import StoreError
from certwright.engine.check import check, require_whole
from world.site import Site

pytestmark = pytest.mark.e2e


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path).initialise()
    with made.engine() as engine, engine.store.write() as unit:
        for number in range(200):
            unit.secrets.put(f"filler {number}", bytes(2000))
    return made


def plain(site: Site) -> sqlite3.Connection:
    return sqlite3.connect(site.settings.database, isolation_level=None)


def test_a_whole_store_passes(site: Site) -> None:
    with site.engine() as engine:
        require_whole(engine)
        assert check(engine).rows["secrets"] == 201  # and the end of the audit trail
    assert "201 secrets" in site.cli("check", code=0).out


def test_a_damaged_page_is_found_when_a_service_starts(site: Site) -> None:
    with closing(plain(site)) as file:
        (page,) = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'secrets'").fetchone()
        (size,) = file.execute("PRAGMA page_size").fetchone()
    with site.settings.database.open("r+b") as file:
        file.seek((page - 1) * size + 12)
        file.write(b"\xff" * 40)
    with site.engine() as engine, pytest.raises(StoreError, match="damaged") as caught:
        require_whole(engine)
    assert "certwright restore" in caught.value.hint or "backup" in caught.value.hint
    assert "damaged" in site.cli("check", code=1).err


def test_references_to_nothing_and_secrets_of_another_place_are_found(site: Site) -> None:
    with closing(plain(site)) as file:
        file.execute("INSERT INTO names VALUES ('www.contoso.test', 'nobody')")
        file.execute(
            "UPDATE secrets SET value = (SELECT value FROM secrets WHERE name = 'filler 1') WHERE name = 'filler 2'"
        )
    with site.engine() as engine, pytest.raises(StoreError, match="2 things are wrong") as caught:
        check(engine)
    told = "\n".join(caught.value.explain())
    assert "of names refers to a row of managed" in told
    assert "filler 2 cannot be decrypted" in told
    assert "filler 1 " not in told
