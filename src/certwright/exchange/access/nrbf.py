"""Reads the .NET BinaryFormatter streams that Exchange sends, as data: no type is ever looked up, nothing is executed.

Source: MS-NRBF. Every count and length is checked against what is left of the stream, so that hostile data can neither
claim memory nor recurse.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_RECORDS = 20_000
MAX_DEPTH = 30
MAX_NULLS = 10_000
_SIGNED = b"#sig#"
_TAG_LENGTH = 32


class MalformedNrbf(ValueError):
    """Bytes that are no such stream, or more than is read."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that was not resolved: the object it names is not in the stream, or contains itself."""

    id: int


@dataclass(slots=True)
class NetObject:
    """An object: its class name and its members by name."""

    name: str
    members: dict[str, Any] = field(default_factory=dict)


def payload(data: bytes) -> bytes:
    """The stream within the signed form ``#sig#`` + length + stream + 32 bytes of tag, or `data` itself.

    The tag cannot be checked here: its key never leaves Exchange.

    Raises:
        MalformedNrbf: if the length does not fit.
    """
    if not data.startswith(_SIGNED):
        return data
    start = len(_SIGNED) + 4
    if len(data) < start:
        raise MalformedNrbf("the signed form is cut short")
    (length,) = struct.unpack_from("<i", data, len(_SIGNED))
    if length < 0 or len(data) != start + length + _TAG_LENGTH:
        raise MalformedNrbf("the signed form has a wrong length")
    return data[start : start + length]


def read(data: bytes) -> NetObject:
    """The root object of a stream; references are resolved.

    Raises:
        MalformedNrbf: if it is none.
    """
    try:
        return _Stream(data).root()
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise MalformedNrbf("the stream is damaged") from error


_PRIMITIVES: dict[int, str] = {
    1: "<?",
    2: "<B",
    6: "<d",
    7: "<h",
    8: "<i",
    9: "<q",
    10: "<b",
    11: "<f",
    12: "<q",
    13: "<q",
    14: "<H",
    15: "<I",
    16: "<Q",
}  # MS-NRBF 2.1.2.3; 12 TimeSpan and 13 DateTime stay numbers
_BYTE, _CHAR, _DECIMAL, _STRING = 2, 3, 5, 18


@dataclass(frozen=True, slots=True)
class _Layout:
    """A class as a stream declares it; a member's type is None where any record may follow."""

    name: str
    members: tuple[tuple[str, int | None], ...]


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._records = 0
        self._objects: dict[int, Any] = {}
        self._layouts: dict[int, _Layout] = {}
        self._readers: dict[int, Callable[[int], Any]] = {
            1: self._class_with_id,
            2: lambda depth: self._untyped_class(depth, library=False),
            3: lambda depth: self._untyped_class(depth, library=True),
            4: lambda depth: self._class(depth, library=False),
            5: lambda depth: self._class(depth, library=True),
            6: self._string_record,
            7: self._array,
            8: lambda _: self._primitive(self._byte()),
            9: lambda _: Reference(self._int()),
            10: lambda _: None,
            15: self._primitive_array,
            16: self._object_array,
            17: self._object_array,
        }

    def root(self) -> NetObject:
        if self._byte() != 0:
            raise MalformedNrbf("no header")
        root_id = self._int()
        self._take(12)
        while (kind := self._next_kind()) != 11:  # noqa: PLR2004 - MessageEnd
            self._record(kind, 0)
        root = self._resolved(Reference(root_id), frozenset(), 0)
        if not isinstance(root, NetObject):
            raise MalformedNrbf("the root is no object")
        return root

    def _next_kind(self) -> int:
        """The kind of the next record that is no library declaration."""
        while (kind := self._byte()) == 12:  # noqa: PLR2004 - BinaryLibrary
            self._count()
            self._int()
            self._text()
        return kind

    def _record(self, kind: int, depth: int) -> Any:
        self._count()
        if depth > MAX_DEPTH:
            raise MalformedNrbf("nested too deeply")
        reader = self._readers.get(kind)
        if reader is None:
            raise MalformedNrbf(f"a record of the unknown kind {kind}")
        return reader(depth)

    def _count(self) -> None:
        self._records += 1
        if self._records > MAX_RECORDS:
            raise MalformedNrbf("too many records")

    def _layout(self, *, typed: bool) -> tuple[int, _Layout]:
        object_id = self._int()
        name = self._text()
        names = [self._text() for _ in range(self._length(1))]
        types = self._member_types(len(names)) if typed else [None] * len(names)
        return object_id, _Layout(name, tuple(zip(names, types, strict=True)))

    def _member_types(self, count: int) -> list[int | None]:
        kinds = list(self._take(count))
        return [self._type_info(kind) for kind in kinds]

    def _type_info(self, kind: int) -> int | None:
        """What follows a BinaryTypeEnum; the primitive type, if it is one."""
        if kind in (0, 7):
            primitive = self._byte()
            return primitive if kind == 0 else None
        if kind == 3:  # noqa: PLR2004 - SystemClass
            self._text()
        elif kind == 4:  # noqa: PLR2004 - Class
            self._text()
            self._int()
        elif kind not in (1, 2, 5, 6):
            raise MalformedNrbf(f"a member of the unknown kind {kind}")
        return None

    def _class(self, depth: int, *, library: bool) -> NetObject:
        object_id, layout = self._layout(typed=True)
        if library:
            self._int()
        return self._members(object_id, layout, depth)

    def _untyped_class(self, depth: int, *, library: bool) -> NetObject:
        object_id, layout = self._layout(typed=False)
        if library:
            self._int()
        return self._members(object_id, layout, depth)

    def _class_with_id(self, depth: int) -> NetObject:
        object_id, like = self._int(), self._int()
        layout = self._layouts.get(like)
        if layout is None:
            raise MalformedNrbf("a class that was not declared")
        return self._members(object_id, layout, depth)

    def _members(self, object_id: int, layout: _Layout, depth: int) -> NetObject:
        self._layouts[object_id] = layout
        made = self._objects[object_id] = NetObject(layout.name)
        for name, primitive in layout.members:
            if primitive is not None:
                made.members[name] = self._primitive(primitive)
            else:
                made.members[name] = self._record(self._next_kind(), depth + 1)
        return made

    def _string_record(self, _: int) -> str:
        object_id = self._int()
        text = self._objects[object_id] = self._text()
        return text

    def _primitive_array(self, _: int) -> Any:
        object_id, length, kind = self._int(), self._length(1), self._byte()
        found = self._take(length) if kind == _BYTE else [self._primitive(kind) for _ in range(length)]
        self._objects[object_id] = found
        return found

    def _object_array(self, depth: int) -> list[Any]:
        object_id = self._int()
        return self._elements(object_id, self._size(), None, depth)

    def _array(self, depth: int) -> list[Any]:
        object_id, kind, rank = self._int(), self._byte(), self._int()
        if kind != 0 or rank != 1:
            raise MalformedNrbf("an array of a kind that is not read")
        length = self._size()
        primitive = self._type_info(self._byte())
        return self._elements(object_id, length, primitive, depth)

    def _elements(self, object_id: int, length: int, primitive: int | None, depth: int) -> list[Any]:
        found: list[Any] = []
        self._objects[object_id] = found
        while len(found) < length:
            if primitive is not None:
                found.append(self._primitive(primitive))
                continue
            kind = self._next_kind()
            if kind in (13, 14):
                nulls = self._byte() if kind == 13 else self._int()  # noqa: PLR2004 - ObjectNullMultiple256
                if not 0 < nulls <= length - len(found):
                    raise MalformedNrbf("more nulls than elements")
                found.extend([None] * nulls)
            else:
                found.append(self._record(kind, depth + 1))
        return found

    def _primitive(self, kind: int) -> Any:
        if kind in (_STRING, _DECIMAL):
            return self._text()
        if kind == _CHAR:
            return self._character()
        layout = _PRIMITIVES.get(kind)
        if layout is None:
            raise MalformedNrbf(f"a primitive of the unknown kind {kind}")
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _character(self) -> str:
        first = self._data[self._at]
        width = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4  # noqa: PLR2004 - UTF-8
        return self._take(width).decode()

    def _text(self) -> str:
        """A LengthPrefixedString: seven bits of length a byte, at most five bytes (MS-NRBF 2.1.1.6)."""
        length = 0
        for shift in range(0, 35, 7):
            byte = self._byte()
            length |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                return self._take(length).decode()
        raise MalformedNrbf("a string without end")

    def _length(self, width: int) -> int:
        """A count of things that take at least `width` bytes each."""
        length = self._int()
        if length < 0 or length * width > len(self._data) - self._at:
            raise MalformedNrbf("a length beyond the end")
        return length

    def _size(self) -> int:
        """The size of an array, whose nulls may take no bytes of their own."""
        length = self._int()
        if not 0 <= length <= MAX_NULLS:
            raise MalformedNrbf("an array that is too large")
        return length

    def _int(self) -> int:
        found: int = struct.unpack("<i", self._take(4))[0]
        return found

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise MalformedNrbf("the stream is cut short")
        found = self._data[self._at : end]
        self._at = end
        return found

    def _resolved(self, value: Any, within: frozenset[int], depth: int) -> Any:
        """`value` with references replaced by what they name, except where that would never end."""
        if depth > MAX_DEPTH:
            raise MalformedNrbf("nested too deeply")
        if isinstance(value, Reference):
            self._count()
            if value.id in within or value.id not in self._objects:
                return value
            return self._resolved(self._objects[value.id], within | {value.id}, depth + 1)
        if isinstance(value, NetObject):
            self._count()
            members = {name: self._resolved(member, within, depth + 1) for name, member in value.members.items()}
            return NetObject(value.name, members)
        if isinstance(value, list):
            self._count()
            return [self._resolved(item, within, depth + 1) for item in value]
        return value
