"""NOTICE names every package that is installed with Certwright, under the licence that the package declares."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTICED = dict(re.findall(r"^    ([a-z][\w-]*) +(\S.*)$", (ROOT / "NOTICE").read_text(), re.MULTILINE))
LOCKED = re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "demo.txt").read_text(), re.MULTILINE)
_CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def _declared(package: str) -> str:
    """The licence expression of an installed package; of an older one, what its classifiers or its old field say."""
    about = metadata(package)
    classifiers: list[str] = about.get_all("Classifier") or []
    named = [_CLASSIFIED[c.rpartition(" :: ")[2]] for c in classifiers if c.startswith("License :: OSI Approved :: ")]
    said: list[str] = [*(about.get_all("License-Expression") or []), *named, *(about.get_all("License") or [])]
    return said[0]


def test_notice_and_the_locked_requirements_name_the_same_packages() -> None:
    assert sorted(NOTICED) == sorted(LOCKED)


@pytest.mark.parametrize("package", LOCKED)
def test_notice_gives_the_licence_that_the_package_declares(package: str) -> None:
    try:
        declared = _declared(package)
    except PackageNotFoundError:
        assert NOTICED[package].endswith("(on Windows)")
        return
    assert NOTICED[package].startswith(declared)
    assert "GPL" not in declared
