"""Tell people: what happened becomes messages, and messages are sent, each to the end, whatever dies in between.

Events become cases, and cases messages, in transactions that also note how far they came: so nothing is told twice and
nothing is lost. A message stays in the outbox until a channel has taken it. Who dies between sending and noting sends
it again, with the same id. One process at a time does this, under a lease.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from certwright.domain.clocks import lately
from certwright.domain.errors import CertwrightError, LeaseHeld
from certwright.domain.events import Event, EventKind
from certwright.domain.messages import Message, channel_message, head_message, problem_message, summary_message
from certwright.domain.notices import KEPT_OVER, NEAR_SHARE, Subject, fold, gather, head_due, next_attempt, summary_due
from certwright.domain.renewal_state import Failure
from certwright.domain.rules import Rule
from certwright.engine.channels import CHANNEL, beats, carries, notifier_of
from certwright.engine.context import Engine
from certwright.store import Lease, UnitOfWork
from certwright.store.outbox import Posting
from certwright.store.records import TROUBLE

_EVENTS = 500
_POSTINGS = 100
_SENT_KEPT = timedelta(days=7)
_DAY = timedelta(days=1)
_BEAT = timedelta(hours=20)
"""Between two calls of a heartbeat, at least: a daily run is not always at the same minute."""
_EXPIRED_KEPT = timedelta(days=30)
"""How long after its end a certificate is told of that nobody renewed."""
_TROUBLE = 3
"""Failed attempts after which the other channels tell of one that does not work."""
_SUBJECT = "notifications"
log = logging.getLogger("certwright")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message sent by one channel, or not; then `error` says why, and `again` when it is tried again, if it is."""

    channel: str
    subject: str
    answer: str = ""
    error: CertwrightError | None = None
    again: datetime | None = None


def deliver(engine: Engine) -> list[Attempt]:
    """Send what is due now, and call the heartbeats if all is well; what cannot be sent is kept and tried again.

    Nothing happens if another process is at it.
    """
    try:
        with engine.store.lease(_SUBJECT) as lease:
            _look_for_expiring(engine, lease)
            _observe(engine, lease)
            _compose(engine, lease)
            return [*_send(engine, lease), *_beat(engine, lease)]
    except LeaseHeld:
        return []


def _look_for_expiring(engine: Engine, lease: Lease) -> None:
    """Once a day, an event for each certificate that is near its end, or has a version in use that is."""
    now = engine.now()
    with engine.store.read() as unit:
        last = unit.records.last(_SUBJECT, "looked")
        if last and lately(last.at, now, _DAY):
            return
        span = timedelta(days=max((rule.days for rule, _ in unit.notices.rules()), default=0))
        found = unit.notices.expiring(now - _EXPIRED_KEPT, now + span)
        near = {key: subject for key, subject in found.items() if subject.ends_within(span, NEAR_SHARE, now)}
        failures = {key: unit.renewals.get(key).failure for key in near}
    with engine.store.write(lease) as unit:
        unit.records.put(_SUBJECT, "looked", len(near), now)
        for managed_id, subject in near.items():
            unit.events.add(_ending(managed_id, subject, failures[managed_id], now))


def _ending(managed_id: str, subject: Subject, failure: Failure | None, now: datetime) -> Event:
    if subject.ends == subject.not_after:
        why = f"The last attempt failed: {failure.headline}" if failure else "No attempt has failed lately."
        message = f"The current version has not been replaced. {why}"
        hint = failure.advice if failure else ""
        return Event(kind=EventKind.EXPIRING, managed_id=managed_id, at=now, message=message, hint=hint)
    message = "An earlier version is still in use: the current one has not been deployed everywhere."
    hint = f"See why: certwright certificate show {managed_id}; deploy it: certwright deploy {managed_id}"
    return Event(kind=EventKind.IN_USE_ENDING, managed_id=managed_id, at=now, message=message, hint=hint)


def _observe(engine: Engine, lease: Lease) -> None:
    """Events become cases, by each rule; a bounded number in each transaction."""
    with engine.store.read() as unit:
        newest = unit.events.newest()
        behind = [rule.name for rule, pace in unit.notices.rules() if pace.after < newest]
    while behind:
        with engine.store.write(lease) as unit:
            behind = [name for name in behind if _observe_some(unit, name)]


def _observe_some(unit: UnitOfWork, name: str) -> bool:
    """Whether there is more."""
    found = [(rule, pace) for rule, pace in unit.notices.rules() if rule.name == name]
    arrived = unit.events.list(found[0][1].after, _EVENTS) if found else []
    if not arrived:
        return False
    ((rule, pace),) = found
    ids = {event.managed_id for _, event in arrived}
    after, changed = fold(rule, pace, unit.notices.cases(name, ids), arrived, unit.notices.subjects(ids))
    unit.notices.keep(name, changed)
    unit.notices.set_pace(name, after)
    return len(arrived) == _EVENTS


def _compose(engine: Engine, lease: Lease) -> None:
    """Cases become messages, where there is a channel to send them by; else they wait for one."""
    now = engine.now()
    with engine.store.read() as unit:
        able = [name for name, kind in unit.credentials.kinds("notify").items() if carries(kind)]
        rules, is_signed = unit.notices.rules(), unit.trail.last_head() is not None
        told = any(summary_due(rule, pace, now) or (is_signed and head_due(rule, pace, now)) for rule, pace in rules)
        waits = told or unit.notices.waits(now)
    if not waits:
        return
    with engine.store.write(lease) as unit:
        unit.notices.prune(now - KEPT_OVER)
        unit.outbox.prune(now - _SENT_KEPT)
        for rule, _ in unit.notices.rules():
            if names := [name for name in rule.channels or able if name in able]:
                for message in _messages(unit, rule, now):
                    unit.outbox.add(message, names, now)


def _messages(unit: UnitOfWork, rule: Rule, now: datetime) -> Iterator[Message]:
    """What `rule` tells now, noted as told."""
    pace = next(known for found, known in unit.notices.rules() if found.name == rule.name)
    news = gather(rule, pace, unit.notices.due(rule.name, now), now)
    unit.notices.keep(rule.name, {(case.matter, case.managed_id): case for case in news.told})
    unit.notices.hold(rule.name, news.held)
    if news.sections:
        pace = pace.model_copy(update={"told_at": now})
        yield problem_message(news.sections, now)
    if pace.tally and summary_due(rule, pace, now):
        yield summary_message(pace.tally, unit.notices.open_count(), now)
        pace = pace.model_copy(update={"tally": None})
    if (signed := unit.trail.last_head()) and head_due(rule, pace, now):
        yield head_message(signed, now)
        pace = pace.model_copy(update={"head_at": now})
    unit.notices.set_pace(rule.name, pace)


def _send(engine: Engine, lease: Lease) -> Iterator[Attempt]:
    """Try what is due; a channel that fails is left alone until its next time."""
    with engine.store.read() as unit:
        due = unit.outbox.due(engine.now(), _POSTINGS)
    broken: set[str] = set()
    for posting in due:
        if posting.channel not in broken:
            attempt = _attempt(engine, lease, posting)
            if attempt.error:
                broken.add(posting.channel)
            yield attempt


def _attempt(engine: Engine, lease: Lease, posting: Posting) -> Attempt:
    message, channel = posting.message, posting.channel
    lease.check()
    try:
        answer = _answer(engine, channel, message)
    except CertwrightError as error:
        return _failed(engine, lease, posting, error)
    with engine.store.write(lease) as unit:
        unit.outbox.end(posting, answer, engine.now())
    return Attempt(channel, message.subject, answer)


def _answer(engine: Engine, channel: str, message: Message) -> str:
    """What the channel answered.

    Raises:
        CertwrightError: also for a fault of the channel's plugin, which must not keep the others from being sent.
    """
    try:
        return notifier_of(engine, channel).send(message)
    except CertwrightError:
        raise
    except Exception as error:
        log.exception("the channel %s failed", channel)
        raise CertwrightError(
            f"The channel {channel!r} failed by an unexpected {type(error).__name__}.",
            hint="Please report it with the end of logs/certwright.log in the data folder.",
        ) from error


def _failed(engine: Engine, lease: Lease, posting: Posting, error: CertwrightError) -> Attempt:
    now = engine.now()
    reason = " ".join(error.explain())
    again = next_attempt(posting.attempts + 1, posting.created_at, error, now)
    with engine.store.write(lease) as unit:
        if again:
            unit.outbox.failed(posting, reason, again)
        else:
            unit.outbox.end(posting, reason, now)
        if posting.attempts + 1 >= _TROUBLE or not error.retryable:
            _tell_others(unit, posting, error, now)
    return Attempt(posting.channel, posting.message.subject, error=error, again=again)


def _tell_others(unit: UnitOfWork, posting: Posting, error: CertwrightError, now: datetime) -> None:
    """That the channel does not work, by the others; once a day, and never of what was itself such a message."""
    subject = f"{CHANNEL}{posting.channel}"
    last = unit.records.last(subject, TROUBLE)
    if not posting.message.sections or (last and lately(last.at, now, _DAY)):
        return
    kinds = unit.credentials.kinds("notify")
    others = [name for name, kind in kinds.items() if name != posting.channel and carries(kind)]
    if others:
        unit.records.put(subject, TROUBLE, error.message, now)
        unit.outbox.add(channel_message(posting.channel, error.message, now), others, now)


def _beat(engine: Engine, lease: Lease) -> Iterator[Attempt]:
    """Call the heartbeats once a day, unless something has been due for a day and nobody looked at it."""
    now = engine.now()
    with engine.store.read() as unit:
        hearts = [name for name, kind in unit.credentials.kinds("notify").items() if beats(kind)]
        beats_before = {name: unit.records.last(f"{CHANNEL}{name}", "beat") for name in hearts}
        overdue, _ = unit.managed.backlog(now - _DAY)
    for name, last in beats_before.items():
        if not overdue and (last is None or not lately(last.at, now, _BEAT)):
            yield _call(engine, lease, name, now)


def _call(engine: Engine, lease: Lease, name: str, now: datetime) -> Attempt:
    message = Message(at=now, subject="Heartbeat", text="All is well.\n", html="")
    try:
        answer = _answer(engine, name, message)
    except CertwrightError as error:
        return Attempt(name, message.subject, error=error)
    with engine.store.write(lease) as unit:
        unit.records.put(f"{CHANNEL}{name}", "beat", answer, now)
    return Attempt(name, message.subject, answer)
