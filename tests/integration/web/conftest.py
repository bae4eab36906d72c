"""The pages of an engine of its own, served on loopback; its clock stands still until a test moves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from world.web import House, opened


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path) as made:
        yield made
