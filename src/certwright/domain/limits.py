"""Rate limits as token buckets, as authorities keep them: what a request takes, and when there is room for it. Pure.

A bucket that holds `most` tokens gets one back every `refill`. All that there is to remember of it is the moment at
which it will be full again (the generic cell rate algorithm): each token taken puts that moment off by one refill.
In any span of time no more than `most` tokens and one for each refill in that span can be taken.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer

from certwright.domain.clocks import SKEW, awaited
from certwright.domain.identifiers import Identifier, IdentifierType, registered_domain

_IPV6_PREFIX = 64
_NONE = timedelta()

UNSAID = timedelta(hours=1)
"""How long a refusal counts that does not say when to ask again."""

UNKNOWN_AT_MOST = timedelta(days=1)
"""How long one counts that names no known limit, at most; one that does counts no longer than that limit takes."""
SHUT_AT_MOST = timedelta(days=7)
"""No refusal counts for longer: no limit takes longer, but that of failures without a success between."""


class Scope(StrEnum):
    """What a limit counts."""

    ACCOUNTS = "new-accounts"
    ORDERS = "orders"
    DOMAIN = "registered-domain"
    NAMES = "exact-names"
    FAILURES = "failed-validations"
    CONSECUTIVE = "consecutive-failures"
    """Failed validations with none between that succeeded."""


def _duration(span: timedelta) -> str:
    """In days and seconds, by ISO 8601: years without months, RFC 3339 does not know."""
    return f"P{span.days}D" + (f"T{span.seconds}S" if span.seconds else "")


@dataclass(frozen=True, slots=True)
class Limit:
    """`most` of a kind `within` a time. `blamed` are the authority's words by which a refusal names this limit."""

    scope: Scope
    most: int
    within: Annotated[timedelta, PlainSerializer(_duration, when_used="json")]
    blamed: str = ""

    @property
    def refill(self) -> timedelta:
        """The time after which one token comes back; rounded up, so never sooner than the authority's."""
        return -(-self.within // self.most)

    @property
    def span(self) -> timedelta:
        """From empty to full."""
        return self.refill * self.most

    def words(self, subject: str) -> str:
        """What is limited, for a sentence: "50 certificates for names in contoso.com within 7 days"."""
        what = {
            Scope.ACCOUNTS: "new accounts",
            Scope.ORDERS: "orders of one account",
            Scope.DOMAIN: f"certificates for names in {subject}",
            Scope.NAMES: "certificates for exactly these names",
            Scope.FAILURES: f"failed validations of {subject}",
            Scope.CONSECUTIVE: f"failed validations of {subject} without one that succeeds",
        }
        return f"{self.most} {what[self.scope]} within {span_in_words(self.within)}"


@dataclass(frozen=True, slots=True)
class Bucket:
    """How much of a limit is left: full again at `full_at`, and shut until `shut_until` if the authority said so."""

    full_at: datetime
    shut_until: datetime | None = None

    def ready(self, limit: Limit | None, now: datetime, tokens: int = 1) -> datetime:
        """When the last of so many tokens can be taken, each as soon as it is there; `now` if all of them can be now.

        Without a limit, only whether it is shut.
        """
        opened = self.shut_until if self.shut_until and self.is_shut(now) else now
        if limit is None:
            return opened
        return max(opened, max(self._full_at(limit, now), opened) + limit.refill * tokens - limit.span)

    def take(self, limit: Limit, now: datetime) -> "Bucket":
        """With one token less; one that is empty stays so."""
        full_at = min(max(self._full_at(limit, now), now) + limit.refill, now + limit.span)
        return Bucket(full_at, self.shut_until if self.is_shut(now) else None)

    def give_back(self, limit: Limit) -> "Bucket":
        """With one token more, which was taken for nothing."""
        return replace(self, full_at=self.full_at - limit.refill)

    def shut(self, until: datetime, now: datetime) -> "Bucket":
        """Shut until then, and not opened any sooner than it was to be."""
        before = self.shut_until if self.is_shut(now) else None
        return replace(self, shut_until=max(until, before or until))

    def left(self, limit: Limit, now: datetime) -> int:
        """The whole tokens that are there."""
        return limit.most + min(_NONE, now - self._full_at(limit, now)) // limit.refill

    def _full_at(self, limit: Limit, now: datetime) -> datetime:
        """At most the span ahead; what is far beyond that was said by a wrong clock, and nothing is known.

        As time comes near it is believed again, unless an order has written it anew: it counts as empty then, at worst.
        That errs towards waiting, where an authority would refuse, and ends when that clock's time is over.
        """
        if self.full_at > now + limit.span + SKEW:
            return now
        return min(self.full_at, now + limit.span)

    def is_shut(self, now: datetime) -> bool:
        """Whether the authority said so, for a time that is not over."""
        return awaited(self.shut_until, now, SHUT_AT_MOST)

    def is_idle(self, now: datetime) -> bool:
        """Whether it says nothing any more: full and open."""
        return self.full_at <= now and (self.shut_until or now) <= now


class Key(NamedTuple):
    """Which bucket: the authority by its name or directory, what is counted, and of what."""

    authority: str
    scope: Scope
    subject: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request does to one bucket: it `takes` a token or only needs one to be there.

    Where no `limit` is known, it only minds that the authority has shut the bucket.
    """

    key: Key
    limit: Limit | None
    takes: bool = True


class Kind(StrEnum):
    """What a request is to the authority, which counts some of them less."""

    NEW = "new"
    SAME_NAMES = "same-names"
    """It had a certificate for exactly these names before."""
    REPLACEMENT = "replacement"
    """A renewal that names its predecessor (RFC 9773 section 5)."""


_OF_FAILURES = (Scope.FAILURES, Scope.CONSECUTIVE)
_COUNTED = {
    Kind.NEW: (Scope.ORDERS, Scope.DOMAIN, Scope.NAMES, *_OF_FAILURES),
    Kind.SAME_NAMES: (Scope.NAMES, *_OF_FAILURES),
    Kind.REPLACEMENT: (Scope.CONSECUTIVE,),
}


def charges(
    limits: Iterable[Limit], authority: str, account: str, identifiers: Sequence[Identifier], kind: Kind
) -> Iterator[Charge]:
    """What an order of this `account` does to each bucket it meets."""
    known = {limit.scope: limit for limit in limits if limit.scope in _COUNTED[kind]}
    subjects: dict[Scope, Iterable[str]] = {
        Scope.ORDERS: (account,),
        Scope.DOMAIN: map(_counted_as, identifiers),  # not called in vain: the list of public suffixes is long to read
        Scope.NAMES: (name_set(identifiers),),
        **{scope: [_failures_of(account, i.base) for i in identifiers] for scope in _OF_FAILURES},
    }
    for scope, found in subjects.items():
        if scope in known or scope in (Scope.NAMES, Scope.ORDERS):
            for subject in dict.fromkeys(found):
                yield Charge(Key(authority, scope, subject), known.get(scope), takes=scope not in _OF_FAILURES)


def failures(limits: Iterable[Limit], authority: str, account: str, names: Iterable[str]) -> list[Charge]:
    """What it takes that the authority did not find the proofs of these names."""
    known = [limit for limit in limits if limit.scope in _OF_FAILURES]
    subjects = dict.fromkeys(_failures_of(account, name) for name in names)
    return [Charge(Key(authority, limit.scope, subject), limit) for limit in known for subject in subjects]


def _failures_of(account: str, name: str) -> str:
    """They are counted for each account by itself."""
    return f"{name} ({account})"


def name_set(identifiers: Iterable[Identifier]) -> str:
    """A set of names, whatever its order, short enough for a key and a table."""
    names = sorted(str(i) for i in identifiers)
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
    return f"{names[0]} and {len(names) - 1} more ({digest})"


def _counted_as(identifier: Identifier) -> str:
    """As Let's Encrypt counts certificates: by registered domain, IPv4 address, or IPv6 network of 64 bits."""
    if identifier.type is IdentifierType.DNS:
        return registered_domain(identifier)
    if ":" in identifier.value:
        return str(ipaddress.ip_network(f"{identifier.value}/{_IPV6_PREFIX}", strict=False))
    return identifier.value


@dataclass(frozen=True, slots=True)
class Hold:
    """A request must wait: until when, and why, in words that follow the authority's name."""

    until: datetime
    reason: str


Buckets = Mapping[Key, Bucket]


def hold(asked: Iterable[Charge], buckets: Buckets, now: datetime) -> Hold | None:
    """What keeps a request waiting longest, if anything does."""
    holds = [Hold(ready, _reason(charge, bucket, now)) for charge, bucket, ready in _readiness(asked, buckets, now)]
    return max((h for h in holds if h.until > now), key=lambda h: h.until, default=None)


def _readiness(asked: Iterable[Charge], buckets: Buckets, now: datetime) -> Iterator[tuple[Charge, Bucket, datetime]]:
    for charge in asked:
        if bucket := buckets.get(charge.key):
            yield charge, bucket, bucket.ready(charge.limit, now)


def _reason(charge: Charge, bucket: Bucket, now: datetime) -> str:
    if bucket.is_shut(now):
        return "refused with a rate limit, and is left alone until then"
    return f"allows {charge.limit.words(charge.key.subject)}, and they are used up" if charge.limit else ""


def taken(asked: Iterable[Charge], buckets: Buckets, now: datetime) -> dict[Key, Bucket]:
    """The buckets after a request that nothing holds."""
    return {c.key: buckets.get(c.key, Bucket(now)).take(c.limit, now) for c in asked if c.takes and c.limit}


def proved(asked: Iterable[Charge], buckets: Buckets, now: datetime) -> dict[Key, Bucket]:
    """The buckets after all names were proved: what counts failures without a success between begins anew."""
    return {c.key: Bucket(now) for c in asked if c.key.scope is Scope.CONSECUTIVE and c.key in buckets}


def given_back(asked: Iterable[Charge], buckets: Buckets) -> dict[Key, Bucket]:
    """The buckets after a request that came to no certificate: the order counts, certificates do not."""
    spared = (Scope.DOMAIN, Scope.NAMES)
    return {
        c.key: bucket.give_back(c.limit)
        for c in asked
        if c.takes and c.limit and c.key.scope in spared and (bucket := buckets.get(c.key))
    }


def refused(
    asked: Sequence[Charge], words: str, wait: timedelta | None, buckets: Buckets, now: datetime
) -> dict[Key, Bucket]:
    """The buckets that a refusal shuts.

    What names no known limit is taken to be about exactly these names, and about the account as soon as other names are
    shut too: too little is shut at first, and one more refusal is all that this costs.

    Args:
        asked: what was asked for.
        words: of the refusal.
        wait: how long the authority asked us to wait, if it said so.
        buckets: all that are kept of this authority.
        now: the moment of the refusal.
    """
    wait = wait or UNSAID
    found = [c for c in asked if c.limit and c.limit.blamed and c.limit.blamed in words]
    named = [c for c in found if c.key.scope in (Scope.ORDERS, Scope.NAMES) or _is_named(c.key.subject, words)]
    spans = {c.key: c.limit.span for c in named if c.limit}
    if not spans:
        mine = [c.key for c in asked if c.key.scope is Scope.NAMES]
        is_account = any(k.scope is Scope.NAMES and k not in mine and b.is_shut(now) for k, b in buckets.items())
        account = [c.key for c in asked if c.key.scope is Scope.ORDERS and is_account]
        spans = dict.fromkeys([*mine, *account], UNKNOWN_AT_MOST)
    return {key: buckets.get(key, Bucket(now)).shut(now + min(wait, span), now) for key, span in spans.items()}


def _is_named(subject: str, words: str) -> bool:
    """Whether a name stands there by itself, and not as a part of another; some are quoted, some are not."""
    name = re.escape(subject.partition(" ")[0])
    return re.search(rf"(?<![\w.*-]){name}(?![\w-]|\.\w)", words) is not None


def span_in_words(span: timedelta) -> str:
    """In the largest unit that is not split: 7 days, 3 hours, 12 minutes."""
    for seconds, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, rest = divmod(round(span.total_seconds()), seconds)
        if count and not rest:
            return f"{count} {unit}s" if count > 1 else f"{'an' if unit == 'hour' else 'a'} {unit}"
    return "no time"


def moment_in_words(moment: datetime) -> str:
    """A moment as all our sentences write it, rounded up to a minute."""
    whole = moment.astimezone(UTC) + timedelta(minutes=1) - timedelta(microseconds=1)
    return f"{whole:%a %Y-%m-%d %H:%M} UTC"
