"""DNS names, wildcards, internationalised names, IP addresses: what they are, who can issue them, what covers what."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

import idna
from publicsuffixlist import PublicSuffixList

from certwright.domain.errors import InvalidIdentifier

MAX_NAME = 253
MAX_LABEL = 63
MAX_COMMON_NAME = 64
# RFC 6761, 6762, 7686, 8375, 9476 and the reservation of .internal: no public authority can validate these.
INTERNAL_SUFFIXES = frozenset(
    {
        "alt",
        "corp",
        "example",
        "home",
        "home.arpa",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "private",
        "test",
    }
)
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


class IdentifierType(StrEnum):
    """The identifier types of RFC 8555 section 9.7.7 and RFC 8738."""

    DNS = "dns"
    IP = "ip"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """What a certificate names: a DNS name in lower-case A-labels, maybe a wildcard, or an IP address."""

    type: IdentifierType
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a person typed.

        Raises:
            InvalidIdentifier: with the reason and what to write instead.
        """
        name = text.strip().rstrip(".").lower()
        if not name:
            raise InvalidIdentifier("The name is empty.", hint="Write a full host name, for example mail.contoso.com.")
        if address := _address(name):
            return cls(IdentifierType.IP, address)
        wildcard, base = ("*.", name[2:]) if name.startswith("*.") else ("", name)
        return cls(IdentifierType.DNS, wildcard + _a_labels(base, text, MAX_NAME - len(wildcard)))

    @property
    def is_wildcard(self) -> bool:
        """Whether this is `*.` and a name."""
        return self.value.startswith("*.")

    @property
    def base(self) -> str:
        """The name without its wildcard label: what dns-01 is asked for."""
        return self.value.removeprefix("*.")

    @property
    def unicode(self) -> str:
        """The name as a person reads it."""
        if self.type is IdentifierType.IP:
            return self.value
        try:
            readable: str = idna.decode(self.base)
        except idna.IDNAError:
            return self.value
        return ("*." if self.is_wildcard else "") + readable

    def covers(self, host: str) -> bool:
        """Whether a certificate with this name is valid for `host` (RFC 9525: a wildcard is exactly one label)."""
        try:
            other = Identifier.parse(host)
        except InvalidIdentifier:
            return False
        if self == other:
            return True
        if not self.is_wildcard or other.type is IdentifierType.IP or other.is_wildcard:
            return False
        _, _, parent = other.value.partition(".")
        return parent == self.base

    def __str__(self) -> str:
        return self.value


def covered(names: Iterable[Identifier], hosts: Iterable[str]) -> list[str]:
    """Those of `hosts` that a certificate with `names` is valid for, in the order given."""
    known = list(names)
    return [host for host in hosts if any(name.covers(host) for name in known)]


def parse_all(texts: Sequence[str]) -> tuple[Identifier, ...]:
    """Read several names, each once, in the order given; every bad one is reported, not only the first.

    Raises:
        InvalidIdentifier: with one cause for each bad name.
    """
    found: dict[Identifier, None] = {}
    bad: list[InvalidIdentifier] = []
    for text in texts:
        try:
            found.setdefault(Identifier.parse(text))
        except InvalidIdentifier as error:
            bad.append(error)
    if len(bad) == 1:
        raise bad[0]
    if bad:
        raise InvalidIdentifier(f"{len(bad)} names cannot be used.", causes=bad)
    if not found:
        raise InvalidIdentifier("No name was given.", hint="Name at least one host, for example mail.contoso.com.")
    return tuple(found)


def public_obstacle(identifier: Identifier) -> str | None:
    """Why no public authority can issue for `identifier`, or None when one can."""
    if identifier.type is IdentifierType.IP:
        address = ipaddress.ip_address(identifier.value)
        return None if address.is_global else f"{identifier} is a private or reserved address"
    base = identifier.base
    if "." not in base:
        return f"{identifier} is a single label, not a full name"
    labels = base.split(".")
    suffix = next((s for s in (".".join(labels[i:]) for i in range(len(labels))) if s in INTERNAL_SUFFIXES), None)
    if suffix:
        return f"{identifier} ends in .{suffix}, which exists only inside networks"
    if _public_suffixes().publicsuffix(base) == base:
        return f"{identifier} is a public suffix: nobody holds the whole of {base}"
    return None


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


def _address(name: str) -> str | None:
    try:
        return str(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def _a_labels(name: str, typed: str, limit: int) -> str:
    """`name` in A-labels (RFC 5891), each checked."""
    shown = typed.strip() if len(typed) <= MAX_NAME else typed.strip()[:60] + "..."
    if "*" in name:
        raise InvalidIdentifier(
            f"{shown!r} has a * that is not its whole first label.", hint="Write wildcards as *.contoso.com."
        )
    if "://" in name or "/" in name:
        raise InvalidIdentifier(f"{shown!r} is an address of a page, not a name.", hint="Write the host name alone.")
    if ":" in name:
        raise InvalidIdentifier(f"{shown!r} contains a colon.", hint="Write the host name alone, without a port.")
    ascii_name = name if name.isascii() else _to_ascii(name, shown)
    if len(ascii_name) > limit:
        raise InvalidIdentifier(f"{shown!r} is {len(ascii_name)} characters long; DNS allows {limit}.")
    for label in ascii_name.split("."):
        if len(label) > MAX_LABEL:
            raise InvalidIdentifier(f"{shown!r} has a label of {len(label)} characters; DNS allows {MAX_LABEL}.")
        if not _LABEL.fullmatch(label):
            raise InvalidIdentifier(
                f"{shown!r} is not a DNS name: the label {label!r} is not allowed.",
                hint="A label has letters, digits and hyphens, and neither starts nor ends with a hyphen.",
            )
        if label.startswith("xn--"):
            _check_a_label(label, shown)
    if ascii_name.rpartition(".")[2].isdigit():
        raise InvalidIdentifier(f"{shown!r} ends in a number, so it is neither a DNS name nor a whole IP address.")
    return ascii_name


def _to_ascii(name: str, shown: str) -> str:
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidIdentifier(f"{shown!r} is not an internationalised DNS name: {error}.") from error


def _check_a_label(label: str, shown: str) -> None:
    try:
        idna.decode(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidIdentifier(f"{shown!r} has the broken internationalised label {label!r}: {error}.") from error
