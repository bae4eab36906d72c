"""Revoke a version: almost never right, so it says what it breaks before it is done."""

from certwright.domain.audit import Action
from certwright.domain.certificates import load_certificates
from certwright.domain.errors import ConfigurationError
from certwright.domain.events import EventKind
from certwright.domain.managed import CertificateVersion
from certwright.domain.runs import RunKind
from certwright.engine.context import Engine, running
from certwright.engine.issuers import issuer_plugin
from certwright.engine.material import current_version
from certwright.engine.schedule import reschedule
from certwright.store.managed import subject

# RFC 5280 section 5.3.1; authorities accept these from subscribers.
REASONS = {
    "unspecified": 0,
    "key-compromise": 1,
    "affiliation-changed": 3,
    "superseded": 4,
    "cessation-of-operation": 5,
}


def revoke(engine: Engine, reference: str, reason: str) -> CertificateVersion:
    """Revoke the current version at its authority.

    Raises:
        ConfigurationError: if it has none, it is revoked already, or the reason is unknown.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
    """
    if reason not in REASONS:
        raise ConfigurationError(f"There is no reason {reason!r}.", hint=f"Choose one of: {', '.join(REASONS)}.")
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    with engine.certificate_lease(managed) as lease:
        with engine.store.read() as unit:
            version = current_version(unit, managed)
        if version.revoked_at:
            raise ConfigurationError(f"The current version of {managed.title!r} is revoked already.")
        with running(engine, managed, RunKind.REVOKE, lease) as run:
            with run.journal.step(f"Revoke at {version.issuer}: {reason}"):
                leaf = load_certificates(version.chain_pem.encode())[0]
                issuer_plugin(engine, version.issuer, run.journal).revoke(leaf, REASONS[reason])
            event = run.event(EventKind.CERTIFICATE_REVOKED, managed, engine.now(), f"Revoked: {reason}.")
            with engine.store.write(lease) as unit:
                unit.versions.mark_revoked(version.id, engine.now())
                unit.events.add(event.model_copy(update={"version_id": version.id}))
                reschedule(engine, unit, managed)
                unit.trail.note(Action.REVOKED, subject(managed), after={"version": version.id, "reason": reason})
    return version
