"""When to ask for the next version: an ordered list of named pure checks; the first that speaks decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime

from certwright.domain.certificates import CertificateFacts
from certwright.domain.managed import CertificateVersion, ManagedCertificate, Value
from certwright.domain.retry import Cause

SHORT_LIVED = timedelta(days=10)
SHORT_LIVED_SHARE = 1 / 2
BACKSTOP_SHARE = 2 / 3

BEATS_ADVICE = 1 / 20
"""With less than this share of its life left, the authority's advice to wait counts no more."""

LAST_RESORT = 1 / 50
"""With less than this share left no pause after failures counts, only the authority's own word to wait."""

ASK_AT_LEAST = timedelta(hours=12)
"""The authority's advice is asked for at least as often as this (RFC 9773 section 4.3)."""

_ASK_AT_MOST = timedelta(minutes=1)
_ASK_SILENT = timedelta(days=1)
_AT_LEAST_OLD = timedelta(days=1)
_AT_LEAST_SHARE = 1 / 20
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
class Window:
    """The authority's answer: when it wishes the renewal (RFC 9773), and how long its answer holds."""

    start: datetime
    end: datetime
    explanation_url: str | None
    holds: timedelta


class Advice(Value):
    """When the authority wishes the renewal of a version (RFC 9773), and the `moment` drawn within its window, once.

    `explanation_url` says why, where that is out of the ordinary.
    """

    start: AwareDatetime
    end: AwareDatetime
    moment: AwareDatetime
    explanation_url: str | None = None
    version_id: str


class Failure(Value):
    """The failures since the last success: how many, since when, the last one, and when it is tried again.

    `revision` is the managed certificate's when it failed: what was changed since may be the remedy, and is tried at
    once. `by_peer` says that the authority itself named the moment.
    """

    cause: Cause
    count: int
    since: AwareDatetime
    at: AwareDatetime
    retry_at: AwareDatetime
    message: str
    revision: int
    by_peer: bool = False


class Hold(Value):
    """A person wants no renewal: why, since when, and until when; for ever without `until`."""

    reason: str
    since: AwareDatetime
    until: AwareDatetime | None = None


class Wish(Value):
    """A person wants a new version now: who, and since when. Any attempt after that fulfils it, also one that fails."""

    by: str
    at: AwareDatetime


class RenewalState(Value):
    """What is known of a managed certificate's renewals beside its versions.

    `ask_again` is when the authority's advice is asked for next, and `clean_up_at` when what earlier versions have left
    on targets is to be removed, where that waits for a maintenance window.
    """

    advice: Advice | None = None
    ask_again: AwareDatetime | None = None
    failure: Failure | None = None
    hold: Hold | None = None
    wish: Wish | None = None
    clean_up_at: AwareDatetime | None = None


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
        """The failures since the last success, unless something was changed since."""
        failure = self.state.failure
        return failure if failure and failure.revision == self.revision else None


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


def draw(advice_start: datetime, advice_end: datetime, fraction: float) -> datetime:
    """The moment within the authority's window that `fraction` (from 0 up to 1) chooses (RFC 9773 section 4.2)."""
    return advice_start + (advice_end - advice_start) * fraction


def heed(state: RenewalState, version_id: str, window: Window | None, fraction: float, now: datetime) -> RenewalState:
    """The state after the authority was asked.

    Args:
        state: what was known.
        version_id: the version that was asked about.
        window: the answer; None if the authority gives no advice.
        fraction: a random number from 0 up to 1; it counts only where a moment has to be drawn.
        now: the moment of the answer.
    """
    if window is None:
        return state.model_copy(update={"advice": None, "ask_again": now + _ASK_SILENT})
    known = state.advice
    advice = Advice(
        start=window.start,
        end=window.end,
        moment=draw(window.start, window.end, fraction),
        explanation_url=window.explanation_url,
        version_id=version_id,
    )
    if known and (known.start, known.end, known.version_id) == (advice.start, advice.end, version_id):
        advice = advice.model_copy(update={"moment": known.moment})
    again = now + min(max(window.holds, _ASK_AT_MOST), ASK_AT_LEAST)
    return state.model_copy(update={"advice": advice, "ask_again": again})


def moved(before: RenewalState, after: RenewalState) -> str:
    """What is to be told of a change of the authority's mind, in one sentence; empty if there is none."""
    old, new = before.advice, after.advice
    if new is None or (old is not None and old.version_id != new.version_id):
        return ""
    why = f" Its reason: {new.explanation_url}" if new.explanation_url else ""
    if old is None:
        return f"The authority asks for a renewal out of the ordinary.{why}" if why else ""
    if (old.start, old.end) == (new.start, new.end):
        return ""
    return (
        f"The authority moved the renewal from {_date(old.start)} - {_date(old.end)} to {_date(new.start)} - "
        f"{_date(new.end)}.{why}"
    )


def policy_moment(given: RenewalInput, facts: CertificateFacts) -> datetime:
    """When the certificate's own policy has it renewed; never later than the backstop."""
    policy = given.managed.renewal
    moment = due_at(facts, policy.lifetime_share)
    if policy.days_before is not None:
        moment = min(due_at(facts, 1), facts.not_after - timedelta(days=policy.days_before))
    return max(moment, facts.not_before)


def held(given: RenewalInput) -> Decision | None:
    """A person wants no renewal now."""
    hold = given.state.hold
    if hold is None or (hold.until and hold.until <= given.now):
        return None
    until = f"until {_date(hold.until)}" if hold.until else "until somebody releases it"
    ends = f" The certificate in use ends on {_date(given.facts.not_after)}." if given.facts else ""
    message = f"It is held {until}: {hold.reason}.{ends}"
    return _wait(Reason.HELD, message, hold.until or given.now + timedelta(days=1))


def limited(given: RenewalInput) -> Decision | None:
    """The authority named the moment before which it does not want to be asked."""
    failure = given.failure
    if failure is None or not failure.by_peer or failure.retry_at <= given.now:
        return None
    message = f"The authority wants to be asked again on {_date(failure.retry_at)} at the earliest. {failure.message}"
    return _wait(Reason.LIMITED, message, failure.retry_at)


def asked_for(given: RenewalInput) -> Decision | None:
    """A person wants a new version now."""
    wish, failure = given.state.wish, given.state.failure
    if wish is None or (given.current and given.current.issued_at >= wish.at) or (failure and failure.at >= wish.at):
        return None
    return _due(given, Reason.ASKED_FOR, f"{wish.by} asked for it on {_date(wish.at)}.")


def last_resort(given: RenewalInput) -> Decision | None:
    """So little of the life is left that no pause is kept."""
    left = _share_left(given)
    if given.facts is None or left is None or left >= LAST_RESORT or _is_asked_too_soon(given):
        return None
    return _due(
        given, Reason.LAST_RESORT, f"{_end(given.facts, given.now)}: it is tried without regard to anything else."
    )


def backing_off(given: RenewalInput) -> Decision | None:
    """It failed, or waits for a person, and is tried again later."""
    failure = given.failure
    if failure is None or failure.retry_at <= given.now:
        return None
    if failure.cause is Cause.PERSON:
        message = (
            f"It waits for a person: {failure.message} It looks again on {_date(failure.retry_at)}. Read what is to "
            f"be done with: certwright certificate log {given.managed.id}"
        )
        return _wait(Reason.BACKING_OFF, message, failure.retry_at)
    times = "once" if failure.count == 1 else f"{failure.count} times since {_date(failure.since)}"
    wait = (
        "Something has to be changed first"
        if failure.cause.waits_for_change
        else "There is nothing to change: it is tried again by itself"
    )
    message = f"It failed {times}: {failure.message} {wait}; next attempt {_date(failure.retry_at)}."
    return _wait(Reason.BACKING_OFF, message, failure.retry_at)


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
    left = _share_left(given)
    if given.facts is None or left is None or left >= BEATS_ADVICE:
        return None
    return _due(given, Reason.NEAR_ITS_END, f"{_end(given.facts, given.now)}.")


def advised(given: RenewalInput) -> Decision | None:
    """The moment within the window of the authority's advice has come, or is still to come."""
    advice, facts = given.advice, given.facts
    if advice is None or facts is None:
        return None
    moment = max(advice.moment, facts.not_before + min(_AT_LEAST_OLD, facts.lifetime * _AT_LEAST_SHARE))
    policy = given.managed.renewal
    own = policy_moment(given, facts) if policy.is_own else None
    if own is not None and own < moment:
        return None
    why = f" Its reason: {advice.explanation_url}" if advice.explanation_url else ""
    if given.now >= moment:
        return _due(given, Reason.ADVISED, f"The authority advises to renew it since {_date(advice.start)}.{why}")
    moment = min(moment, facts.not_after - facts.lifetime * BEATS_ADVICE)
    message = (
        f"It is valid until {_date(facts.not_after)}; by the authority's advice it is due on {_date(moment)}.{why}"
    )
    return _wait(Reason.FRESH, message, _or_asked(given, moment))


def own_policy(given: RenewalInput) -> Decision | None:
    """The moment of the certificate's own policy has come."""
    if given.facts is None:
        return None
    moment = policy_moment(given, given.facts)
    if given.now < moment:
        return None
    days = given.managed.renewal.days_before
    reason = Reason.LIFETIME_SHARE if days is None else Reason.DAYS_LEFT
    return _due(given, reason, f"It has been due since {_date(moment)}; {_end(given.facts, given.now, 'it')}.")


def fresh(given: RenewalInput) -> Decision | None:
    """None of the above."""
    if given.facts is None:
        return None
    moment = policy_moment(given, given.facts)
    message = f"It is valid until {_date(given.facts.not_after)}; it is due on {_date(moment)}."
    return _wait(Reason.FRESH, message, _or_asked(given, moment))


def _or_asked(given: RenewalInput, moment: datetime) -> datetime:
    """`moment`, or when the authority's advice is asked for, if that is sooner; never a moment that is past."""
    return max(min(moment, given.state.ask_again or moment), given.now)


def _share_left(given: RenewalInput) -> float | None:
    """What is left of the certificate's life, as a share; negative after its end."""
    if given.facts is None or not given.facts.lifetime:
        return None
    return (given.facts.not_after - given.now) / given.facts.lifetime


def _is_asked_too_soon(given: RenewalInput) -> bool:
    """Whether the last attempt was only just now: the last resort is no reason to run in circles."""
    failure = given.failure
    return failure is not None and given.now < failure.at + _LAST_RESORT_PAUSE


def _due(given: RenewalInput, reason: Reason, message: str) -> Decision:
    return Decision(due=True, reason=reason, message=message, next_check=given.now)


def _wait(reason: Reason, message: str, until: datetime) -> Decision:
    return Decision(due=False, reason=reason, message=message, next_check=until)


def _end(facts: CertificateFacts, now: datetime, subject: str = "It") -> str:
    return f"{subject} {'expired' if facts.not_after < now else 'expires'} on {_date(facts.not_after)}"


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


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
