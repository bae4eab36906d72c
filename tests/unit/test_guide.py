"""What README and guide tell people to type exists and parses, and what they refer to is there."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_powershell
import typer
from tree_sitter import Language, Node, Parser

from certwright.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.name != "commands.md"),
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
VERBS = "Add|Disable|Enable|Export|Get|Import|Invoke|New|Read|Register|Remove|Restart|Set|Start|Stop|Test|Unregister"
CMDLET = re.compile(rf"^(\$\w+ = )?\(?({VERBS})-[A-Z]")
PARSER = Parser(Language(tree_sitter_powershell.language()))
# The grammar knows neither lists of bare words nor a number in the name of a parameter; PowerShell does.
BARE_WORDS = re.compile(r"(?<![\w'$.@-])[\w*]+(?:, ?[\w*]+)+(?![\w'(:])")
NUMBERED = re.compile(r"(?<= -[A-Z])\d+(?=[A-Z])")


def blocks() -> Iterator[tuple[str, str, str]]:
    """Page, language and text of each fenced block."""
    for page in PAGES:
        for language, text in FENCED.findall(page.read_text()):
            yield page.name, language, text


def inline() -> Iterator[tuple[str, str]]:
    """Page and text of each piece of code within a sentence."""
    for page in PAGES:
        for text in INLINE.findall(FENCED.sub("", page.read_text())):
            yield page.name, " ".join(text.split())


TYPED = [
    (page, line)
    for page, _, text in blocks()
    for line in text.replace("\\\n", " ").splitlines()
    if line.startswith("certwright ")
]
MENTIONED = [(page, text) for page, text in inline() if text.startswith("certwright ") and " --help" not in text]
LINES = [(page, line) for page, language, text in blocks() if not language for line in text.splitlines()]
POWERSHELL = [
    *((page, text) for page, language, text in blocks() if language == "powershell"),
    *((page, text) for page, text in (*LINES, *inline()) if CMDLET.match(text)),
]


@cache
def commands() -> Any:
    """All of the command line; making it takes longer than looking anything up in it."""
    return typer.main.get_command(app)


def leaf(words: list[str]) -> tuple[Any, list[str], Any]:
    """The command that `words` name, what follows its name, and the context above it."""
    command = commands()
    context = command.make_context("certwright", [], resilient_parsing=True)
    rest = words[1:]
    while hasattr(command, "list_commands") and rest:
        if any(p.param_type_name == "argument" for p in command.params):
            rest = rest[1:]
        found = command.get_command(context, rest[0])
        assert found is not None, f"there is no command {rest[0]!r}"
        command, rest = found, rest[1:]
        if hasattr(command, "list_commands"):
            context = type(context)(command, info_name="", parent=context)
    return command, rest, context


@pytest.mark.parametrize(("page", "line"), TYPED, ids=lambda value: value[:60])
def test_each_command_in_a_block_can_be_typed_so(page: str, line: str) -> None:
    command, rest, context = leaf(shlex.split(line, comments=True))
    assert command.make_context("typed", rest, parent=context).command is command


@pytest.mark.parametrize(("page", "text"), MENTIONED, ids=lambda value: value[:60])
def test_each_command_that_is_mentioned_has_these_options(page: str, text: str) -> None:
    command, rest, _ = leaf(shlex.split(text))
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= known


@pytest.mark.parametrize(("page", "text"), POWERSHELL, ids=lambda value: value[:60])
def test_powershell_parses(page: str, text: str) -> None:
    words = BARE_WORDS.sub(lambda found: ", ".join(f"'{word.strip()}'" for word in found[0].split(",")), text)
    tree = PARSER.parse(NUMBERED.sub("", words).encode())
    assert [(node.type, node.start_point) for node in nodes(tree.root_node) if node.is_error or node.is_missing] == []


def test_links_lead_somewhere() -> None:
    assert [(page.name, link) for page, link in links() if not is_there(page, link)] == []


def links() -> Iterator[tuple[Path, str]]:
    """Each page with each of its links to other pages of the repository."""
    for page in PAGES:
        for link in LINK.findall(FENCED.sub("", page.read_text())):
            if "://" not in link:
                yield page, link


def is_there(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    found = page.parent / name if name else page
    if not anchor:
        return found.exists()
    return anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in HEADING.findall(found.read_text())}


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)
