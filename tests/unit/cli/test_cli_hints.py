"""What errors tell people to type can be typed for a certificate that is there already."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import certwright
from certwright.cli.app import app as cli

SOURCE = Path(certwright.__file__).parent
RUNNING = ("solvers", "listener", "probe")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SET = re.compile(r"certwright validation set CERT (?P<solver>[a-z_]+) (?P<rest>[^')]*)")
DESCRIBING = {"new", "setup"}


def _texts() -> Iterator[str]:
    """The strings of what works while a certificate is requested."""
    for part in RUNNING:
        for path in (SOURCE / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def _options(command: Any) -> set[str]:
    return {spelling for parameter in command.params for spelling in (*parameter.opts, *parameter.secondary_opts)}


def _commands(group: Any) -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from _commands(command)
        else:
            yield name, command


def test_options_in_hints_are_not_those_of_describing_a_new_certificate_alone() -> None:
    usable: set[str] = set()
    for name, command in _commands(typer.main.get_command(cli)):
        if name not in DESCRIBING:
            usable |= _options(command)
    named = {option for text in _texts() for option in OPTION.findall(text)}
    assert "--check-via" in named
    assert named - usable == set()


def test_solvers_in_hints_have_the_options_that_are_named() -> None:
    root: Any = typer.main.get_command(cli)
    group = root.get_command(None, "validation").get_command(None, "set")
    hints = [found for text in _texts() for found in SET.finditer(text)]
    assert {found["solver"] for found in hints} >= {"webroot", "http_listener", "tls_alpn"}
    for found in hints:
        assert set(OPTION.findall(found["rest"])) <= _options(group.get_command(None, found["solver"]))
