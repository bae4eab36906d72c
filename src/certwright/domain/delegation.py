"""Delegation of challenge records: whose TXT record is written where, by explicit rules."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import idna

from certwright.domain.errors import InvalidIdentifier

_ANY = "*."
_MAX_NAME = 253


@dataclass(frozen=True, slots=True)
class Delegation:
    """One rule: the record of `source` is written at `to`; ``*.`` stands for one label or more, the same on both sides.

    ``*.contoso.com:*.acme.fabrikam.net`` has the record of `_acme-challenge.mail.contoso.com` written at
    `_acme-challenge.mail.acme.fabrikam.net`; ``*.contoso.com:proof.fabrikam.net`` has them all written at one name.
    """

    source: str
    to: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``SOURCE:TARGET``.

        Raises:
            ValueError: with what to write instead.
        """
        source, colon, target = text.strip().lower().partition(":")
        rule = cls(_a_labels(source.rstrip(".")), _a_labels(target.rstrip(".")))
        if not colon or not all(map(_is_pattern, (rule.source, rule.to))):
            raise ValueError(
                f"{text!r} is no delegation: write SOURCE:TARGET, for example *.contoso.com:*.fabrikam.net"
            )
        if rule.to.startswith(_ANY) and not rule.source.startswith(_ANY):
            raise ValueError(f"in {text!r} nothing on the left stands for the * on the right")
        return rule

    def target(self, name: str) -> str | None:
        """Where the record of `name`, ``_acme-challenge`` included, is written; None if the rule does not fit.

        Raises:
            InvalidIdentifier: if the target would be no DNS name.
        """
        if not self.source.startswith(_ANY):
            return self.to if name == self.source else None
        if not name.endswith(self.source[1:]):
            return None
        target = name.removesuffix(self.source[2:]) + self.to[2:] if self.to.startswith(_ANY) else self.to
        if len(target) > _MAX_NAME:
            raise InvalidIdentifier(f"By the delegation {self} the record of {name} would have too long a name.")
        return target

    def __str__(self) -> str:
        return f"{self.source}:{self.to}"


def ruled_target(rules: Iterable[str], name: str) -> str | None:
    """Where the first of `rules` that fits has the record of `name` written; None if none fits.

    Raises:
        ValueError: if one of them is no rule.
        InvalidIdentifier: if the target would be no DNS name.
    """
    return next((target for rule in rules if (target := Delegation.parse(rule).target(name))), None)


def _a_labels(text: str) -> str:
    """`text` with its labels beyond ASCII as DNS has them (RFC 5891), if they can be; the others may hold _ or *."""
    try:
        return ".".join(
            label if label.isascii() else idna.encode(label, uts46=True).decode("ascii") for label in text.split(".")
        )
    except idna.IDNAError:
        return text


def _is_pattern(text: str) -> bool:
    """Whether it is a DNS name of records, maybe behind ``*.``; underscores are common in these."""
    labels = text.removeprefix(_ANY).split(".")
    return len(text) <= _MAX_NAME and all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()  # noqa: PLR2004 - RFC 1035 section 2.3.4
        for label in labels
    )
