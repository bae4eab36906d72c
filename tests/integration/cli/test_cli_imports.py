"""Help costs little: no command line loads a library that its command does not use."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from world.site import Site

HEAVY = {
    "alembic",
    "dns",
    "fastapi",
    "httptools",
    "jinja2",
    "psrpcore",
    "pypsrp",
    "requests",
    "spnego",
    "sqlalchemy",
    "starlette",
    "urllib3",
    "uvicorn",
}
SCRIPT = """
import sys
from certwright.cli import main
try:
    main()
except SystemExit as left:
    assert left.code in (0, None), left.code
print("LOADED", *sorted(sys.modules))
"""


def _loaded(*arguments: str) -> tuple[str, set[str]]:
    """What is printed, and the names of the modules that are loaded in the end."""
    return _loaded_with({}, *arguments)


def _loaded_with(environment: Mapping[str, str], *arguments: str) -> tuple[str, set[str]]:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stderr
    printed, _, names = ended.stdout.rpartition("LOADED ")
    return printed, set(names.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "Exit codes: 0 done, 1 failed, 2 usage"),
        (["certificate", "--help"], "preview"),
        (["task", "add", "mail", "exchange", "--help"], "--services"),
        (["issuer", "add", "acme", "--help"], "--directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_loads_no_heavy_library(arguments: list[str], expected: str) -> None:
    printed, loaded = _loaded(*arguments)
    assert expected in printed
    assert not loaded & HEAVY


def test_a_list_loads_no_library_of_what_it_does_not_do(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    _, loaded = _loaded_with(site.environment, "certificate", "list")
    assert not loaded & (HEAVY - {"sqlalchemy"} | {"sqlalchemy.dialects.postgresql"})


def test_the_test_would_see_a_heavy_library() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("import sys\n", "import sys, sqlalchemy\n", 1), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "sqlalchemy" in ended.stdout.rpartition("LOADED ")[2].split()


def test_interrupted_while_libraries_are_loaded_it_says_so() -> None:
    interrupted = """
import sys
class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from certwright.cli import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (130, "Stopped.\n")
