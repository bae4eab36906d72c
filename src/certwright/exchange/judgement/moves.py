"""The commands that give settings another name, exactly, and as few to read as there are different ones.

A person runs them in the Exchange Management Shell. What differs between servers by the server's name alone is written
once, in a loop over these servers.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

from certwright.exchange.model import quoted

_WIDTH = 95  # so that the commands fit into 100 columns, set in a little
_INDENT = "  "
_VARIABLE = "$s"
_VALUES = frozenset({"$true"})
_PLAIN = re.compile(r"[\w .()/\\-]*")  # means the same in quotes of both kinds


@dataclass(frozen=True, slots=True)
class Move:
    """A cmdlet that gives one setting of `server` another name.

    `subject` is what the parameter `by` takes to find the setting; `parameters` are names and texts, in which
    ``{name}`` stands for the new name; ``$true`` is the value of that name.
    """

    server: str
    cmdlet: str
    subject: str
    parameters: tuple[tuple[str, str], ...]
    by: str = "Identity"

    def to(self, name: str) -> "Move":
        """The move to `name`."""
        return replace(self, parameters=tuple((key, text.replace("{name}", name)) for key, text in self.parameters))

    @property
    def typed(self) -> str:
        """The command on one line."""
        return " ".join(self._words(_literal(self.subject)))

    @property
    def template(self) -> tuple[str, ...] | None:
        """Its words with a variable for the server's name; None if the name does not stand where that is plain."""
        rest = self.subject.removeprefix(self.server)
        if rest == self.subject or not _PLAIN.fullmatch(rest) or not self.server:
            return None
        return self._words(f'"{_VARIABLE}{rest}"')

    def lines(self, words: Sequence[str] | None = None) -> Iterator[str]:
        """The command on as many lines as it needs."""
        line, *rest = words or self._words(_literal(self.subject))
        for word in rest:
            if len(f"{line} {word} `") > _WIDTH:
                yield f"{line} `"
                line = f"{_INDENT}{word}"
            else:
                line = f"{line} {word}"
        yield line

    def _words(self, subject: str) -> tuple[str, ...]:
        given = (f"-{key} {text if text in _VALUES else _literal(text)}" for key, text in self.parameters)
        return (f"{self.cmdlet} -{self.by} {subject}", *given)


def merged(moves: Iterable[Move]) -> tuple[Move, ...]:
    """Each setting once: what one cmdlet can set together is one command."""
    found: dict[tuple[str, str], Move] = {}
    for move in moves:
        key = (move.cmdlet, move.subject)
        known = found.get(key)
        found[key] = replace(known, parameters=(*known.parameters, *move.parameters)) if known else move
    return tuple(found.values())


def block(moves: Sequence[Move]) -> Iterator[str]:
    """All commands, line by line, server by server; servers for which they are the same are told together."""
    own: dict[str, list[Move]] = {}
    for move in moves:
        own.setdefault(move.server, []).append(move)
    alike: dict[object, list[str]] = {}
    for server, found in own.items():
        templates = tuple(move.template for move in found)
        alike.setdefault(server if None in templates else templates, []).append(server)
    for servers in alike.values():
        found = own[servers[0]]
        if len(servers) == 1:
            yield from (line for move in found for line in move.lines())
            continue
        yield from wrap(
            f"foreach ({_VARIABLE} in {', '.join(map(_literal, servers))}) {{", _WIDTH, subsequent_indent=_INDENT * 2
        )
        yield from (f"{_INDENT}{line}" for move in found for line in move.lines(move.template))
        yield "}"


def _literal(text: str) -> str:
    """A PowerShell string on one line: a name that holds a line break cannot become a command of its own."""
    return quoted(" ".join(text.splitlines()))
