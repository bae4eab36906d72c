"""The resources of RFC 8555 section 7.1 with their states. Changed only under the state's lock."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509

from certwright.acme_server.ca import Chain
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.jws import AccountKey
from certwright.acme_server.problem import Problem, combine, named, unauthorized

_CAA_HOLDS = timedelta(hours=8)  # Baseline Requirements section 3.2.2.8


class Status(StrEnum):
    """All values of a ``status`` member."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"


def new_id() -> str:
    """A fresh identifier for a resource: 96 random bits in base64url."""
    return secrets.token_urlsafe(12)


def new_token() -> str:
    """A challenge token: 256 random bits in base64url (at least 128: RFC 8555 section 8)."""
    return secrets.token_urlsafe(32)


@dataclass(slots=True)
class Account:
    """Section 7.1.2."""

    key: AccountKey
    contact: tuple[str, ...] = ()
    terms_agreed: bool = False
    external_account_binding: Mapping[str, Any] | None = None
    status: Status = Status.VALID
    id: str = field(default_factory=new_id)


@dataclass(slots=True)
class Challenge:
    """Section 8. dns-persist-01 has no token."""

    type: str
    token: str
    status: Status = Status.PENDING
    validated: datetime | None = None
    error: Problem | None = None
    id: str = field(default_factory=new_id)


@dataclass(slots=True)
class Authorization:
    """Section 7.1.4. ``identifier`` is the base of a wildcard, as in the object on the wire.

    ``reusable_until`` is when further orders must not rely on it any more, if that is before ``expires``.
    """

    account_id: str
    identifier: Identifier
    wildcard: bool
    expires: datetime
    challenges: tuple[Challenge, ...]
    status: Status = Status.PENDING
    reusable_until: datetime | None = None
    id: str = field(default_factory=new_id)

    @property
    def proves(self) -> Identifier:
        """What a certificate may be for while this is valid."""
        return Identifier("dns", f"*.{self.identifier.value}") if self.wildcard else self.identifier

    @property
    def proof(self) -> Challenge:
        """The challenge that made it valid."""
        return next(challenge for challenge in self.challenges if challenge.status is Status.VALID)

    def needs_caa(self, now: datetime) -> bool:
        """Whether CAA was looked at too long ago to issue."""
        return self.proof.validated is not None and now - self.proof.validated > _CAA_HOLDS

    def update(self, now: datetime) -> None:
        """Let time pass: a valid authorization expires, a pending one can no longer be fulfilled."""
        if now >= self.expires and self.status in (Status.PENDING, Status.VALID):
            self.status = Status.EXPIRED if self.status is Status.VALID else Status.INVALID


@dataclass(slots=True)
class Order:
    """Section 7.1.3, with ``replaces`` (RFC 9773) and ``profile``."""

    account_id: str
    identifiers: tuple[Identifier, ...]
    authorizations: tuple[Authorization, ...]
    profile: str
    expires: datetime
    not_before: datetime | None = None
    not_after: datetime | None = None
    replaces: str | None = None
    status: Status = Status.PENDING
    error: Problem | None = None
    certificate_id: str | None = None
    id: str = field(default_factory=new_id)

    def update(self, now: datetime) -> None:
        """Follow the authorizations and the time (section 7.1.6)."""
        if self.status not in (Status.PENDING, Status.READY):
            return
        for authorization in self.authorizations:
            authorization.update(now)
        lost = [a for a in self.authorizations if a.status not in (Status.PENDING, Status.VALID)]
        if lost:
            self.status, self.error = Status.INVALID, combine([_loss(a) for a in lost])
        elif now >= self.expires:
            self.status, self.error = Status.INVALID, unauthorized("The order has expired.")
        elif all(a.status is Status.VALID for a in self.authorizations):
            self.status = Status.READY


@dataclass(frozen=True, slots=True)
class Revocation:
    """When and why (RFC 5280 section 5.3.1) a certificate was revoked."""

    time: datetime
    reason: int


@dataclass(slots=True)
class IssuedCertificate:
    """An entry of the issuance log.

    Attributes:
        certificate: The certificate itself.
        chains: As offered for download, the default one first; no root.
        identifiers: What it is for, wildcards included.
        certificate_id: RFC 9773 section 4.1.
        order_url: The order it was issued for.
        account_url: The account that ordered it.
        profile: The kind of certificate.
        replaces: The ``certificate_id`` of its predecessor, if the order named one.
        revocation: None while it is good.
    """

    certificate: x509.Certificate
    chains: tuple[Chain, ...]
    identifiers: tuple[Identifier, ...]
    certificate_id: str
    order_url: str
    account_url: str
    account_id: str
    profile: str
    replaces: str | None
    revocation: Revocation | None = None
    id: str = field(default_factory=new_id)


def _loss(authorization: Authorization) -> Problem:
    """Why an authorization cannot be fulfilled any more, naming its identifier."""
    error = next((c.error for c in authorization.challenges if c.error is not None), None)
    if error is None:
        error = unauthorized(f"The authorization for {authorization.identifier.value} is {authorization.status}.")
    return named(error, authorization.identifier.as_json())
