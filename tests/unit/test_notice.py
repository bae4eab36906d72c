"""NOTICE names every package that is installed with Certwright, under the licence that the package declares."""

import json
import re
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTICED = dict(re.findall(r"^    ([a-z][\w-]*) +(\S.*)$", (ROOT / "NOTICE").read_text(), re.MULTILINE))
FOR_BROWSERS = dict(re.findall(r"^     (\S+) +(\S.*)$", (ROOT / "NOTICE").read_text(), re.MULTILINE))
_AS_SPDX_HAS_IT = {"BSD-0-Clause": "0BSD"}


def _locked(name: str) -> list[str]:
    return re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / name).read_text(), re.MULTILINE)


KERBEROS, NODE = _locked("kerberos.txt"), _locked("node.txt")
LOCKED = sorted(
    {
        *_locked("demo.txt"),
        *KERBEROS,
        *_locked("lexicon.txt"),
        *_locked("postgresql.txt"),
        *_locked("apprise.txt"),
        *NODE,
    }
)
_CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_LESSER = {"psycopg", "psycopg-binary"}
_DECLARED_BY_FILE = {"requests-unixsocket"}
_FILES = {"Apache License Version 2.0": "Apache-2.0"}


def _declared(package: str) -> str:
    """The licence expression of an installed package; or what its classifiers, its old field or its file say."""
    about = metadata(package)
    if package in _DECLARED_BY_FILE:
        (text,) = [f.read_text() for f in files(package) or () if f.name == "LICENSE"]
        return next(licence for words, licence in _FILES.items() if words in " ".join(text.split()))
    classifiers: list[str] = about.get_all("Classifier") or []
    named = [_CLASSIFIED[c.rpartition(" :: ")[2]] for c in classifiers if c.startswith("License :: OSI Approved :: ")]
    said: list[str] = [*(about.get_all("License-Expression") or []), *named, *(about.get_all("License") or [])]
    return said[0]


def test_notice_and_the_locked_requirements_name_the_same_packages() -> None:
    assert sorted(NOTICED) == LOCKED


@pytest.mark.parametrize("package", LOCKED)
def test_notice_gives_the_licence_that_the_package_declares(package: str) -> None:
    try:
        declared = _declared(package)
    except PackageNotFoundError:
        # The extra's packages lie beside this environment (peers.kerberos); Node.js is there where npm is not.
        assert package in (*KERBEROS, *NODE) or NOTICED[package].endswith("(on Windows)")
        return
    assert NOTICED[package].startswith(declared)
    assert "GPL" not in declared.removeprefix("LGPL-3.0-only" if package in _LESSER else "")


def test_notice_names_what_a_wheel_contains_for_browsers() -> None:
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    found = {name.removeprefix("node_modules/"): each["license"] for name, each in locked.items() if name}
    assert {name: _AS_SPDX_HAS_IT.get(licence, licence) for name, licence in found.items()} == FOR_BROWSERS


def test_no_lock_file_names_a_host() -> None:
    for file in (ROOT / "package-lock.json", *(ROOT / "requirements").glob("*.txt")):
        assert "://" not in file.read_text(), file
