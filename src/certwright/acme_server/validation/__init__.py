"""Validation of challenges over real sockets, by the rules public CAs follow (RFC 8555 section 8), and CAA."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.ca import Clock, utc_now
from certwright.acme_server.config import ValidationConfig
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.validation import caa, dns_01, dns_persist_01, http_01, tls_alpn_01
from certwright.acme_server.validation.network import Network


@dataclass(frozen=True, slots=True)
class Attempt:
    """One challenge that the client says can be validated.

    Attributes:
        type: The challenge's type.
        identifier: What is to be proven, a wildcard as such.
        token: The challenge's token; empty for dns-persist-01.
        key_authorization: Section 8.1; empty for dns-persist-01.
        account_url: The account that ordered.
    """

    type: str
    identifier: Identifier
    token: str
    key_authorization: str
    account_url: str


class Validator:
    """Fetches proofs and CAA records, each within the configured time.

    Args:
        config: How.
        identities: The names that CAA and dns-persist-01 records may name this CA by; without any, CAA is not checked.
        clock: The CA's time.
    """

    def __init__(self, config: ValidationConfig, identities: Sequence[str] = (), clock: Clock = utc_now) -> None:
        self._config = config
        self._identities = tuple(identity.lower() for identity in identities)
        self._clock = clock
        self._network = Network(config)

    def validate(self, attempt: Attempt) -> timedelta | None:
        """Return if the proof is there and CAA allows it: how long it may be relied on, if the proof says so itself.

        Raises:
            Problem: ``dns``, ``connection``, ``tls``, ``unauthorized``, ``malformed`` or ``caa``, with what was found
                instead.
        """
        reusable = self._prove(attempt, Deadline(self._config.timeout))
        self.check_caa(attempt.identifier, attempt.type, attempt.account_url)
        return reusable

    def check_caa(self, identifier: Identifier, method: str, account_url: str) -> None:
        """Return if CAA lets this CA issue; not asked for addresses and for names whose host is configured.

        Raises:
            Problem: ``caa`` or ``dns``.
        """
        network = self._network
        if not self._identities or self._config.resolver is None:
            return
        if identifier.type == "ip" or network.is_configured(identifier.base.value):
            return
        applicant = caa.Applicant(self._identities, method, account_url)
        caa.check(network, Deadline(self._config.timeout), identifier, applicant)

    def _prove(self, attempt: Attempt, deadline: Deadline) -> timedelta | None:
        network, identifier, key_authorization = self._network, attempt.identifier, attempt.key_authorization
        match attempt.type:
            case "dns-01":
                dns_01.validate(network, deadline, identifier.base.value, key_authorization)
            case "http-01":
                http_01.validate(network, deadline, identifier, attempt.token, key_authorization)
            case "tls-alpn-01":
                tls_alpn_01.validate(network, deadline, identifier, key_authorization)
            case "dns-persist-01":
                return dns_persist_01.validate(
                    network, deadline, identifier, self._identities, attempt.account_url, self._clock()
                )
        return None
