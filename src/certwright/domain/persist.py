"""The record of dns-persist-01: TXT at `_validation-persist` and the name (draft-ietf-acme-dns-persist-01).

It stays in DNS, holds no secret, and lets one account of one authority have certificates for the name.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import Identifier
from certwright.domain.issue_value import IssueValue
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.validation import RECORD_LABELS, choose

_TIMESTAMP = re.compile(r"[0-9]{1,20}")
_MAX_STRING = 255  # octets of one character-string (RFC 1035 section 3.3)


@dataclass(frozen=True, slots=True)
class PersistRecord:
    """What such a record says.

    Attributes:
        issuer: The domain name of the authority, in lower case.
        account_uri: Who may have certificates.
        wildcard: Whether also for wildcards, and for names below where the authority allows that.
        until: When it ends, in seconds since 1970 (`persistUntil`); None for never.
    """

    issuer: str
    account_uri: str
    wildcard: bool = False
    until: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a record as authorities do (section 4.1, RFC 8659 section 4.2); unknown parameters are left out.

        Raises:
            ValueError: if it is malformed, with the reason as the end of a sentence.
        """
        value = IssueValue.parse(text)
        parameters = dict(value.parameters)
        if len(parameters) < len(value.parameters):
            raise ValueError("it has a parameter twice")
        until = parameters.get("persistuntil")
        if not value.issuer:
            raise ValueError("it does not begin with the domain name of an authority")
        if not parameters.get("accounturi"):
            raise ValueError("it has no accounturi")
        if until is not None and not _TIMESTAMP.fullmatch(until):
            raise ValueError("its persistUntil is not a number of seconds since 1970")
        return cls(
            issuer=value.issuer,
            account_uri=parameters["accounturi"],
            wildcard=parameters.get("policy", "").lower() == "wildcard",
            until=None if until is None else int(until),
        )

    @property
    def expires(self) -> datetime | None:
        """`until` as a time; None also if it lies beyond all calendars."""
        try:
            return None if self.until is None else datetime.fromtimestamp(self.until, UTC)
        except (OverflowError, ValueError, OSError):
            return None

    def obstacle(
        self, issuers: Collection[str], account_uris: Collection[str], *, wildcard: bool, now: datetime
    ) -> str | None:
        """Why an authority of these names does not take the record for that account, or None if it does.

        Args:
            issuers: The names that the authority gives itself.
            account_uris: The URIs of the account.
            wildcard: Whether a wildcard is to be proved.
            now: The time.
        """
        if self.issuer not in issuers:
            return f"it is for the authority {self.issuer}"
        if self.account_uri not in account_uris:
            return f"it is for another account, {self.account_uri}"
        if wildcard and not self.wildcard:
            return "it lacks policy=wildcard, which a wildcard needs"
        if self.until is not None and now.timestamp() > self.until:
            ended = f" on {self.expires:%Y-%m-%d %H:%M} UTC" if self.expires else ""
            return f"it ended{ended} (persistUntil)"
        return None

    def __str__(self) -> str:
        policy = "; policy=wildcard" if self.wildcard else ""
        until = "" if self.until is None else f"; persistUntil={self.until}"
        return f"{self.issuer}; accounturi={self.account_uri}{policy}{until}"


def validation_name(identifier: Identifier) -> str:
    """Where the record of a name, or of a wildcard, must be."""
    return f"{RECORD_LABELS['dns-persist-01']}.{identifier.base}"


def zone_line(name: str, value: str) -> str:
    """The record as a line of a zone file, its value in strings of at most 255 characters."""
    strings = [value[start : start + _MAX_STRING] for start in range(0, len(value), _MAX_STRING)]
    quoted = " ".join('"' + each.replace("\\", r"\\").replace('"', r"\"") + '"' for each in strings)
    return f"{name}. IN TXT {quoted}"


def how_named(issuer: Issuer) -> tuple[tuple[str, ...], str]:
    """The domain names of the authority, and the URL of our account there, by which records name them.

    Raises:
        ConfigurationError: if the authority has not said so.
    """
    names, account = issuer.capabilities.caa_identities, issuer.account.get("url")
    if not names or not account:
        raise ConfigurationError(
            f"The issuer {issuer.name!r} has not said by which name records in DNS name it, as dns-persist-01 needs.",
            hint="Not every authority offers dns-persist-01; else prove the names otherwise, as with --dns CREDENTIAL. "
            "If this one does, add it again under another name: what it says of itself is read when it is added.",
        )
    return names, account


def proved_so(managed: ManagedCertificate) -> list[Identifier]:
    """The names that such records prove."""
    return [i for i in managed.identifiers if choose(managed.validations, i).challenge == "dns-persist-01"]
