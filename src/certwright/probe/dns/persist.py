"""Records of dns-persist-01 as an authority sees them (draft-ietf-acme-dns-persist-01)."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from certwright.domain.persist import PersistRecord, validation_name
from certwright.probe.dns.query import LookupFailure
from certwright.probe.dns.resolver import Resolver
from certwright.sdk.solver import Challenge

_SOON = timedelta(days=30)
_WORKERS = 8
_SHOWN = 5
_MAX_SHOWN = 300  # characters of a record


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with the record at `name`, or, if nothing is, when it ends, if it does."""

    name: str
    causes: tuple[str, ...] = ()
    ends: datetime | None = None

    def note(self, now: datetime) -> str:
        """That it ends soon, if it does."""
        if self.ends is None or self.ends - now >= _SOON:
            return ""
        return f"The record at {self.name} ends on {self.ends:%Y-%m-%d %H:%M} UTC (persistUntil): replace it before."


def judge_records(challenges: Sequence[Challenge], resolver: Resolver, now: datetime) -> list[Judgement]:
    """What an authority would make of the record of each challenge; several are looked up at the same time."""
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="dns-persist") as pool:
        return list(pool.map(lambda challenge: judge_record(challenge, resolver, now), challenges))


def judge_record(challenge: Challenge, resolver: Resolver, now: datetime) -> Judgement:
    """What an authority would make of the record that stands for `challenge`."""
    name = validation_name(challenge.identifier)
    try:
        texts = resolver.txt(name)
    except LookupFailure as failure:
        return Judgement(name, (failure.message,))
    flaws: list[str] = []
    good: list[PersistRecord] = []
    for text in texts:
        record, flaw = _read(text, challenge, now)
        if record is None or flaw:
            flaws.append(f"{name} TXT {text[:_MAX_SHOWN]!a} does not do: {flaw}.")
        else:
            good.append(record)
    return Judgement(name, ends=_end(good)) if good else Judgement(name, tuple(flaws[:_SHOWN]))


def _read(text: str, challenge: Challenge, now: datetime) -> tuple[PersistRecord | None, str | None]:
    """A record, and why it does not answer the challenge."""
    try:
        record = PersistRecord.parse(text)
    except ValueError as error:
        return None, f"it is malformed: {error}"
    names, accounts = challenge.issuer_domain_names, challenge.account_uris
    return record, record.obstacle(names, accounts, wildcard=challenge.identifier.is_wildcard, now=now)


def _end(good: Sequence[PersistRecord]) -> datetime | None:
    """When the last of these ends."""
    return max(good, key=lambda record: math.inf if record.until is None else record.until).expires
