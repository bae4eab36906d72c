"""What a person is to do: sentences, and commands on lines of their own, so that they can be copied."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import groupby

_INDENT = "    "


def steps(sentence: str, *commands: str) -> str:
    """`sentence`, and below it each command on a line of its own, set in by four spaces.

    A name from Exchange that holds a line break cannot become a command of its own.
    """
    return "\n".join((_one_line(sentence), *(f"{_INDENT}{_one_line(command)}" for command in commands)))


def adding(parameter: str, names: Iterable[str], certificate: str = "CERT") -> str:
    """The command that adds to what a parameter of the task lists."""
    more = " ".join(f"--add {shlex.quote(f'{parameter}={name}')}" for name in names)
    return f"certwright task change {certificate} exchange {more}"


def parts(text: str) -> Iterator[tuple[bool, str]]:
    """What `steps` made, part by part: whether it is commands, and the sentence, or one command on each line."""
    for are_commands, lines in groupby(text.split("\n") if text else (), key=lambda line: line.startswith(_INDENT)):
        yield are_commands, "\n".join(line.removeprefix(_INDENT) for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
