"""Stored versions as material that tasks, exports and checks can work with."""

from functools import lru_cache

from certwright.domain.certificates import CertificateFacts, load_certificates
from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import load_own_key
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.sdk.context import Material
from certwright.store import UnitOfWork

_REMEMBERED = 64  # chains: whoever works on a certificate asks for its facts several times


def material(unit: UnitOfWork, version: CertificateVersion) -> Material:
    """The version's certificates and, if it is with us, its key."""
    chain = tuple(load_certificates(version.chain_pem.encode()))
    key = unit.versions.private_key(version.id)
    return Material(CertificateFacts.of(chain[0]), chain, load_own_key(key) if key else None)


def version_facts(version: CertificateVersion) -> CertificateFacts:
    """What the version's own certificate says."""
    return _facts(version.chain_pem)


@lru_cache(_REMEMBERED)
def _facts(chain_pem: str) -> CertificateFacts:
    return CertificateFacts.of(load_certificates(chain_pem.encode())[0])


def current_version(unit: UnitOfWork, managed: ManagedCertificate) -> CertificateVersion:
    """The version to deploy and to export.

    Raises:
        ConfigurationError: if nothing was issued yet.
    """
    version = unit.managed.current(managed.id)
    if version is None:
        raise ConfigurationError(
            f"{managed.title!r} has no certificate yet.", hint=f"Run: certwright certificate request {managed.id}"
        )
    return version
