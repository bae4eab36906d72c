"""JSON from a peer, read with every type checked."""

import json
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from certwright.acme.errors import UnexpectedAnswer
from certwright.acme.identifier import Identifier
from certwright.acme.transport import Response

_MOST_ITEMS = 1000


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable()  # which excludes lone surrogates too


class Fields:
    """The fields of one JSON object; each reader raises UnexpectedAnswer if the field is not as demanded.

    Args:
        data: The JSON value.
        what: What it is, for the error: ``order``.
    """

    def __init__(self, data: object, what: str) -> None:
        if not isinstance(data, dict):
            raise UnexpectedAnswer(f"the server's {what} is not a JSON object")
        self._data: dict[str, Any] = data
        self._what = what

    @classmethod
    def of(cls, response: Response, what: str) -> "Fields":
        """The fields of an answer's body."""
        try:
            data = json.loads(response.body)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer(f"the server's {what} is not JSON (HTTP {response.status})") from None
        return cls(data, what)

    def __contains__(self, name: str) -> bool:
        # RFC 8555 has no field whose null means something: null is absent, as some CAs write it.
        return self._data.get(name) is not None

    def any(self, name: str) -> Any:
        """The value as it is, None if absent."""
        return self._data.get(name)

    def text(self, name: str) -> str:
        """A string without control characters."""
        value = self._data.get(name)
        if not _is_text(value):
            raise self._wrong(name, "string")
        return value

    def text_or_none(self, name: str) -> str | None:
        """A string that may be absent."""
        return self.text(name) if name in self else None

    def one_of(self, name: str, allowed: frozenset[str]) -> str:
        """One of some strings."""
        value = self.text(name)
        if value not in allowed:
            raise self._wrong(name, f"value out of {', '.join(sorted(allowed))}")
        return value

    def url(self, name: str) -> str:
        """An absolute http(s) URL."""
        return self._url(name, self.text(name))

    def url_or_none(self, name: str) -> str | None:
        """A URL that may be absent."""
        return self.url(name) if name in self else None

    def urls(self, name: str) -> tuple[str, ...]:
        """A list of URLs."""
        return tuple(self._url(name, value) for value in self.texts(name))

    def flag(self, name: str) -> bool:
        """A boolean; absent is false."""
        return self._data.get(name) is True

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; absent is empty."""
        values = self._list(name)
        if not all(_is_text(value) for value in values):
            raise self._wrong(name, "list of strings")
        return tuple(values)

    def objects(self, name: str, what: str) -> tuple["Fields", ...]:
        """A list of objects; absent is empty."""
        return tuple(Fields(value, what) for value in self._list(name))

    def object(self, name: str) -> "Fields":
        """An object; absent is empty."""
        return Fields(self._data[name] if name in self else {}, f"{self._what}'s {name}")

    def map(self, name: str) -> dict[str, str]:
        """An object of strings; absent is empty."""
        values = self._data[name] if name in self else {}
        if not isinstance(values, dict) or not all(map(_is_text, [*values, *values.values()])):
            raise self._wrong(name, "map of strings")
        return dict(values)

    def time(self, name: str) -> datetime:
        """An RFC 3339 time, in UTC."""
        try:
            value = datetime.fromisoformat(self.text(name))
            if value.tzinfo is not None:
                return value.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise self._wrong(name, "time of RFC 3339")

    def time_or_none(self, name: str) -> datetime | None:
        """A time that may be absent."""
        return self.time(name) if name in self else None

    def identifier(self) -> Identifier:
        """This object as an identifier."""
        return Identifier(self.text("type"), self.text("value"))

    def _list(self, name: str) -> list[Any]:
        values = self._data[name] if name in self else []
        if not isinstance(values, list) or len(values) > _MOST_ITEMS:
            raise self._wrong(name, f"list of at most {_MOST_ITEMS}")
        return values

    def _url(self, name: str, value: str) -> str:
        try:
            parts = urlsplit(value)
        except ValueError:
            raise self._wrong(name, "URL") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or " " in value:
            raise self._wrong(name, "URL")
        return value

    def _wrong(self, name: str, kind: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(f"the server's {self._what} has no usable {name!r} (a {kind})")
