"""Plugins of a third party, as an installer leaves them."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from certwright.engine import catalog


def install(site_packages: Path, package: str, modules: Mapping[str, str], init: str = "") -> None:
    """A package of tasks, and the metadata that advertises it."""
    folder = site_packages / package
    folder.mkdir()
    (folder / "__init__.py").write_text(init)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    metadata = site_packages / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[certwright.tasks]\n{package} = {package}\n")


@contextmanager
def found(site_packages: Path, prefix: str) -> Iterator[None]:
    """In the block, the catalog finds what is installed there; packages are named with this `prefix`."""
    caches = (catalog.names, catalog.members, catalog.plugin)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site_packages))
        for cached in caches:
            cached.cache_clear()
        yield
    for cached in caches:
        cached.cache_clear()
    for name in [n for n in sys.modules if n.startswith(prefix)]:
        del sys.modules[name]
