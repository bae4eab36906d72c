"""When to ask for the next version: an ordered list of named pure checks; the first that speaks decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from certwright.domain import renewal_moments
from certwright.domain.advice import is_asked_later
from certwright.domain.certificates import CertificateFacts
from certwright.domain.clocks import happened
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.domain.renewal_moments import BEATS_ADVICE, LAST_RESORT, can_keep, grown_at, left_at, policy_not_kept
from certwright.domain.renewal_moments import date_in_words as _date
from certwright.domain.renewal_state import Advice, Failure, RenewalState
from certwright.domain.retry import Cause

_LAST_RESORT_PAUSE = timedelta(minutes=15)


class Reason(StrEnum):
    """Why a certificate is due, or not."""

    HELD = "held"
    LIMITED = "limited"
    ASKED_FOR = "asked-for"
    LAST_RESORT = "last-resort"
    BACKING_OFF = "backing-off"
    NEVER_ISSUED = "never-issued"
    SETTINGS_CHANGED = "settings-changed"
    REVOKED = "revoked"
    NEAR_ITS_END = "near-its-end"
    ADVISED = "advised"
    DAYS_LEFT = "days-left"
    LIFETIME_SHARE = "lifetime-share"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a new version is due at the moment asked about, why, and when to look again.

    `next_check` is the moment it becomes due by the clock alone; for what is due already it is that moment itself.
    `hint` is what a person has to do for it to be due, if that is anything.
    """

    due: bool
    reason: Reason
    message: str
    next_check: datetime
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RenewalInput:
    """All that the checks look at. `current` and its `facts` are None until something was issued; `now` is aware.

    `revision` counts the changes of the managed certificate.
    """

    managed: ManagedCertificate
    current: CertificateVersion | None
    facts: CertificateFacts | None
    now: datetime
    state: RenewalState = field(default_factory=RenewalState)
    revision: int = 0

    @property
    def advice(self) -> Advice | None:
        """The authority's advice for the current version."""
        advice = self.state.advice
        return advice if advice and self.current and advice.version_id == self.current.id else None

    @property
    def failure(self) -> Failure | None:
        """The failures since the last success, unless something was changed since, or a clock was wrong then."""
        failure = self.state.failure
        counts = failure and failure.revision == self.revision and happened(failure.at, self.now)
        return failure if counts else None


Check = Callable[[RenewalInput], Decision | None]


def decide(given: RenewalInput) -> Decision:
    """The answer of the first check that has one."""
    return next(decision for check in CHECKS if (decision := check(given)))


def held(given: RenewalInput) -> Decision | None:
    """A person wants no renewal now."""
    hold = given.state.hold
    if hold is None or (hold.until and hold.until <= given.now):
        return None
    until = f"until {_date(hold.until)}" if hold.until else "until somebody releases it"
    ends = f" The certificate in use ends on {_date(given.facts.not_after)}." if given.facts else ""
    message = f"It is held {until}: {hold.reason}.{ends}"
    hint = f"To have it renewed, release it first: certwright certificate release {given.managed.id}"
    return _wait(Reason.HELD, message, hold.until or given.now + timedelta(days=1), hint)


def limited(given: RenewalInput) -> Decision | None:
    """The authority named the moment before which it does not want to be asked."""
    failure = given.failure
    if failure is None or not failure.by_peer or failure.retry_at <= given.now:
        return None
    message = f"The authority wants to be asked again on {_date(failure.retry_at)} at the earliest. {failure.headline}"
    return _wait(Reason.LIMITED, message, failure.retry_at, "Wait: it is requested by itself then.")


def asked_for(given: RenewalInput) -> Decision | None:
    """A person wants a new version now."""
    wish = given.state.wish
    if wish is None or wish.version_id != (given.current.id if given.current else None):
        return None
    return _due(given, Reason.ASKED_FOR, f"{wish.by} asked for it on {_date(wish.at)}.")


def last_resort(given: RenewalInput) -> Decision | None:
    """So little of the life is left that no pause is kept."""
    moment = _last_resort_at(given)
    if given.facts is None or moment is None or given.now < moment:
        return None
    return _due(
        given, Reason.LAST_RESORT, f"{_end(given.facts, given.now)}: it is tried without regard to anything else."
    )


def backing_off(given: RenewalInput) -> Decision | None:
    """It failed, or waits for a person, and is tried again later."""
    failure = given.failure
    if failure is None or failure.retry_at <= given.now:
        return None
    until = min(failure.retry_at, _last_resort_at(given) or failure.retry_at)
    if failure.cause is Cause.PERSON:
        message = (
            f"It waits for a person: {failure.headline} It looks again on {_date(until)}. Read what is to "
            f"be done with: certwright certificate log {given.managed.id}"
        )
        return _wait(Reason.BACKING_OFF, message, until)
    times = "once" if failure.count == 1 else f"{failure.count} times since {_date(failure.since)}"
    message = f"It failed {times}: {failure.headline} {failure.outlook}; next attempt {_date(until)}."
    return _wait(Reason.BACKING_OFF, message, until, "" if failure.cause.passes else failure.advice)


def never_issued(given: RenewalInput) -> Decision | None:
    """Nothing was issued yet."""
    if given.current is None or given.facts is None:
        return _due(given, Reason.NEVER_ISSUED, "It was never issued.")
    return None


def revoked(given: RenewalInput) -> Decision | None:
    """The current version was revoked."""
    if given.current and given.current.revoked_at:
        return _due(given, Reason.REVOKED, f"The current version was revoked on {_date(given.current.revoked_at)}.")
    return None


def settings_changed(given: RenewalInput) -> Decision | None:
    """The names, the issuer, the key, the profile or the chain are other than those of the current version."""
    if given.current and given.current.fingerprint != given.managed.fingerprint:
        message = "Its names, issuer, key settings, profile or preferred chain changed since it was issued."
        return _due(given, Reason.SETTINGS_CHANGED, message)
    return None


def near_its_end(given: RenewalInput) -> Decision | None:
    """So little of the life is left that the authority's advice to wait counts no more."""
    moment = _once_grown(given, BEATS_ADVICE)
    if given.facts is None or moment is None or given.now < moment:
        return None
    return _due(given, Reason.NEAR_ITS_END, f"{_end(given.facts, given.now)}.")


def advised(given: RenewalInput) -> Decision | None:
    """The moment within the window of the authority's advice has come, or is still to come."""
    advice, facts, version = given.advice, given.facts, given.current
    if advice is None or facts is None or version is None:
        return None
    grown = grown_at(version, facts, given.now)
    moment = max(advice.moment, grown)
    policy = given.managed.renewal
    if policy.is_own and can_keep(policy, facts.lifetime) and _policy_moment(given, version, facts) < moment:
        return None
    why = f" Its reason: {advice.explanation_url}" if advice.explanation_url else ""
    if given.now >= moment:
        return _due(given, Reason.ADVISED, f"The authority advises to renew it since {_date(advice.start)}.{why}")
    moment = max(min(moment, left_at(facts, BEATS_ADVICE)), grown)
    message = (
        f"It is valid until {_date(facts.not_after)}; by the authority's advice it is due on {_date(moment)}.{why}"
        f"{_not_kept(given, facts)}"
    )
    return _wait(Reason.FRESH, message, _or_asked(given, moment))


def own_policy(given: RenewalInput) -> Decision | None:
    """The moment of the certificate's own policy has come."""
    if given.facts is None or given.current is None:
        return None
    moment = _policy_moment(given, given.current, given.facts)
    if given.now < moment:
        return None
    policy = given.managed.renewal
    by_days = policy.days_before is not None and can_keep(policy, given.facts.lifetime)
    reason = Reason.DAYS_LEFT if by_days else Reason.LIFETIME_SHARE
    return _due(given, reason, f"It has been due since {_date(moment)}; {_end(given.facts, given.now, 'it')}.")


def fresh(given: RenewalInput) -> Decision | None:
    """None of the above."""
    if given.facts is None or given.current is None:
        return None
    moment = _policy_moment(given, given.current, given.facts)
    message = f"It is valid until {_date(given.facts.not_after)}; it is due on {_date(moment)}."
    return _wait(Reason.FRESH, f"{message}{_not_kept(given, given.facts)}", _or_asked(given, moment))


def _policy_moment(given: RenewalInput, version: CertificateVersion, facts: CertificateFacts) -> datetime:
    """When the policy has it renewed, at the earliest when it is grown."""
    moment = renewal_moments.policy_moment(given.managed.renewal, version, facts, given.now)
    return max(moment, grown_at(version, facts, given.now))


def _not_kept(given: RenewalInput, facts: CertificateFacts) -> str:
    """That the policy cannot be kept, in a sentence; empty if it can."""
    policy = given.managed.renewal
    if can_keep(policy, facts.lifetime):
        return ""
    return f" {policy_not_kept(policy, facts.lifetime)} So it is renewed as if nothing had been chosen."


def _or_asked(given: RenewalInput, moment: datetime) -> datetime:
    """`moment`, or when the authority's advice is asked for, if that is sooner; never a moment that is past."""
    asked = given.state.ask_again
    if asked is None:
        return max(moment, given.now)
    return max(min(moment, asked if is_asked_later(given.state, given.now) else given.now), given.now)


def _once_grown(given: RenewalInput, share: float) -> datetime | None:
    """When this share of its life is left, and the version is not too young to be replaced; None without one."""
    if given.current is None or given.facts is None:
        return None
    return max(left_at(given.facts, share), grown_at(given.current, given.facts, given.now))


def _last_resort_at(given: RenewalInput) -> datetime | None:
    """When no pause is kept; but a while after the last attempt: it is no reason to run in circles."""
    moment, failure = _once_grown(given, LAST_RESORT), given.failure
    return max(moment, failure.at + _LAST_RESORT_PAUSE) if moment and failure else moment


def _due(given: RenewalInput, reason: Reason, message: str) -> Decision:
    return Decision(due=True, reason=reason, message=message, next_check=given.now)


def _wait(reason: Reason, message: str, until: datetime, hint: str = "") -> Decision:
    return Decision(due=False, reason=reason, message=message, next_check=until, hint=hint)


def _end(facts: CertificateFacts, now: datetime, subject: str = "It") -> str:
    return f"{subject} {'expired' if facts.not_after < now else 'expires'} on {_date(facts.not_after)}"


CHECKS: tuple[Check, ...] = (
    held,
    limited,
    asked_for,
    last_resort,
    backing_off,
    never_issued,
    revoked,
    settings_changed,
    near_its_end,
    advised,
    own_policy,
    fresh,
)
