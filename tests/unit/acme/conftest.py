import pytest

from certwright.acme import account
from certwright.acme.client import AcmeClient
from certwright.acme.jws import SigningKey
from unit.acme.memory_ca import DIRECTORY, MemoryCA


@pytest.fixture
def ca() -> MemoryCA:
    return MemoryCA()


@pytest.fixture
def newcomer(ca: MemoryCA) -> AcmeClient:
    """A client without an account."""
    return AcmeClient(ca, DIRECTORY, SigningKey.generate(), clock=ca.time.clock())


@pytest.fixture
def client(ca: MemoryCA, newcomer: AcmeClient) -> AcmeClient:
    """A client with an account, whose CA has counted nothing yet."""
    account.register(newcomer, agree_to_terms=True)
    ca.requests.clear()
    return newcomer
