"""What the tests of the simulated Exchange, and of public names, begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServerConfig
from peers.bind import World, bind_world
from peers.exchange_shell import Issued, TestAuthority
from world.proofs import Proofs, proofs


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    """The authority of the module's certificates."""
    return TestAuthority()


@pytest.fixture(scope="module")
def root(authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of its root."""
    return authority.write_root(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def endpoint(authority: TestAuthority) -> Issued:
    """What the PowerShell endpoints present."""
    return authority.issue("ex01.contoso.test", address="127.0.0.1")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Name servers of which those of contoso.com are two."""
    with bind_world() as started:
        started.zone("contoso.com", "web A 127.0.0.1\n")
        yield started


@pytest.fixture
def one(world: World, tmp_path: Path) -> Iterator[Proofs]:
    """An installation there, and an authority that issues for public names and heeds CAA."""
    config = AcmeServerConfig(caa_identities=("ca.contoso.com",))
    with proofs(tmp_path, world, config, internal_names=False) as started:
        yield started
