"""The commands that move settings to another name: exact, and short where servers are alike."""

import re
from collections.abc import Iterable

import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Parser

from certwright.cli.exchange.show import name_lines
from certwright.exchange.judgement.moves import Move, block, merged
from certwright.exchange.judgement.names import NameVerdict, judge, required_names
from unit.exchange.organisations import addresses, facts, organisation, server

COLUMNS = 100
INTRANET, PUBLIC = "mail.corp.local", "mail.contoso.com"
PARSER = Parser(Language(tree_sitter_powershell.language()))
LOOP = re.compile(r"foreach \(\$s in (.*)\) \{")


def moved(*servers: str, **changed: str) -> NameVerdict:
    """The verdict on an intranet name that every web address of these servers uses inside; POP, too."""
    states = [
        server(name, addresses=addresses(name, INTRANET, changed.get(name, PUBLIC)), pop_name=INTRANET)
        for name in servers
    ]
    verdicts = judge(required_names(organisation(*states)), facts(), lambda _: True)
    return next(verdict for verdict in verdicts if verdict.name == INTRANET)


def carried_out(lines: Iterable[str]) -> list[str]:
    """The commands that a shell runs, each on one line and with the text of each server's name."""
    joined = "\n".join(lines).replace(" `\n", " ").replace("',\n", "',")
    found: list[str] = []
    inner: list[str] = []
    servers: list[str] = []
    for line in map(str.strip, joined.splitlines()):
        if loop := LOOP.fullmatch(line):
            servers = [name[1:-1] for name in re.split(", +", loop[1])]
        elif line == "}":
            found += [filled(command, name) for name in servers for command in inner]
            inner, servers = [], []
        else:
            (inner if servers else found).append(re.sub(" +", " ", line))
    return found


def filled(command: str, name: str) -> str:
    """`command` with the variable replaced, in the quotes that texts have."""
    return re.sub(r'"\$s([^"]*)"', lambda found: f"'{name}{found[1]}'", command)


def is_powershell(lines: Iterable[str]) -> bool:
    """Whether it can be read; the parser takes -X509 for the operator -xor."""
    text = "\n".join(lines).replace("-X509", "-")
    return not PARSER.parse(text.encode()).root_node.has_error


def test_servers_that_are_alike_are_told_together_and_nothing_is_lost() -> None:
    names = ("EX01", "EX02", "EX03")
    verdict = moved(*names)
    lines = list(block(verdict.moves))
    assert sorted(carried_out(lines)) == sorted(move.typed for move in verdict.moves)
    assert len(verdict.moves) == 9 * len(names)
    assert len(lines) == len(list(block(moved("EX01", "EX02").moves)))
    assert all(len(line) <= COLUMNS - 3 for line in lines)
    assert is_powershell(lines)


def test_a_server_that_differs_has_commands_of_its_own() -> None:
    verdict = moved("EX01", "EX02", "EX03", EX03=INTRANET)
    lines = list(block(verdict.moves))
    assert lines[0] == "foreach ($s in 'EX01', 'EX02') {"
    own = lines[lines.index("}") + 1 :]
    assert any("'EX03\\owa (Default Web Site)'" in line for line in own)
    assert sorted(carried_out(lines)) == sorted(move.typed for move in verdict.moves)


def test_what_one_cmdlet_can_set_is_one_command() -> None:
    verdict = moved("EX01", "EX02", EX01=INTRANET)
    owa = [move.typed for move in verdict.moves if "Owa" in move.cmdlet and move.server == "EX01"]
    url = "'https://mail.contoso.com/owa'"
    assert owa == [
        f"Set-OwaVirtualDirectory -Identity 'EX01\\owa (Default Web Site)' -InternalUrl {url} -ExternalUrl {url}"
    ]
    assert owa[0] in verdict.remedy


def test_what_a_person_reads_fits_a_terminal() -> None:
    names = [f"EX{number:02}" for number in range(12)]
    states = [server(n, addresses=addresses(n, INTRANET, PUBLIC), pop_name=INTRANET) for n in names]
    verdicts = judge(required_names(organisation(*states)), facts(), lambda _: True)
    lines = list(name_lines(verdicts))
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) < 50
    own = " ".join(lines[-4:])
    assert all(f"{name.lower()}.contoso.com" in own for name in names)
    assert "nothing to do" in own


def test_json_leaves_nothing_out() -> None:
    verdict = moved("EX01", "EX02", "EX03", "EX04", "EX05")
    data = verdict.data()
    assert data["commands"] == [move.typed for move in verdict.moves]
    assert "POP certificate name of EX01, EX02, EX03, EX04, EX05" in data["sources"]


TEXTS = st.text(st.sampled_from("ab1 .()\\/-'\"`$\n\u2019é"), max_size=8)
MOVES = st.builds(
    lambda server, rest, value: Move(server, "Set-X", f"{server}{rest}", (("Url", value),)),
    st.sampled_from(["EX01", "EX02", "EX-03"]),
    TEXTS,
    TEXTS,
)


@given(st.lists(MOVES, min_size=1, max_size=6))
def test_whatever_names_hold_every_command_is_there_and_none_is_added(made: list[Move]) -> None:
    moves = merged(made)
    lines = list(block(moves))
    assert sorted(carried_out(lines)) == sorted(re.sub(" +", " ", move.typed.strip()) for move in moves)
    assert not any("\n" in line for line in lines)
    assert is_powershell(lines)
