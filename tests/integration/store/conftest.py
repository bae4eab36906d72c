"""A store of its own for each test, on either database; one that a test opens was made once, for all of them."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from certwright import store as stores
from certwright.domain.managed import Issuer
from certwright.settings import Settings
from certwright.store import Store, schema
from peers.postgres import Postgres
from world.stores import KINDS, execute, fresh


@dataclass(frozen=True)
class Reused:
    """A store on PostgreSQL that is emptied for the next test, since making one takes longer than most tests."""

    settings: Settings
    recovery_key: str
    wrapped: Mapping[str, bytes]
    rules: Sequence[Mapping[str, str]]

    def emptied(self, places: Settings) -> Settings:
        """The store as it was new, with its master key in other places."""
        tables = [table for table in reversed(schema.metadata.sorted_tables) if table is not schema.store]
        counted = [table.name for table in tables if "sequence" in table.c]
        statements = [f"DELETE FROM {table.name}" for table in tables]
        statements += [f"ALTER SEQUENCE {name}_sequence_seq RESTART" for name in counted]
        execute(self.settings, ";".join(statements))
        keys = "UPDATE store SET key_by_master = :key_by_master, key_by_recovery = :key_by_recovery"
        execute(self.settings, keys, **self.wrapped)
        for rule in self.rules:
            execute(self.settings, "INSERT INTO rules (name, body, pace) VALUES (:name, :body, :pace)", **rule)
        shutil.copytree(self.settings.key_folder, places.key_folder)
        return replace(places, store_url=self.settings.store_url)


@pytest.fixture(scope="session")
def reused(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Reused:
    folder = tmp_path_factory.mktemp("reused")
    places = Settings(data_folder=folder / "data", key_folder=folder / "keys", store_url=postgres.schema())
    recovery_key = stores.create(places)
    ((by_master, by_recovery),) = execute(places, "SELECT key_by_master, key_by_recovery FROM store")
    found = execute(places, "SELECT name, body, pace FROM rules")
    rules = [{"name": name, "body": body, "pace": pace} for name, body, pace in found]
    return Reused(places, recovery_key, {"key_by_master": by_master, "key_by_recovery": by_recovery}, rules)


@pytest.fixture(params=KINDS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Places without a store; or with one, if the test asks for that too."""
    places = Settings(data_folder=tmp_path / "data", key_folder=tmp_path / "keys")
    if request.param == "sqlite":
        return places
    if "store" in request.fixturenames:
        kept: Reused = request.getfixturevalue("reused")
        return kept.emptied(places)
    server: Postgres = request.getfixturevalue("postgres")
    return replace(places, store_url=server.schema())


@pytest.fixture
def recovery_key(request: pytest.FixtureRequest, settings: Settings) -> str:
    if "store" not in request.fixturenames:
        return stores.create(settings)
    if settings.store_url is None:
        return fresh(settings)
    kept: Reused = request.getfixturevalue("reused")
    return kept.recovery_key


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
