"""Challenges and their answers (RFC 8555 section 8, RFC 8737, RFC 8738, draft-ietf-acme-dns-persist-01)."""

import hashlib
import re
from dataclasses import dataclass, field

from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline
from certwright.acme.errors import UnexpectedAnswer
from certwright.acme.identifier import Identifier
from certwright.acme.jws import b64url
from certwright.acme.problem import Problem
from certwright.acme.wire import Fields

# Section 8: base64url only. Tokens become file names and URL paths, so nothing else may pass.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_PERSIST = "dns-persist-01"
# Section 3.1 of the draft: lower-case A-labels without a dot at the end, ten of them at most.
_ISSUER = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_MOST_ISSUERS = 10


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove control, as the CA shows it."""

    type: str
    url: str
    status: str
    """``pending``, ``processing``, ``valid`` or ``invalid``."""
    token: str | None = None
    """Absent in dns-persist-01, and in types that this package does not know."""
    issuer_domain_names: tuple[str, ...] = ()
    """Of dns-persist-01: the names that the record may name the CA by."""
    account_uri: str | None = None
    """Of dns-persist-01: the account as the CA wants it written in the record."""
    error: Problem | None = None

    @classmethod
    def parse(cls, fields: Fields) -> "Challenge":
        """Read it; UnexpectedAnswer if it is none."""
        token = fields.text_or_none("token")
        if token is not None and not _TOKEN.fullmatch(token):
            raise UnexpectedAnswer("a challenge's token is not base64url")
        return cls(
            type=fields.text("type"),
            url=fields.url("url"),
            status=fields.text_or_none("status") or "pending",
            token=token,
            issuer_domain_names=fields.texts("issuer-domain-names"),
            account_uri=fields.text_or_none("accounturi"),
            error=Problem.parse(fields.any("error")) if "error" in fields else None,
        )

    @property
    def answerable(self) -> bool:
        """Whether this package can tell what answers it; a malformed dns-persist-01 is to be left alone."""
        names = self.issuer_domain_names
        if self.type == _PERSIST:
            return 0 < len(names) <= _MOST_ISSUERS and all(map(_ISSUER.fullmatch, names))
        return self.token is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """What has to be shown to the CA for one challenge of one identifier.

    dns-persist-01 has neither token nor key authorization: its record names the account.
    """

    identifier: Identifier
    """Without ``*.``: also a wildcard is validated at its base name."""
    wildcard: bool
    challenge: Challenge
    token: str
    key_authorization: str = field(repr=False)
    """The content of http-01 (RFC 8555 section 8.1)."""
    account_uris: tuple[str, ...] = ()
    """The URIs of the account that the CA takes in a record of dns-persist-01, its own choice first."""

    @property
    def type(self) -> str:
        """The challenge's type: ``http-01``."""
        return self.challenge.type

    @property
    def http_path(self) -> str:
        """The path at which http-01 expects the key authorization (section 8.3)."""
        return f"/.well-known/acme-challenge/{self.token}"

    @property
    def dns_name(self) -> str:
        """The name of the TXT record of dns-01 (section 8.4)."""
        return f"_acme-challenge.{self.identifier.value}"

    @property
    def dns_value(self) -> str:
        """The value of the TXT record of dns-01."""
        return b64url(self.digest)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the key authorization: the value of tls-alpn-01's acmeIdentifier (RFC 8737 section 3)."""
        return hashlib.sha256(self.key_authorization.encode("ascii")).digest()


def respond(client: AcmeClient, challenge: Challenge, deadline: Deadline | None = None) -> None:
    """Tell the CA that the challenge can be validated now (RFC 8555 section 7.5.1)."""
    client.post(challenge.url, {}, deadline)
