"""The settings file: TOML, one `name = value` a line; whatever is wrong in it is told with its line."""

import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.settings.known import KNOWN

NAME = "certwright.toml"
_MOST_BYTES = 64 * 1024
_PLACE = re.compile(r"\(at (?:line (\d+), column \d+|end of document)\)")


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where it comes from, for people."""

    value: Any
    where: str


def read(path: Path) -> Mapping[str, Given]:
    """What a settings file says, by the names of the settings.

    Raises:
        ConfigurationError: if it cannot be read, is no TOML, or holds a name or value that is none.
        FileNotFoundError: if there is none.
    """
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        line = found[1] if found and found[1] else len(text.splitlines())
        raise ConfigurationError(
            f"{path}, line {line}: this is no TOML: {_PLACE.sub('', str(error)).strip()}.",
            hint='Write one setting a line, texts in quotes: listen = "127.0.0.1:8480"',
        ) from None
    return {name: _given(path, text, name, value) for name, value in values.items()}


def _given(path: Path, text: str, name: str, value: Any) -> Given:
    where = f"{path}, line {_line(text, name)}"
    known = KNOWN.get(name)
    if known is None:
        close = get_close_matches(name, KNOWN, n=1)
        raise ConfigurationError(
            f"{where}: there is no setting {name[:40]!r}.",
            hint=f"Did you mean {close[0]}?" if close else f"Settings are: {', '.join(KNOWN)}.",
        )
    if known.only_environment:
        raise ConfigurationError(
            f"{where}: {name} is no part of this file: a key that lies in it is soon in a backup.",
            hint=f"Name a file of its own with master_key_file, or set {known.variable}.",
        )
    try:
        return Given(known.checked(value, lambda: path.parent), where)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}", hint=error.hint) from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            data = file.read(_MOST_BYTES + 1)
        text = data.decode()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {path} cannot be read: {error.strerror}.",
            hint="Let the user that Certwright runs as read it.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The settings file {path} is no text in UTF-8.", hint="Save it as such.") from error
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"The settings file {path} has more than {_MOST_BYTES} bytes.", hint="Is it the one?")
    if mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"Anybody can write the settings file {path}, and so choose what is run.", hint=f"chmod o-w '{path}'"
        )
    return text


def _line(text: str, name: str) -> int:
    """The line on which a name of the file's first level is given a value; tables have theirs in brackets."""
    spelled = re.compile(rf"\s*\[*\s*[\"']?{re.escape(name)}[\"']?\s*[=.\]]")
    return next((number for number, line in enumerate(text.splitlines(), 1) if spelled.match(line)), 1)
