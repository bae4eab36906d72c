"""The authority's advice when to renew (RFC 9773): asked for now and then, and told where its mind has changed."""

import random
from datetime import timedelta

from certwright.domain.advice import heed, is_asked_later, moved
from certwright.domain.certificates import load_certificates
from certwright.domain.errors import CertwrightError
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import ManagedCertificate
from certwright.engine.context import Engine
from certwright.engine.issuers import issuer_plugin
from certwright.engine.schedule import reschedule
from certwright.sdk.journal import SilentJournal

_AFTER_FAILURE = timedelta(hours=6)
"""RFC 9773 section 4.3.3; while an authority is away, each certificate costs a question so often."""


def refresh(engine: Engine, managed: ManagedCertificate) -> bool:
    """Ask for the advice about the current version, if that is due, and reschedule; whether nothing else is to be done.

    It needs no lease: an answer about what somebody has changed meanwhile is dropped. That nobody answers holds nothing
    up.
    """
    with engine.store.read() as unit:
        current = unit.managed.current(managed.id)
        before = unit.renewals.get(managed.id)
    now = engine.now()
    if current is None or current.revoked_at or is_asked_later(before, now):
        return False
    leaf = load_certificates(current.chain_pem.encode())[0]
    try:
        window = issuer_plugin(engine, current.issuer, SilentJournal()).renewal_window(leaf)
    except CertwrightError:
        after = before.model_copy(update={"ask_again": now + _AFTER_FAILURE})
    else:
        after = heed(before, current.id, window, random.random(), now)  # noqa: S311 - spreads work, protects nothing
    with engine.store.write() as unit:
        if unit.renewals.get(managed.id) != before:
            return False
        unit.renewals.save(managed.id, after)
        if told := moved(before, after):
            unit.events.add(
                Event(kind=EventKind.RENEWAL_MOVED, managed_id=managed.id, at=now, message=told, version_id=current.id)
            )
        reschedule(engine, unit, unit.managed.get(managed.id))
        upcoming = unit.managed.next_check(managed.id)
        is_begun = unit.orders.get(managed.id) or unit.runs.unended(managed.id)
        return not is_begun and upcoming is not None and upcoming > engine.now()
