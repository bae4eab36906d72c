"""The authorities' rate limits, kept count of by all processes and nodes on one store: asked before each order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from certwright.domain import limits
from certwright.domain.errors import CertwrightError, LimitReached, NotProved, OrderDead
from certwright.domain.limits import Bucket, Charge, Hold, Key, Kind, Limit, Scope
from certwright.domain.managed import CertificateVersion, Issuer, ManagedCertificate
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.material import version_facts
from certwright.store import UnitOfWork

_HERE = "this machine"
_LOOKED_AT = 200


@contextmanager
def counted(
    engine: Engine,
    managed: ManagedCertificate,
    issuer: Issuer,
    current: CertificateVersion | None,
    run: ActiveRun,
    *,
    replaces: bool = True,
) -> Iterator[None]:
    """Around one attempt at an order: what it takes of each limit is taken before, and what the authority says noted.

    `replaces` says whether it names the current version as its predecessor, if that is the issuer's.
    An order that an earlier run placed has been counted by it. What came to no certificate is given back.

    Raises:
        LimitReached: before the authority is asked, if a limit leaves no room; `retry_after` says when there is.
    """
    asked = charges(managed, issuer, current, replaces=replaces)
    with engine.store.write(*run.leases) as unit:
        if not _is_placed(unit, managed):
            _reserve(unit, issuer, asked, engine.now())
    try:
        yield
    except CertwrightError as error:
        with engine.store.write(*run.leases) as unit:
            _note(unit, issuer, asked, error, engine.now(), placed=_is_placed(unit, managed))
        raise
    with engine.store.read() as unit:
        proved = limits.proved(asked, unit.ledger.get(c.key for c in asked), engine.now())
    if proved:
        with engine.store.write(*run.leases) as unit:
            unit.ledger.save(proved, engine.now())


def charges(
    managed: ManagedCertificate, issuer: Issuer, current: CertificateVersion | None, *, replaces: bool = True
) -> list[Charge]:
    """What an order for `managed` does to each bucket it meets."""
    kind = _kind(managed, issuer, current, replaces=replaces)
    return list(limits.charges(issuer.authority.limits, issuer.counted_at, issuer.name, managed.identifiers, kind))


def look(
    engine: Engine, managed: ManagedCertificate, issuer: Issuer, current: CertificateVersion | None
) -> LimitReached | None:
    """What `counted` would raise now; nothing is taken."""
    asked, now = charges(managed, issuer, current), engine.now()
    with engine.store.read() as unit:
        held = limits.hold(asked, unit.ledger.get(c.key for c in asked), now)
    return _refusal(issuer, held, now) if held else None


def reserve_account(engine: Engine, issuer: Issuer) -> None:
    """Take one of the new accounts that the authority allows.

    Raises:
        LimitReached: if there is none left.
    """
    with engine.store.write() as unit:
        known = [limit for limit in issuer.authority.limits if limit.scope is Scope.ACCOUNTS]
        asked = [Charge(Key(issuer.counted_at, Scope.ACCOUNTS, _HERE), limit) for limit in known]
        _reserve(unit, issuer, asked, engine.now())


@dataclass(frozen=True, slots=True)
class Level:
    """One bucket as it is now. `done_at` is when the last of a number of requests that all meet it could be placed."""

    limit: Limit | None
    key: Key
    bucket: Bucket
    left: int | None
    done_at: datetime

    @property
    def share(self) -> float:
        """How much of it is left, from 0 to 1; nothing of what is shut without a limit that is known."""
        return self.left / self.limit.most if self.limit and self.left is not None else 0


def levels(engine: Engine, name: str, requests: int = 1) -> list[Level]:
    """The buckets of an issuer that are not full, as far as the caller sees them, and its own for orders in any case.

    Those that have room last come first, then those that have least left.

    Raises:
        NotFound: if there is no such issuer.
    """
    with engine.store.read() as unit:
        issuer = unit.issuers.get(name)
        found = unit.ledger.of(issuer.counted_at)
    now = engine.now()
    known = {limit.scope: limit for limit in issuer.authority.limits}
    if Scope.ORDERS in known:
        found.setdefault(Key(issuer.counted_at, Scope.ORDERS, issuer.name), Bucket(now))
    seen = sorted(key for key in found if _is_seen(engine, issuer, key))
    listed = [_level(known.get(key.scope), key, found[key], now, requests) for key in seen]
    return sorted(listed, key=lambda level: (now - level.done_at, level.share))


def scarcest(engine: Engine, limit: int) -> list[tuple[Issuer, Level]]:
    """The buckets of all issuers of which least is left, or that are shut longest; the first of those that are kept."""
    with engine.store.read() as unit:
        issuers = {issuer.counted_at: issuer for issuer in unit.issuers.list()}
        found = {key: bucket for key, bucket in unit.ledger.fullest(_LOOKED_AT).items() if key.authority in issuers}
    now, levels_found = engine.now(), []
    for key, bucket in found.items():
        known = {each.scope: each for each in issuers[key.authority].authority.limits}
        if _is_seen(engine, issuers[key.authority], key):
            levels_found.append((issuers[key.authority], _level(known.get(key.scope), key, bucket, now, 1)))
    return sorted(levels_found, key=lambda each: each[1].share)[:limit]


def _is_seen(engine: Engine, issuer: Issuer, key: Key) -> bool:
    """Who is limited by tags sees what the whole issuer has left: the other subjects are names of certificates."""
    return not engine.caller.tags or key.subject == issuer.name


def _level(limit: Limit | None, key: Key, bucket: Bucket, now: datetime, requests: int) -> Level:
    left = bucket.left(limit, now) if limit else None
    return Level(limit, key, bucket, left, bucket.ready(limit, now, requests))


def _kind(managed: ManagedCertificate, issuer: Issuer, current: CertificateVersion | None, *, replaces: bool) -> Kind:
    """As the authority will see it: by what it issued last."""
    if current is None or current.issuer != issuer.name:
        return Kind.NEW
    before, wanted = set(version_facts(current).names), set(managed.identifiers)
    if replaces and before & wanted and not issuer.authority.counts_replacements:
        return Kind.REPLACEMENT
    return Kind.SAME_NAMES if before == wanted and not issuer.authority.counts_renewals else Kind.NEW


def _is_placed(unit: UnitOfWork, managed: ManagedCertificate) -> bool:
    order = unit.orders.get(managed.id)
    return order is not None and order.url is not None


def _reserve(unit: UnitOfWork, issuer: Issuer, asked: Sequence[Charge], now: datetime) -> None:
    buckets = unit.ledger.get(c.key for c in asked)
    if held := limits.hold(asked, buckets, now):
        raise _refusal(issuer, held, now)
    unit.ledger.save(limits.taken(asked, buckets, now), now)


def _refusal(issuer: Issuer, held: Hold, now: datetime) -> LimitReached:
    until = limits.moment_in_words(held.until)
    return LimitReached(
        f"{issuer.title} is not asked before {until}: it {held.reason}.",
        hint=f"Nothing needs to be done: it is asked again then. `certwright issuer limits {issuer.name}` shows what "
        "is left; another authority can stand in: certwright certificate issuers.",
        retry_after=held.until - now,
    )


def _note(
    unit: UnitOfWork, issuer: Issuer, asked: Sequence[Charge], error: CertwrightError, now: datetime, *, placed: bool
) -> None:
    buckets = unit.ledger.get(c.key for c in asked)
    if isinstance(error, OrderDead) or not placed:
        buckets |= limits.given_back(asked, buckets)
    if isinstance(error, NotProved):
        names = [rejection.name for rejection in error.rejections]
        failed = limits.failures(issuer.authority.limits, issuer.counted_at, issuer.name, names)
        buckets |= limits.taken(failed, unit.ledger.get(c.key for c in failed), now)
    if isinstance(error, LimitReached):
        kept = unit.ledger.of(issuer.counted_at) | buckets
        buckets |= limits.refused(asked, "\n".join(error.explain()), error.retry_after, kept, now)
    unit.ledger.save(buckets, now)
