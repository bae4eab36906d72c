"""The moments of a version's life that renewals go by: its policy's, the end of its youth, and those near its end."""

from datetime import UTC, datetime, timedelta

from certwright.domain.certificates import CertificateFacts
from certwright.domain.clocks import lately
from certwright.domain.limits import span_in_words
from certwright.domain.managed import CertificateVersion, RenewalPolicy

SHORT_LIVED = timedelta(days=10)
SHORT_LIVED_SHARE = 1 / 2
BACKSTOP_SHARE = 2 / 3

BEATS_ADVICE = 1 / 20
"""With less than this share of its life left, the authority's advice to wait counts no more."""

LAST_RESORT = 1 / 50
"""With less than this share left no pause after failures counts, only the authority's own word to wait."""

_AT_LEAST_OLD = timedelta(days=1)
_AT_LEAST_SHARE = 1 / 20


def due_at(facts: CertificateFacts, share: float) -> datetime:
    """When the given share of the lifetime has passed, but never later than the backstop.

    The backstop is what authorities advise: a third of the lifetime before the end, or half of it for certificates
    that live less than ten days. What is left is the time to repair whatever hinders the renewal.
    """
    return facts.not_before + _used(facts.lifetime, share)


def _used(lifetime: timedelta, share: float) -> timedelta:
    backstop = SHORT_LIVED_SHARE if lifetime < SHORT_LIVED else BACKSTOP_SHARE
    return lifetime * min(share, backstop)


def renewed_after(policy: RenewalPolicy, lifetime: timedelta) -> timedelta:
    """How old a certificate of this lifetime is when the policy replaces it; one that it cannot keep counts as none."""
    if not can_keep(policy, lifetime):
        policy = RenewalPolicy()
    if policy.days_before is not None:
        return min(_used(lifetime, 1), lifetime - timedelta(days=policy.days_before))
    return _used(lifetime, policy.lifetime_share)


def can_keep(policy: RenewalPolicy, lifetime: timedelta) -> bool:
    """Whether a certificate of this lifetime is used for a twentieth of it at least before the policy replaces it."""
    if policy.days_before is not None:
        return lifetime - timedelta(days=policy.days_before) >= lifetime * _AT_LEAST_SHARE
    return policy.lifetime_share >= _AT_LEAST_SHARE


def policy_not_kept(policy: RenewalPolicy, lifetime: timedelta) -> str:
    """Why a certificate of this lifetime cannot keep a policy, in a sentence."""
    whole = span_in_words(timedelta(hours=-(-lifetime // timedelta(hours=1))))
    days, share = policy.days_before, policy.lifetime_share
    wanted = f"after {share:.0%} of its life" if days is None else f"{days} days before its end"
    return f"It cannot be renewed {wanted}: it lives {whole}, and would be used for less than a twentieth of that."


def policy_moment(
    policy: RenewalPolicy, version: CertificateVersion, facts: CertificateFacts, now: datetime
) -> datetime:
    """When `version` is renewed by the policy; never later than the backstop.

    What by its dates was due already when it was issued (one of the clocks is wrong, or it was late) is reckoned from
    then: the next one would be no better.
    """
    moment = facts.not_before + renewed_after(policy, facts.lifetime)
    if moment <= version.issued_at <= min(now, facts.not_after):
        return version.issued_at + renewed_after(policy, facts.not_after - version.issued_at)
    return moment


def grown_at(version: CertificateVersion, facts: CertificateFacts, now: datetime) -> datetime:
    """When it is a day, or a twentieth of its life, old; the begin of its life if that has been.

    By our own clock alone: whatever the authority's clock, its answers or a policy say, no version that is younger is
    due by the time.
    """
    least = min(_AT_LEAST_OLD, facts.lifetime * _AT_LEAST_SHARE)
    return version.issued_at + least if lately(version.issued_at, now, least) else facts.not_before


def left_at(facts: CertificateFacts, share: float) -> datetime:
    """When this share of its life is left."""
    return facts.not_after - facts.lifetime * share


def date_in_words(moment: datetime) -> str:
    """A moment, to the minute, as the sentences about renewals write it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
