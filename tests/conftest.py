"""For all tests."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from peers.postgres import Postgres
from peers.postgres import postgres as run_postgres

# How long an example takes says more of the machine's load than of the code.
settings.register_profile("loaded", deadline=None)
settings.load_profile("loaded")

# A shell that runs the tests in the background ignores Ctrl-C for them, and so would the programs that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests of this process; each takes a database or a schema of its own."""
    with run_postgres() as server:
        yield server
