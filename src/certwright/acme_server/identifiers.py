"""Identifiers in orders: dns (RFC 8555 section 7.1.4) and ip (RFC 8738), and what this CA refuses."""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from cryptography import x509

from certwright.acme_server.problem import ErrorType, Problem, malformed

MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_INTERNAL_DOMAINS = frozenset(
    {"corp", "example", "home", "home.arpa", "internal", "invalid", "lan", "local", "localhost", "onion", "test"}
)


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A name or an address a certificate can be for; a dns value may begin with ``*.``."""

    type: Literal["dns", "ip"]
    value: str

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all names one label below its base."""
        return self.value.startswith("*.")

    @property
    def base(self) -> "Identifier":
        """What is proven: a wildcard's own domain, anything else as it is."""
        return Identifier(self.type, self.value.removeprefix("*."))

    @property
    def general_name(self) -> x509.GeneralName:
        """As a subject alternative name has it."""
        if self.type == "ip":
            return x509.IPAddress(ipaddress.ip_address(self.value))
        return x509.DNSName(self.value)

    def as_json(self) -> dict[str, str]:
        """As an order has it."""
        return {"type": self.type, "value": self.value}


def parse_identifier(raw: object) -> Identifier:
    """The identifier in one element of a newOrder.

    Raises:
        Problem: ``malformed`` or ``unsupportedIdentifier``, with the identifier if there is one to name.
    """
    if not isinstance(raw, dict) or not all(isinstance(raw.get(name), str) for name in ("type", "value")):
        raise malformed("An identifier has a type and a value.")
    kind, value = raw["type"], raw["value"]
    named = {"type": kind, "value": value}
    if kind == "ip":
        return _address(value, named)
    if kind != "dns":
        raise Problem(ErrorType.UNSUPPORTED_IDENTIFIER, "This server knows dns and ip identifiers.", identifier=named)
    # Outside ASCII are letters that become ASCII ones in lower case (U+212A).
    name = value.lower() if value.isascii() else ""
    labels = name.removeprefix("*.").split(".")
    if len(name) > MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise Problem(ErrorType.MALFORMED, "The value is not a DNS name.", identifier=named)
    return Identifier("dns", name)


def from_general_name(name: x509.GeneralName) -> Identifier | None:
    """The identifier behind a subject alternative name; None for those ACME does not know."""
    if isinstance(name, x509.DNSName):
        return Identifier("dns", name.value.lower())
    if isinstance(name, x509.IPAddress) and isinstance(name.value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return Identifier("ip", str(name.value))
    return None


def check_policy(identifier: Identifier, *, allow_internal: bool, forbidden_domains: Collection[str]) -> Identifier:
    """``identifier``, if this CA issues for it.

    Args:
        identifier: What is asked for.
        allow_internal: Whether names and addresses without meaning on the Internet are issued for.
        forbidden_domains: Domains that are refused with all that is below them.

    Raises:
        Problem: ``rejectedIdentifier``.
    """
    if identifier.type == "ip":
        reason = "" if allow_internal or ipaddress.ip_address(identifier.value).is_global else "private address"
    else:
        labels = identifier.base.value.split(".")
        domains = {".".join(labels[index:]) for index in range(len(labels))}
        internal = len(labels) == 1 or not domains.isdisjoint(_INTERNAL_DOMAINS)
        reason = "forbidden by policy" if not domains.isdisjoint(forbidden_domains) else ""
        reason = "an internal name" if internal and not allow_internal else reason
    if reason:
        raise Problem(
            ErrorType.REJECTED_IDENTIFIER,
            f"This CA does not issue for {identifier.value}: {reason}.",
            identifier=identifier.as_json(),
        )
    return identifier


def _address(value: str, named: dict[str, str]) -> Identifier:
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise Problem(ErrorType.MALFORMED, "The value is not an IP address.", identifier=named) from error
    if str(address) != value or "%" in value:  # RFC 8738 section 3: IPv6 as RFC 5952 writes it
        raise Problem(ErrorType.MALFORMED, f"The address is not written as {address}.", identifier=named)
    return Identifier("ip", value)
