"""What the running service tells of itself, beside what is in the store."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from certwright.engine.own_certificate import Presented
from certwright.settings import Settings


@dataclass(frozen=True, slots=True)
class DutyState:
    """A duty of this service: how often it is done, when it last succeeded since the start, how often it failed."""

    title: str
    every: timedelta
    succeeded: datetime | None
    failures: int


@dataclass(frozen=True, slots=True)
class Service:
    """This process as its pages show it.

    Args:
        settings: under which it runs.
        address: what a person types to reach it.
        reasons: why it is not ready, in sentences.
        duties: how each of its duties stands.
        presented: the certificate that it presents; None without TLS.
    """

    settings: Settings
    address: str
    reasons: Callable[[], Iterable[str]]
    duties: Callable[[], Sequence[DutyState]]
    presented: Callable[[], Presented | None]
