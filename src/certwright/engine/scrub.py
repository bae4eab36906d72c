"""Takes secrets out of texts that leave the machine. Pure.

Passwords, tokens and bindings are known by their value; keys are recognised by their looks.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus

GONE = "[removed]"
_SHORTEST = 4
_LONGEST = 512  # what is longer is a key, and looks like one
_CUT = 4  # characters of base64 at either end that depend on what stands beside

_LOOKS = (
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b[A-Z2-7]{5}(?:[- ][A-Z2-7]{5}){7}\b", re.IGNORECASE),  # a recovery key
    re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?<=\bauthorization)\W+(?:basic|bearer|negotiate|ntlm)\s+\S+", re.IGNORECASE),
    re.compile(r"(\binput_value=).*?(?=, input_type=)", re.DOTALL),  # as pydantic's errors tell it
    re.compile(r"(?<=\bset-cookie: )\S+", re.IGNORECASE),
    re.compile(
        r"""(?<![a-z])((?:pass(?:word|phrase|wd)?|secret|token|api_?key|hmac|signature|sig)["']?\s*[=:]\s*)["']?[^\s"',;&]+""",
        re.IGNORECASE,
    ),
)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,}={0,2}")


def without_looks(text: str) -> str:
    """`text` without what says of itself that it is secret; a record that somebody is to create stays."""
    for looks in _LOOKS:
        text = looks.sub(lambda found: f"{found[1] if found.re.groups else ''}{GONE}", text)
    return text


class Scrubber:
    """Replaces these secrets, in the forms in which they travel, and what looks like a secret."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        found = set(chain.from_iterable(map(_forms, chain.from_iterable(map(_parts, secrets)))))
        longest_first = sorted(found, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def text(self, text: str) -> str:
        """`text` without them."""
        if self._known:
            text = self._known.sub(GONE, text)
        return _BASE64.sub(lambda found: GONE if _is_random(found[0]) else found[0], without_looks(text))

    def value(self, value: Any) -> Any:
        """A JSON value without them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list | tuple) else value


def _is_random(text: str) -> bool:
    """Whether it has letters of both cases and digits, as paths and fingerprints do not."""
    return all(re.search(kind, text) for kind in ("[a-z]", "[A-Z]", "[0-9]"))


def _parts(secret: bytes) -> Iterator[str]:
    """The texts within a secret: the whole, its lines, and the values if it is JSON."""
    text = secret.decode("utf-8", "replace")
    yield text
    yield from text.splitlines()
    try:
        values = json.loads(text)
    except ValueError:
        return
    if isinstance(values, dict):
        yield from (line for value in values.values() for line in (str(value), *str(value).splitlines()))


def _forms(text: str) -> Iterator[str]:
    """As it is, as URLs and JSON have it, and in hex and base64, wherever it begins there."""
    text = text.strip()
    if not _SHORTEST <= len(text) <= _LONGEST:
        return
    data = text.encode()
    yield from (text, quote(text), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], repr(text)[1:-1])
    yield from (data.hex(), data.hex().upper())
    for encoded in (data, text.encode("utf-16-le")):
        for shift in range(3):
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                form = encode(b"x" * shift + encoded).decode()[_CUT:-_CUT]
                if len(form) >= _SHORTEST:
                    yield form
