"""What Prometheus is told: every metric, what it costs, and that none of them has a series for each certificate.

What is due, waiting or used is counted by indexes that hold nothing else. Only days left and health need a look at all
that is managed or watched: that is taken so seldom that it costs a thousandth of the time, however many there are.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from platform import python_version
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from certwright import __version__
from certwright.domain.errors import StoreError
from certwright.domain.health import of_watched
from certwright.domain.health_rules import Health
from certwright.engine.context import Engine
from certwright.engine.ledger import Level, levels
from certwright.engine.tally import Tally
from certwright.server.duties import Duties
from certwright.server.readiness import Readiness
from certwright.store import UnitOfWork

DAYS = (0, 1, 3, 7, 14, 30)
"""The edges of the buckets of days left."""
_LABELS = ("expired", *(f"{low}-{high}" for low, high in pairwise(DAYS)), f"{DAYS[-1]}+")
_SHARE = 1000
_SOONEST_SECONDS = 60.0


class Described(NamedTuple):
    """A metric as it is documented."""

    name: str
    kind: type[CounterMetricFamily | GaugeMetricFamily]
    labels: tuple[str, ...]
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Described("certwright_build_info", GaugeMetricFamily, ("version", "python", "schema"), "1, with the versions."),
        Described("certwright_ready", GaugeMetricFamily, (), "1 if /readyz says that the service is ready, else 0."),
        Described("certwright_due", GaugeMetricFamily, (), "Managed certificates whose next look is due now."),
        Described(
            "certwright_lag_seconds", GaugeMetricFamily, (), "For how long the longest overdue of them has been due."
        ),
        Described("certwright_running", GaugeMetricFamily, (), "Managed certificates that this node works on now."),
        Described(
            "certwright_running_longest_seconds",
            GaugeMetricFamily,
            (),
            "For how long this node has worked on the one that takes longest.",
        ),
        Described(
            "certwright_worker_idle_seconds",
            GaugeMetricFamily,
            (),
            "Since this node's worker looked at the schedule; it does at least every 15 seconds.",
        ),
        Described(
            "certwright_attempts",
            CounterMetricFamily,
            ("kind", "outcome"),
            "Requests and deployments of this node since it began, by `done` or the cause of the failure.",
        ),
        Described(
            "certwright_certificates",
            GaugeMetricFamily,
            ("days_left",),
            "Managed certificates by the days that their current version has left; `none` has not been issued.",
        ),
        Described(
            "certwright_soonest_expiry_timestamp_seconds",
            GaugeMetricFamily,
            (),
            "When the first of all current versions ends.",
        ),
        Described(
            "certwright_certificates_health",
            GaugeMetricFamily,
            ("health",),
            "Managed certificates by their health, as `certwright status` counts them.",
        ),
        Described(
            "certwright_watched",
            GaugeMetricFamily,
            ("days_left",),
            "What is watched and not renewed, by the days that the certificate seen last has left.",
        ),
        Described(
            "certwright_watched_soonest_expiry_timestamp_seconds",
            GaugeMetricFamily,
            (),
            "When the first of these ends.",
        ),
        Described(
            "certwright_watched_health",
            GaugeMetricFamily,
            ("health",),
            "What is watched and not renewed, by its health.",
        ),
        Described(
            "certwright_limit_left",
            GaugeMetricFamily,
            ("issuer", "limit"),
            "What is left of an authority's rate limit; of several buckets of one limit the emptiest.",
        ),
        Described(
            "certwright_limit_most", GaugeMetricFamily, ("issuer", "limit"), "What that limit allows when it is full."
        ),
        Described(
            "certwright_messages_waiting", GaugeMetricFamily, (), "Notifications that no channel has taken so far."
        ),
        Described(
            "certwright_duty_timestamp_seconds",
            GaugeMetricFamily,
            ("duty",),
            "When this node last did a duty without failing, since it began.",
        ),
        Described("certwright_duty_failures", CounterMetricFamily, ("duty",), "How often a duty of this node failed."),
    )
}


class Exposition:
    """The text of all metrics; one scrape at a time."""

    def __init__(self, engine: Engine, tally: Tally, duties: Sequence[Duties], readiness: Readiness) -> None:
        self._lock = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_OfStore(engine))
        self._registry.register(_OfNode(engine, tally, duties, readiness))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes | None:
        """In Prometheus' text format 0.0.4; None while another scrape is under way."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return generate_latest(self._registry)
        finally:
            self._lock.release()


class _OfNode(Collector):
    def __init__(self, engine: Engine, tally: Tally, duties: Sequence[Duties], readiness: Readiness) -> None:
        self._engine = engine
        self._tally = tally
        self._duties = duties
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        """What this process knows."""
        yield _family("certwright_build_info", [((__version__, python_version(), self._engine.store.revision), 1)])
        yield _family("certwright_ready", [((), 0 if any(self._readiness.reasons()) else 1)])
        yield _family("certwright_running", [((), self._tally.working)])
        yield _family("certwright_running_longest_seconds", [((), self._tally.longest)])
        yield _family("certwright_worker_idle_seconds", [((), self._tally.idle)])
        yield _family("certwright_attempts", self._tally.attempts.items())
        done = [((name,), at.timestamp()) for each in self._duties for name, at in each.succeeded.items()]
        yield _family("certwright_duty_timestamp_seconds", done)
        failed = [((name,), count) for each in self._duties for name, count in each.failures.items()]
        yield _family("certwright_duty_failures", failed)


class _OfStore(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._census = _Census()

    def collect(self) -> Iterator[Metric]:
        """What all nodes share; nothing of it while the store cannot be read."""
        try:
            yield from list(self._read())
        except StoreError:
            return

    def _read(self) -> Iterator[Metric]:
        now = self._engine.now()
        with self._engine.store.read() as unit:
            due, since = unit.managed.backlog(now)
            waiting = unit.outbox.backlog()
            census = self._census.read(unit, now)
            issuers = [issuer.name for issuer in unit.issuers.list()]
        yield _family("certwright_due", [((), due)])
        yield _family("certwright_lag_seconds", [((), (now - since).total_seconds() if since else 0)])
        yield _family("certwright_messages_waiting", [((), waiting)])
        for name, found in (("certificates", census.managed), ("watched", census.watched)):
            yield _family(f"certwright_{name}", _labelled(found.days_left))
            yield _family(f"certwright_{name}_health", _labelled(found.healths))
        for name, found in (("soonest", census.managed), ("watched_soonest", census.watched)):
            if found.soonest:
                yield _family(f"certwright_{name}_expiry_timestamp_seconds", [((), found.soonest.timestamp())])
        scarce = {(name, level.key.scope): level for name in issuers for level in _scarce(levels(self._engine, name))}
        yield _family("certwright_limit_left", [(key, level.left or 0) for key, level in scarce.items()])
        known = [(key, level.limit.most) for key, level in scarce.items() if level.limit]
        yield _family("certwright_limit_most", known)


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many have how many days left, and how many are how; and when the first ends."""

    days_left: Mapping[str, int]
    healths: Mapping[str, int]
    soonest: datetime | None


@dataclass(slots=True)
class _Census:
    """All that is managed and watched: counted once a minute, or less often where that takes long."""

    managed: _Counts = _Counts({}, {}, None)
    watched: _Counts = _Counts({}, {}, None)
    again_at: float = 0.0

    def read(self, unit: UnitOfWork, now: datetime) -> "_Census":
        """The counts, from the store if it is time."""
        begun = time.monotonic()
        if begun < self.again_at:
            return self
        self.managed, self.watched = _managed(unit, now), _watched(unit, now)
        ended = time.monotonic()
        self.again_at = ended + max(_SOONEST_SECONDS, (ended - begun) * _SHARE)
        return self


def _managed(unit: UnitOfWork, now: datetime) -> _Counts:
    counts, soonest = unit.versions.ends(_edges(now))
    none = unit.managed.count() - sum(counts)
    days_left = dict(zip(_LABELS, counts, strict=True)) | {"none": max(none, 0)}
    return _Counts(days_left, _of_each(unit.healths.counts()), soonest)


def _watched(unit: UnitOfWork, now: datetime) -> _Counts:
    found = unit.watches.list()
    edges, ends = _edges(now), [watched.seen.not_after for watched in found]
    days_left = Counter(_LABELS[bisect_left(edges, end)] for end in ends)
    healths = Counter(of_watched(watched, now) for watched in found)
    return _Counts({label: days_left[label] for label in _LABELS}, _of_each(healths), min(ends, default=None))


def _edges(now: datetime) -> list[datetime]:
    return [now + timedelta(days=day) for day in DAYS]


def _of_each(counts: Mapping[Health, int]) -> dict[str, int]:
    """Also those that nothing is, so that a series does not end when the last one is repaired."""
    return {health: counts.get(health, 0) for health in Health}


def _labelled(counts: Mapping[str, int]) -> list[tuple[tuple[str], int]]:
    return [((label,), count) for label, count in counts.items()]


def _scarce(found: Iterable[Level]) -> Iterator[Level]:
    """Of each limit the bucket that has least left; those without a number are the authority's own refusals."""
    least: dict[str, Level] = {}
    for level in found:
        if level.left is not None:
            before = least.get(level.key.scope)
            least[level.key.scope] = level if before is None or level.left < (before.left or 0) else before
    yield from least.values()


def _family(name: str, samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    described = METRICS[name]
    family = described.kind(name, described.meaning, labels=described.labels)
    for labels, value in samples:
        family.add_metric(list(labels), value)
    return family
