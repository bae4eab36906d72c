"""The API of an engine of its own, served on loopback; its clock stands still until a test moves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright import api
from certwright.domain.managed import Issuer
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.probe import Endpoint
from certwright.sdk.places import Places
from certwright.server.http import listening
from certwright.settings import Settings
from certwright.store import open_store
from peers.ports import free_port
from world import stores
from world.api import Clock, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    settings = Settings(tmp_path / "data", key_folder=tmp_path / "keys")
    stores.fresh(settings)
    with open_store(settings) as store:
        with store.write() as unit:
            unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
        clock, at = Clock(), Endpoint("127.0.0.1", free_port())
        engine = Engine(store, clock, lambda _: None, places=Places((tmp_path,), settings.file_folders))
        jobs = Jobs(engine)
        with listening(at, api.application(engine, lambda: None, Live(store), jobs, settings)):
            yield Service(engine, clock, at, jobs, tmp_path)
        jobs.close()
