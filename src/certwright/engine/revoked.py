"""What was revoked, and is known for good as what must never be used again."""

from certwright.engine.context import Engine
from certwright.engine.material import version_facts
from certwright.store import UnitOfWork

_REVOKED = "revoked:"
_CERTIFICATE = "certificate"


def revoked(engine: Engine) -> frozenset[str]:
    """The thumbprints of all that was ever revoked here, also of managed certificates that were removed since."""
    with engine.store.read() as unit:
        removed = [subject.removeprefix(_REVOKED) for subject in unit.records.newest(_REVOKED, _CERTIFICATE)]
        return frozenset([*removed, *(version_facts(version).thumbprint for version in unit.versions.revoked())])


def remember_revoked(unit: UnitOfWork, managed_id: str) -> None:
    """Have what was revoked of a managed certificate be known when that is removed."""
    for version in unit.versions.list(managed_id):
        if version.revoked_at:
            facts = version_facts(version)
            known = {"serial": facts.serial, "issuer": version.issuer, "managed": managed_id}
            unit.records.put(f"{_REVOKED}{facts.thumbprint}", _CERTIFICATE, known, version.revoked_at)
