"""Identifiers: what a certificate is asked for (RFC 8555 section 7.1.3, RFC 8738 for IP addresses)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identifier:
    """A DNS name or an IP address, as the wire has it."""

    type: str
    """``dns`` or ``ip``; a CA may answer with others."""
    value: str
    """A-labels for names (``*.example.org`` in an order), the canonical text form for addresses."""

    @classmethod
    def dns(cls, name: str) -> "Identifier":
        """A DNS name, IDNA-encoded by the caller."""
        return cls("dns", name)

    @classmethod
    def ip(cls, address: str) -> "Identifier":
        """An IPv4 or IPv6 address."""
        return cls("ip", address)

    def to_json(self) -> dict[str, str]:
        """The form that an order carries."""
        return {"type": self.type, "value": self.value}

    def __str__(self) -> str:
        return self.value
