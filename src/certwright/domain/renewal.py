"""When to ask for the next version: an ordered list of named pure checks; the first that speaks decides."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from certwright.domain.certificates import CertificateFacts
from certwright.domain.managed import CertificateVersion, ManagedCertificate

SHORT_LIVED = timedelta(days=10)
SHORT_LIVED_SHARE = 1 / 2
BACKSTOP_SHARE = 2 / 3


class Reason(StrEnum):
    """Why a certificate is due, or not."""

    NEVER_ISSUED = "never-issued"
    SETTINGS_CHANGED = "settings-changed"
    REVOKED = "revoked"
    LIFETIME_SHARE = "lifetime-share"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a new version is due at the moment asked about, why, and when to look again.

    `next_check` is the moment it becomes due by the clock alone; for what is due already it is that moment itself.
    """

    due: bool
    reason: Reason
    message: str
    next_check: datetime


@dataclass(frozen=True, slots=True)
class RenewalInput:
    """All that the checks look at. `current` and its `facts` are None until something was issued; `now` is aware."""

    managed: ManagedCertificate
    current: CertificateVersion | None
    facts: CertificateFacts | None
    now: datetime


Check = Callable[[RenewalInput], Decision | None]


def decide(given: RenewalInput) -> Decision:
    """The answer of the first check that has one."""
    return next(decision for check in CHECKS if (decision := check(given)))


def due_at(facts: CertificateFacts, share: float) -> datetime:
    """When the given share of the lifetime has passed, but never later than the backstop.

    The backstop is what authorities advise: a third of the lifetime before the end, or half of it for certificates
    that live less than ten days. What is left is the time to repair whatever hinders the renewal.
    """
    backstop = SHORT_LIVED_SHARE if facts.lifetime < SHORT_LIVED else BACKSTOP_SHARE
    return facts.not_before + facts.lifetime * min(share, backstop)


def never_issued(given: RenewalInput) -> Decision | None:
    """Nothing was issued yet."""
    if given.current is None or given.facts is None:
        return Decision(due=True, reason=Reason.NEVER_ISSUED, message="It was never issued.", next_check=given.now)
    return None


def revoked(given: RenewalInput) -> Decision | None:
    """The current version was revoked."""
    if given.current and given.current.revoked_at:
        message = f"The current version was revoked on {_date(given.current.revoked_at)}."
        return Decision(due=True, reason=Reason.REVOKED, message=message, next_check=given.now)
    return None


def settings_changed(given: RenewalInput) -> Decision | None:
    """The names, the issuer, the key, the profile or the chain are other than those of the current version."""
    if given.current and given.current.fingerprint != given.managed.fingerprint:
        message = "Its names, issuer, key settings, profile or preferred chain changed since it was issued."
        return Decision(due=True, reason=Reason.SETTINGS_CHANGED, message=message, next_check=given.now)
    return None


def lifetime_share(given: RenewalInput) -> Decision | None:
    """The agreed share of the lifetime has passed."""
    if given.facts is None:
        return None
    moment = due_at(given.facts, given.managed.renewal.lifetime_share)
    if given.now < moment:
        return None
    ends = "expired" if given.facts.not_after < given.now else "expires"
    message = f"It has been due since {_date(moment)}; it {ends} on {_date(given.facts.not_after)}."
    return Decision(due=True, reason=Reason.LIFETIME_SHARE, message=message, next_check=given.now)


def fresh(given: RenewalInput) -> Decision | None:
    """None of the above."""
    if given.facts is None:
        return None
    moment = due_at(given.facts, given.managed.renewal.lifetime_share)
    message = f"It is valid until {_date(given.facts.not_after)}; it is due on {_date(moment)}."
    return Decision(due=False, reason=Reason.FRESH, message=message, next_check=moment)


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


CHECKS: tuple[Check, ...] = (never_issued, revoked, settings_changed, lifetime_share, fresh)
