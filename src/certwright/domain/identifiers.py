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
MAX_NAMES = 10_000
_MAX_TYPED = 1000  # IDNA mapping can shorten what was typed, but nothing sensible by this much
_MAX_CAUSES = 20
_ONE_NAME = "Write one host name alone, for example mail.contoso.com."

# The ICANN section of the public suffix list names these, but no public authority validates them: RFC 7686 leaves
# .onion to a method of its own, RFC 8375 gives home.arpa to homes, and the reverse zones name addresses.
_NOT_ISSUED = ("onion", "home.arpa", "in-addr.arpa", "ip6.arpa")

# The Baseline Requirements (section 1.6.1, Reserved IP Address) exclude every entry of IANA's two registries of
# special-purpose addresses, also those that are reachable; multicast belongs to no host.
_RESERVED = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

_A_LABEL = "xn--"
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


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
        """Read what a person typed; one trailing dot is allowed.

        Unicode must follow IDNA 2008 (RFC 5891) once it is mapped as UTS #46 says. A-labels are taken as typed if
        browsers would take them, so a registered emoji domain can be written as its registrar shows it.

        Raises:
            InvalidIdentifier: with the reason and what to write instead.
        """
        if len(text) > _MAX_TYPED:
            raise InvalidIdentifier(
                f"{text[:40] + '...'!r} is {len(text)} characters long; a DNS name has {MAX_NAME}.", hint=_ONE_NAME
            )
        name = text.strip().removesuffix(".")
        if not name:
            raise InvalidIdentifier("The name is empty.", hint="Write a full host name, for example mail.contoso.com.")
        if address := _address(name):
            return cls(IdentifierType.IP, address)
        wildcard, base = ("*.", name[2:]) if name.startswith("*.") else ("", name)
        return cls(IdentifierType.DNS, wildcard + _a_labels(base, _shown(text), MAX_NAME - len(wildcard)))

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
        """The name as a person reads it; A-labels where IDNA 2008 does not allow the Unicode form."""
        if _A_LABEL not in self.value:
            return self.value
        try:
            readable: str = idna.decode(self.base)
        except idna.IDNAError:
            return self.value
        return ("*." if self.is_wildcard else "") + readable

    def covers(self, host: str) -> bool:
        """Whether a certificate with this name is valid for `host`; see `covered`."""
        return bool(covered((self,), (host,)))

    def __str__(self) -> str:
        return self.value


def covered(names: Iterable[Identifier], hosts: Iterable[str]) -> list[str]:
    """Those of `hosts` that a certificate with `names` is valid for, in the order given.

    As RFC 9525 section 6.3 has it: a wildcard stands for exactly one label, an IP address is covered by itself alone.
    A host that is written as a wildcard is covered by the same wildcard.
    """
    known = set(names)
    return [host for host in hosts if _is_covered(known, host)]


def parse_all(texts: Sequence[str], *, public: bool = False) -> tuple[Identifier, ...]:
    """Read several names, each once, in the order given; every bad one is reported, not only the first.

    With `public`, those for which no public authority can issue are reported along with those that are none.

    Raises:
        InvalidIdentifier: with one cause for each bad name, or because there are none or far too many.
    """
    if len(texts) > MAX_NAMES:
        raise InvalidIdentifier(
            f"{len(texts)} names were given; {MAX_NAMES} are the most that are read.",
            hint="No authority issues one certificate for so many: split them over several managed certificates.",
        )
    found: dict[Identifier, None] = {}
    bad: list[InvalidIdentifier] = []
    for text in texts:
        try:
            found.setdefault(Identifier.parse(text))
        except InvalidIdentifier as error:
            bad.append(error)
    obstacles = [problem for each in found if public and bad and (problem := public_obstacle(each))]
    if len(bad) == 1 and not obstacles:
        raise bad[0]
    if bad:
        causes: list[Exception | str] = [*bad, *obstacles]
        more = [f"and {len(causes) - _MAX_CAUSES} more"] if len(causes) > _MAX_CAUSES else []
        raise InvalidIdentifier(f"{len(causes)} names cannot be used.", causes=[*causes[:_MAX_CAUSES], *more])
    if not found:
        raise InvalidIdentifier("No name was given.", hint="Name at least one host, for example mail.contoso.com.")
    return tuple(found)


def public_obstacle(identifier: Identifier) -> str | None:
    """Why no public authority can issue for `identifier`, or None when one can.

    Authorities go by the ICANN section of the public suffix list alone (Baseline Requirements section 3.2.2.6): what
    lies below no suffix in it is not in the public DNS, and nobody is issued a suffix or a wildcard directly below
    one. The suffixes that companies add for themselves, such as github.io, are ordinary names here.
    """
    if identifier.type is IdentifierType.IP:
        return f"{identifier} is a private or reserved address" if _is_reserved(identifier.value) else None
    base = identifier.base
    suffix: str | None = _public_suffixes().publicsuffix(base)
    if suffix is None and "." not in identifier.value:
        return f"{identifier} is a single label, not a full name"
    if suffix is None or suffix in _NOT_ISSUED:
        end = suffix or base.rpartition(".")[2]
        return f"{identifier} ends in .{end}, which is not part of the public internet"
    if suffix == base:
        return f"{identifier} would speak for a whole public suffix: nobody holds all of {base}"
    if any(label[2:4] == "--" and not label.startswith("xn--") for label in base.split(".")):
        return f"{identifier} has a label with hyphens in third and fourth place, which is reserved (RFC 5890)"
    return None


def is_public_suffix(name: str) -> bool:
    """Whether `name` (lower-case A-labels) is in the ICANN section of the public suffix list, as com and co.uk are."""
    suffix: str | None = _public_suffixes().publicsuffix(name)
    return suffix == name


def registered_domain(identifier: Identifier) -> str:
    """The part of a DNS name that somebody registered, or the whole name if it is below no public suffix.

    Here the whole list counts, as Let's Encrypt counts certificates: who offers names below github.io is not limited
    by what the neighbours do.
    """
    domain: str | None = _all_suffixes().privatesuffix(identifier.base)
    return domain or identifier.base


@lru_cache(maxsize=1)
def _all_suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _is_reserved(value: str) -> bool:
    address = ipaddress.ip_address(value)
    if address.version == 6 and address not in _GLOBAL_UNICAST:  # noqa: PLR2004 - IPv6
        return True
    return any(address in network for network in _RESERVED)


def _is_covered(names: set[Identifier], host: str) -> bool:
    try:
        wanted = Identifier.parse(host)
    except InvalidIdentifier:
        return False
    _, _, parent = wanted.value.partition(".")  # of an address it makes no name, and of a wildcard the same one
    return wanted in names or Identifier(IdentifierType.DNS, f"*.{parent}") in names


def _shown(text: str) -> str:
    """What was typed, quoted, and short enough for a sentence."""
    typed = text.strip()
    return repr(typed if len(typed) <= MAX_LABEL else typed[: MAX_LABEL - 3] + "...")


def _address(name: str) -> str | None:
    """`name` as an IP address in its canonical form (RFC 5952), or None if it is none."""
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise InvalidIdentifier(
                f"{_shown(name)} has a zone, which means something on one machine only.",
                hint=f"Write the address without what follows the %: {bare.partition('%')[0]}.",
            )
        if address.ipv4_mapped:
            raise InvalidIdentifier(
                f"{_shown(name)} is an IPv4 address written as IPv6.", hint=f"Write it as {address.ipv4_mapped}."
            )
    return str(address)


def _a_labels(name: str, shown: str, limit: int) -> str:
    """`name` in lower-case A-labels (RFC 5890), each checked."""
    _refuse_what_is_no_name(name, shown)
    ascii_name = name.lower() if name.isascii() else _to_ascii(name, shown)
    if len(ascii_name) > limit:
        raise InvalidIdentifier(f"{shown} is {len(ascii_name)} characters long; DNS allows {limit}.", hint=_ONE_NAME)
    labels = ascii_name.split(".")
    for label in labels:
        _check_label(label, shown)
    if _NUMBER.fullmatch(labels[-1]):
        raise InvalidIdentifier(
            f"{shown} ends in a number, so it is neither a DNS name nor a whole IP address.",
            hint="Write a full host name, for example mail.contoso.com, or all of the address.",
        )
    return ascii_name


def _refuse_what_is_no_name(name: str, shown: str) -> None:
    """The usual slips, each with its own hint."""
    if "*" in name:
        raise InvalidIdentifier(
            f"{shown} has a * that is not its whole first label.", hint="Write wildcards as *.contoso.com."
        )
    if "/" in name:
        raise InvalidIdentifier(f"{shown} is the address of a page, not a name.", hint="Write the host name alone.")
    if "@" in name:
        raise InvalidIdentifier(f"{shown} is a mail address, not a name.", hint="Write the name of the mail server.")
    if ":" in name:
        raise InvalidIdentifier(f"{shown} contains a colon.", hint="Write the host name alone, without a port.")
    if "_" in name:
        raise InvalidIdentifier(
            f"{shown} has an underscore, which no host name may have.",
            hint="Give the host a name of letters, digits and hyphens; authorities issue for no other.",
        )


def _check_label(label: str, shown: str) -> None:
    if not label:
        raise InvalidIdentifier(
            f"{shown} has a dot too many: an empty label is not allowed.", hint="Write one dot between two labels."
        )
    if len(label) > MAX_LABEL:
        raise InvalidIdentifier(
            f"{shown} has a label of {len(label)} characters; DNS allows {MAX_LABEL}.",
            hint=f"Look whether it is typed as it should be: each part between two dots has at most {MAX_LABEL}.",
        )
    if not _LABEL.fullmatch(label):
        raise InvalidIdentifier(
            f"{shown} is not a DNS name: the label {label!r} is not allowed.",
            hint="A label has letters, digits and hyphens, and neither starts nor ends with a hyphen.",
        )
    if label.startswith("xn--") and not _is_a_label(label):
        raise InvalidIdentifier(
            f"{shown} is not an internationalised DNS name: {label!r} does not decode.",
            hint="Write the name in its own script, or exactly as its registrar shows it.",
        )


def _to_ascii(name: str, shown: str) -> str:
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidIdentifier(
            f"{shown} is not an internationalised DNS name: {error}.",
            hint="If it is registered all the same, write it as its registrar shows it, beginning with xn--.",
        ) from error


def _is_a_label(label: str) -> bool:
    """Whether `label` decodes to Unicode that UTS #46 allows as it stands, and back to the same label.

    Authorities ask for no more (P-Label, Baseline Requirements section 1.6.1) and browsers reach such hosts; IDNA 2008
    would refuse emoji domains, which exist.
    """
    encoded = label.removeprefix("xn--")
    try:
        readable = encoded.encode("ascii").decode("punycode")
        unmapped = idna.uts46_remap(readable, std3_rules=True) == readable
        return unmapped and not readable.isascii() and readable.encode("punycode").decode("ascii") == encoded
    except UnicodeError:  # of which idna's errors are a kind
        return False
