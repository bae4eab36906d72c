"""A store in a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright import store as stores
from certwright.domain.managed import Issuer
from certwright.settings import Settings
from certwright.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_folder=tmp_path / "data", key_folder=tmp_path / "keys")


@pytest.fixture
def recovery_key(settings: Settings) -> str:
    return stores.create(settings)


@pytest.fixture
def store(settings: Settings, recovery_key: str) -> Iterator[Store]:
    with stores.open_store(settings) as opened:
        yield opened


@pytest.fixture
def issuer(store: Store) -> Issuer:
    issuer = Issuer(name="le", kind="acme", params={"directory": "https://ca.test/dir"})
    with store.write() as unit:
        unit.issuers.add(issuer, b"account key")
    return issuer
