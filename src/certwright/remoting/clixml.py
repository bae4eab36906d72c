"""What PowerShell sends: CLIXML, read into plain values.

One reader for all that arrives, because the meaning of an object must not depend on whether a library happens to know
its type. Source: MS-PSRP section 2.2.5.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

MAX_DEPTH = 40
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_CONTAINERS = {"LST", "IE", "QUE", "STK"}


class MalformedClixml(ValueError):
    """Text that is no CLIXML; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class Obj:
    """A .NET object as it was sent.

    `text` is its ToString, `value` the primitive it wraps (the number of an enum), `items` its elements if it is a
    collection, `properties` its adapted and extended properties by name.
    """

    types: tuple[str, ...] = ()
    text: str = ""
    value: "Value" = None
    items: tuple["Value", ...] = ()
    properties: dict[str, "Value"] = field(default_factory=dict)
    is_collection: bool = False


Value = str | int | float | bool | bytes | datetime | Obj | None


def read(xml: str) -> Value:
    """One serialized value.

    Raises:
        MalformedClixml: if it is none.
    """
    try:
        element = ET.fromstring(xml)  # noqa: S314 - expat itself limits entity amplification
    except (ET.ParseError, ValueError) as error:
        raise MalformedClixml("no well-formed XML") from error
    try:
        return _Reader().value(element, 0)
    except MalformedClixml:
        raise
    except (ValueError, KeyError, OverflowError, binascii.Error) as error:
        raise MalformedClixml(f"a value that cannot be read ({type(error).__name__})") from error


def decode_string(text: str | None) -> str:
    """A string without its ``_xHHHH_`` escapes, each of which is one UTF-16 code unit."""
    units = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text or "")
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _date(text: str) -> datetime | str:
    """A DateTime; .NET writes seven digits of a second, Python reads six. One that cannot be read stays text."""
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return text


_PRIMITIVES: dict[str, Callable[[str], Any]] = {
    "S": decode_string,
    "ToString": decode_string,
    "URI": decode_string,
    "XD": decode_string,
    "SBK": decode_string,
    "G": str,
    "TS": str,
    "Version": str,
    "D": str,
    "C": lambda text: chr(int(text)),
    "B": lambda text: {"true": True, "false": False}[text.lower()],
    "DT": _date,
    "BA": base64.b64decode,
    **dict.fromkeys(("Sg", "Db"), float),
    **dict.fromkeys(("By", "SB", "U16", "I16", "U32", "I32", "U64", "I64"), int),
}


class _Reader:
    """One message: objects and type lists may refer to earlier ones of the same message."""

    def __init__(self) -> None:
        self._objects: dict[str, Obj] = {}
        self._types: dict[str, tuple[str, ...]] = {}

    def value(self, element: ET.Element, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise MalformedClixml("objects nested too deeply")
        if element.tag == "Obj":
            return self._object(element, depth)
        if element.tag == "Ref":
            return self._objects.get(element.get("RefId", ""))
        if primitive := _PRIMITIVES.get(element.tag):
            found: Value = primitive(element.text or "")
            return found
        return None  # Nil, a SecureString, or a kind that MS-PSRP does not know

    def _object(self, element: ET.Element, depth: int) -> Obj:
        types: tuple[str, ...] = ()
        text = ""
        value: Value = None
        items: tuple[Value, ...] = ()
        properties: dict[str, Value] = {}
        is_collection = False
        for child in element:
            match child.tag:
                case "TN":
                    types = self._types[child.get("RefId", "")] = tuple(t.text or "" for t in child)
                case "TNRef":
                    types = self._types.get(child.get("RefId", ""), ())
                case "ToString":
                    text = decode_string(child.text)
                case "Props" | "MS":
                    properties |= {decode_string(p.get("N")): self.value(p, depth + 1) for p in child}
                case "DCT":
                    properties |= dict(self._entries(child, depth))
                case tag if tag in _CONTAINERS:
                    is_collection = True
                    items = tuple(self.value(item, depth + 1) for item in child)
                case _:
                    value = self.value(child, depth + 1)
        found = Obj(types, text, value, items, properties, is_collection)
        self._objects[element.get("RefId", "")] = found
        return found

    def _entries(self, dictionary: ET.Element, depth: int) -> Iterator[tuple[str, Value]]:
        for entry in dictionary:
            parts = {part.get("N"): self.value(part, depth + 1) for part in entry}
            yield str(parts.get("Key")), parts.get("Value")
