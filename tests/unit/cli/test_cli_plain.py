"""What strangers say commands no terminal."""

import io
import json
import unicodedata

import pytest

from certwright.cli import streams
from certwright.cli.console import PlainConsole
from certwright.cli.show import served, table
from certwright.domain.deployment import ServedRow, Verdict

CONTROLS = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cc"]
HOSTILE = "a\x1b[31mb\x1b]0;c\x07\x9b2J\rd\u202e"
SHOWN = "a\\x1b[31mb\\x1b]0;c\\x07\\x9b2J\\x0dd\\u202e"
MARKS = ("\x1b[31m", "\x1b]", "\x07", "\x9b", "\r", "\u202e")


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
def test_control_characters_are_escaped_but_for_line_breaks_and_tabs(control: str) -> None:
    assert streams.plain(f"a{control}b") == (f"a{control}b" if control in "\n\t" else f"a\\x{ord(control):02x}b")


def test_json_says_what_it_said() -> None:
    out, said = io.StringIO(), {"name": "".join(CONTROLS) + HOSTILE}
    streams.write(out, json.dumps(said, indent=2))
    assert json.loads(out.getvalue()) == said


def test_a_terminal_hears_the_colours_of_the_console_and_nothing_of_a_stranger() -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, force_terminal=True, highlight=False, markup=False, width=200)
    row = ServedRow(
        server=HOSTILE, service=HOSTILE, address=HOSTILE, port=443, protocol=HOSTILE, names=(HOSTILE,),
        before=HOSTILE, now=HOSTILE, verdict=Verdict.OK, detail=HOSTILE,
    )  # fmt: skip
    console.print(HOSTILE)
    console.print(table([HOSTILE], [[HOSTILE]], HOSTILE))
    console.print(served(console, [row], HOSTILE))
    shown = out.getvalue()
    assert shown.count(SHOWN) > 5
    assert "\x1b[32mok" in shown
    assert not [mark for mark in MARKS if mark in shown]
