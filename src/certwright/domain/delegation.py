"""Delegation of challenge records: whose TXT record is written where, by explicit rules."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import idna

from certwright.domain.errors import InvalidIdentifier

CHALLENGE_LABEL = "_acme-challenge"
"""What stands before a name that a TXT record proves (RFC 8555 section 8.4)."""

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

    @property
    def objection(self) -> str:
        """Why it fits no challenge whatever, with what to write instead; empty if it may fit one."""
        is_open, bare = self.source.startswith(_ANY), self.source.removeprefix(_ANY)
        proved = bare if is_open else bare.removeprefix(f"{CHALLENGE_LABEL}.")
        if "_" not in proved and (is_open or proved != bare):  # names of certificates have no underscores
            return ""
        name = bare.rpartition("_")[2].partition(".")[2] if "_" in bare else bare
        to = self.to.removeprefix(_ANY)
        return (
            f"{self} fits nothing, because the records of challenges stand at {CHALLENGE_LABEL}.NAME: write "
            f"{CHALLENGE_LABEL}.{name or 'NAME'}:{to} for that name alone, or *.{name or 'NAME'}:{self.to} for it and "
            "all names under it"
        )

    def __str__(self) -> str:
        return f"{self.source}:{self.to}"


def challenge_name(base: str) -> str:
    """Where an authority looks for the record that proves `base`."""
    return f"{CHALLENGE_LABEL}.{base}"


def read_rules(rules: Iterable[str]) -> tuple[Delegation, ...]:
    """Read `rules` as somebody types them.

    Raises:
        ValueError: if one of them is no rule, can fit nothing, or is for the same names as another.
    """
    found = tuple(dict.fromkeys(map(Delegation.parse, rules)))
    if objection := next(filter(None, (rule.objection for rule in found)), ""):
        raise ValueError(objection)
    by_source: dict[str, Delegation] = {}
    for rule in found:
        if other := by_source.get(rule.source):
            raise ValueError(f"{other} and {rule} are for the same names: leave one of them out")
        by_source[rule.source] = rule
    return found


def ruled_target(rules: Iterable[str], name: str) -> str | None:
    """Where the closest of `rules` that fit has the record of `name` written; None if none fits.

    Closest is the rule for the name itself, else that with the longest end.

    Raises:
        ValueError: if one of them is no rule.
        InvalidIdentifier: if the target would be no DNS name.
    """
    for rule in sorted(
        map(Delegation.parse, rules), key=lambda rule: len(rule.source.removeprefix(_ANY)), reverse=True
    ):
        if target := rule.target(name):
            return target
    return None


def how_to_lead(name: str, to: str) -> str:
    """What to do where the DNS does not lead from `name` to where a rule has its record written."""
    return f"Create the record {name}. CNAME {to}. in the public DNS, or remove the rule."


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
