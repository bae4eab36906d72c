"""An ACME server with a CA of its own, for the sandbox and for tests.

RFC 8555, RFC 8737 (tls-alpn-01), RFC 8738 (IP addresses), RFC 9773 (renewal information), RFC 8659 and 8657 (CAA),
draft-ietf-acme-profiles, draft-ietf-acme-dns-persist-01.

It shares no code with our ACME client, so that neither hides the other's mistakes.
`server.AcmeServer` is the way in, `ca.CertificateAuthority` its CA, `config` what can be chosen.
"""

import logging

from certwright.acme_server.ca import CertificateAuthority, KeyedCertificate
from certwright.acme_server.config import (
    PROFILES,
    AcmeServerConfig,
    CaConfig,
    KeyType,
    Profile,
    ValidationConfig,
)
from certwright.acme_server.faults import Faults
from certwright.acme_server.messages import Endpoint
from certwright.acme_server.resources import IssuedCertificate
from certwright.acme_server.server import AcmeServer
from certwright.acme_server.state import State

__all__ = [
    "PROFILES",
    "AcmeServer",
    "AcmeServerConfig",
    "CaConfig",
    "CertificateAuthority",
    "Endpoint",
    "Faults",
    "IssuedCertificate",
    "KeyType",
    "KeyedCertificate",
    "Profile",
    "State",
    "ValidationConfig",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
