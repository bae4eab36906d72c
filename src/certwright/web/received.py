"""What a browser sent: the fields of a form, and files."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from starlette.datastructures import ImmutableMultiDict

from certwright.domain.errors import ConfigurationError
from certwright.web.language import _

Sent = ImmutableMultiDict[str, Any]
"""The fields of a form, each with all its values: text, or the bytes of a file."""
NOTHING: Sent = ImmutableMultiDict()
_MOST_FIELDS = 2000
_LONGEST_HEAD = 1024
_MOST_DIGITS = 18
_BOUNDARY = re.compile(r"""; *boundary=(?:"([^"]{1,70})"|([^\s";]{1,70}))""")
_NAME, _FILE_NAME = re.compile(r'; *name="([^"]*)"'), re.compile(r'; *filename="([^"]*)"')


def texts(sent: Sent, name: str) -> list[str]:
    """All that was filled in under this name."""
    return [value for value in sent.getlist(name) if isinstance(value, str)]


def text(sent: Sent, name: str) -> str:
    """What was filled in last under this name; empty if nothing was."""
    return next(reversed(texts(sent, name)), "")


def listed(typed: str) -> list[str]:
    """The names in this: one on each line, or with commas and blanks between them."""
    return typed.replace(",", " ").split()


def whole(typed: str) -> int | None:
    """The whole number that this is, if it is one that the store knows."""
    return int(typed) if typed.isdecimal() and len(typed) <= _MOST_DIGITS else None


def uploaded(sent: Sent) -> bytes:
    """The file that was chosen.

    Raises:
        ConfigurationError: if none was.
    """
    data = sent.get("file")
    if not isinstance(data, bytes):
        raise ConfigurationError("No file was chosen.", hint="Choose a PFX, PEM or DER file.")
    return data


def typed_twice(sent: Sent, name: str = "password") -> str:
    """The password that was filled in under this name, as it is, and the same `again`.

    Raises:
        ConfigurationError: if they differ.
    """
    password = text(sent, name)
    if password != text(sent, "again"):
        raise ConfigurationError(_("The two passwords differ."), hint=_("Type the same one twice."))
    return password


def address_parts(address: str) -> SplitResult | None:
    """The parts of an address that anybody may have sent; None if it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


def received(kind: str, body: bytes) -> Sent:
    """The fields of a form, as its media type says; how long it may be is judged by `server.http`.

    Raises:
        ConfigurationError: if it is no form that a browser sends.
    """
    try:
        if kind.startswith("multipart/form-data"):
            return Sent(list(_parts(kind, body)))
        return Sent(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise ConfigurationError(
            "What was sent is no form that a browser sends, or one of too many fields.",
            hint="Open the page again, and send its form from there.",
        ) from None


def _parts(kind: str, body: bytes) -> Iterator[tuple[str, Any]]:
    """The parts of a form with files (RFC 7578), as browsers write them; a file that was not chosen is left out.

    What is nested in a part is content of that part. The time it takes grows with the length alone.
    """
    found = _BOUNDARY.search(kind)
    if found is None:
        raise ValueError("no boundary")
    delimiter = f"\r\n--{found[1] or found[2]}".encode("latin-1")
    _before, *parts, end = (b"\r\n" + body).split(delimiter, _MOST_FIELDS + 1)
    if not end.startswith(b"--"):
        raise ValueError("no end, or too many parts")
    for part in parts:
        head, blank, content = part.partition(b"\r\n\r\n")
        told = head[:_LONGEST_HEAD].decode()
        name = _NAME.search(told)
        if not blank or len(head) > _LONGEST_HEAD or name is None:
            raise ValueError("a part without a name")
        if _FILE_NAME.search(told) is None:
            yield name[1], content.decode()
        elif content:
            yield name[1], content
