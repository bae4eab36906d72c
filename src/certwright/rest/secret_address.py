"""Addresses that are secret themselves: whoever knows them is let in."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class SecretAddress:
    """An address in the parts that `Api` wants; `named` is what may be shown of it."""

    origin: str
    path: str = field(repr=False)
    named: str

    @classmethod
    def of(cls, url: SecretStr) -> Self:
        """The parts; what is no address is refused by whoever connects."""
        parts = urlsplit(url.get_secret_value())
        path = urlunsplit(("", "", parts.path, parts.query, ""))
        return cls(f"{parts.scheme}://{parts.netloc}", path, f"{parts.hostname or 'an address without a host'}/…")
