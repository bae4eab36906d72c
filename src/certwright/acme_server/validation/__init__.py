"""Validation of challenges over real sockets, by the rules public CAs follow (RFC 8555 section 8)."""

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.config import ValidationConfig
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.validation import dns_01, http_01, tls_alpn_01
from certwright.acme_server.validation.network import Network


class Validator:
    """Fetches proofs, each within the configured time."""

    def __init__(self, config: ValidationConfig) -> None:
        self._config = config
        self._network = Network(config)

    def validate(self, kind: str, identifier: Identifier, token: str, key_authorization: str) -> None:
        """Return if the proof is there.

        Args:
            kind: The challenge's type.
            identifier: What is to be proven; for a wildcard its base.
            token: The challenge's token.
            key_authorization: Section 8.1.

        Raises:
            Problem: ``dns``, ``connection``, ``tls`` or ``unauthorized``, with what was found instead.
        """
        deadline = Deadline(self._config.timeout)
        if kind == "dns-01":
            dns_01.validate(self._network, deadline, identifier.value, key_authorization)
        elif kind == "http-01":
            http_01.validate(self._network, deadline, identifier, token, key_authorization)
        else:
            tls_alpn_01.validate(self._network, deadline, identifier, key_authorization)
