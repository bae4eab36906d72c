"""The authority's advice when to renew (RFC 9773): asked for now and then, and told where its mind has changed."""

import random
from datetime import timedelta

from certwright.domain.certificates import load_certificates
from certwright.domain.errors import CertwrightError
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import ManagedCertificate
from certwright.domain.renewal import Decision, heed, moved
from certwright.engine.context import Engine
from certwright.engine.issuers import issuer_plugin
from certwright.engine.schedule import reschedule
from certwright.sdk.journal import SilentJournal
from certwright.store import Lease

_UNKNOWN = timedelta(hours=1)


def refresh(engine: Engine, managed: ManagedCertificate, lease: Lease) -> Decision | None:
    """Ask for the advice about the current version, if that is due, and reschedule; the decision then.

    That nobody answers holds nothing up.
    """
    with engine.store.read() as unit:
        current = unit.managed.current(managed.id)
        before = unit.renewals.get(managed.id)
    now = engine.now()
    if current is None or current.revoked_at or (before.ask_again and before.ask_again > now):
        return None
    leaf = load_certificates(current.chain_pem.encode())[0]
    try:
        window = issuer_plugin(engine, current.issuer, SilentJournal()).renewal_window(leaf)
    except CertwrightError:
        after = before.model_copy(update={"ask_again": now + _UNKNOWN})
    else:
        after = heed(before, current.id, window, random.random(), now)  # noqa: S311 - spreads work, protects nothing
    with engine.store.write(lease) as unit:
        unit.renewals.save(managed.id, after)
        if told := moved(before, after):
            unit.events.add(
                Event(kind=EventKind.RENEWAL_MOVED, managed_id=managed.id, at=now, message=told, version_id=current.id)
            )
        return reschedule(engine, unit, managed)
