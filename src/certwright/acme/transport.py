"""What the client needs of HTTP: one request, one bounded answer.

The real one is `certwright.acme.https_transport.HttpsTransport`; a test brings its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

from certwright.acme.text import printable

_LONGEST_WAIT = 30 * 86400.0  # seconds
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)


class Headers(Mapping[str, str]):
    """Header fields, their names in any case; a repeated field is joined by commas (RFC 9110 section 5.3).

    Their values hold no control characters: they reach errors and journals.
    """

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key, safe = name.lower(), printable(value)
            self._fields[key] = f"{self._fields[key]}, {safe}" if key in self._fields else safe

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer, whatever its status; read to its end."""

    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def links(self, relation: str, base: str) -> list[str]:
        """The targets of the Link fields with that ``rel`` (RFC 8288), absolute against ``base``."""
        found = []
        for target, parameters in _LINK.findall(self.headers.get("Link", "")):
            relations = _REL.search(parameters)
            if relations and relation in (relations[1] or relations[2]).lower().split():
                try:
                    found.append(urljoin(base, target))
                except ValueError:
                    continue
        return found

    def retry_after(self, now: float) -> float | None:
        """The seconds that Retry-After asks to wait, at most 30 days, or None (RFC 9110 section 10.2.3).

        A date counts from the answer's own Date, if it has one, so that a wrong clock here does not
        matter; else from ``now``, in seconds since the epoch.
        """
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdecimal():
            return min(float(value), _LONGEST_WAIT)
        until = _epoch(value)
        if until is None:
            return None
        sent = _epoch(self.headers.get("Date", ""))
        return min(max(0.0, until - (now if sent is None else sent)), _LONGEST_WAIT)


def _epoch(date: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(date)
        return parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, IndexError):
        return None


class Proxy(Protocol):
    """What the client needs to know of an HTTP proxy that opens tunnels (CONNECT)."""

    @property
    def address(self) -> str:
        """``http://HOST:PORT``."""
        ...

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization, if it wants one; shown nowhere."""
        ...

    @property
    def roots(self) -> Path | None:
        """PEM certificates that it signs with where it opens TLS; trusted beside the others."""
        ...

    def __hash__(self) -> int:
        """Equal ones are the same way, on which connections are shared."""
        ...

    def takes(self, host: str) -> bool:
        """Whether ``host`` is reached through it."""
        ...


class Transport(Protocol):
    """Sends one HTTP request and returns its answer."""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        """Send, and read the whole answer within ``timeout`` seconds; follow no redirect.

        Raises:
            TransportError: one of `certwright.acme.errors`, if there is no complete answer.
        """
        ...
