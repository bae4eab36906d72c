"""dns-01: a TXT record holds the digest of the key authorization (RFC 8555 section 8.4)."""

import hashlib

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.encoding import b64url
from certwright.acme_server.problem import unauthorized
from certwright.acme_server.validation.network import Network

_SHOWN = 3


def validate(network: Network, deadline: Deadline, name: str, key_authorization: str) -> None:
    """Return if one of the TXT records of ``_acme-challenge.name`` is the right one."""
    owner = f"_acme-challenge.{name}"
    expected = b64url(hashlib.sha256(key_authorization.encode()).digest())
    found, _ = network.txt(owner, deadline)
    if expected in found:
        return
    if not found:
        raise unauthorized(f"There is no TXT record at {owner}.")
    shown = ", ".join(ascii(text[:100]) for text in found[:_SHOWN])
    raise unauthorized(f"Incorrect TXT record at {owner}: found {len(found)}, among them {shown}.")
