"""An engine on a store of its own, with a clock that stands still."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certwright.domain.managed import Issuer
from certwright.engine.context import Engine
from certwright.settings import Settings
from certwright.store import open_store
from world import stores

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.fresh(settings)
    with open_store(settings) as store:
        with store.write() as unit:
            unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
        yield Engine(store, lambda: NOW, lambda _: None)
