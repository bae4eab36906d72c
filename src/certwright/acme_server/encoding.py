"""The wire's encodings, read strictly: base64url without padding, JSON objects, RFC 3339 times."""

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any, NoReturn

from certwright.acme_server.problem import malformed

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")


def b64url(data: bytes) -> str:
    """``data`` in base64url without trailing ``=`` (RFC 8555 section 6.1)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64url_decode(text: object, what: str) -> bytes:
    """The bytes behind an unpadded base64url string.

    Args:
        text: The member's value as it came.
        what: The member's name, for the refusal.

    Raises:
        Problem: ``malformed``; padding and foreign characters are refused too (RFC 8555 section 6.1).
    """
    raw = text.encode("ascii", "replace") if isinstance(text, str) else None
    if raw is None or not _BASE64URL.fullmatch(raw) or len(raw) % 4 == 1:
        raise malformed(f"{what} is not a base64url string without padding.")
    return base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))


def json_object(text: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``text``.

    Raises:
        Problem: ``malformed``: no UTF-8, no JSON, not an object, a member given twice, nested too deeply.
    """
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what} is not valid JSON.") from error
    if not isinstance(value, dict):
        raise malformed(f"{what} is not a JSON object.")
    return value


def rfc3339(time: datetime) -> str:
    """``time`` as the server writes it: UTC, whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_decode(text: object, what: str) -> datetime:
    """The moment a client wrote, in UTC and whole seconds (X.509 has no finer ones).

    Raises:
        Problem: ``malformed``.
    """
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
        if time is not None and time.tzinfo is not None:
            return time.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        pass
    raise malformed(f"{what} is not a time as RFC 3339 writes it.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member is given twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
