"""What a web service answers to a stranger at one address: status, where it leads, who answered, its clock."""

import functools
import http.client
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

from certwright.probe.http import BUDGET, REDIRECTS, Reply, ask
from certwright.probe.observation import Endpoint, ProbeError, ProbeFailure, Target
from certwright.probe.tls import observing_context
from certwright.probe.wire import Deadline, connect, harmless, resolve

HTTPS = 443
_SHOWN = 200
_SECOND = timedelta(seconds=1)


class Health(StrEnum):
    """What an answer tells of the service behind it."""

    GOOD = "good"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What `path` answered, or why nothing came.

    `address` is the one that was really connected to. `location` is where a redirect leads, host and path alone.
    `front_end` is the Exchange server that answered, as its X-FEServer header tells. `date` is the server's clock,
    `asked` ours before the question; `seconds` went by from there, connecting and TLS included.
    """

    path: str
    asked: datetime
    seconds: float
    address: Endpoint | None = None
    status: int | None = None
    reason: str = ""
    location: str = ""
    server: str = ""
    front_end: str = ""
    date: datetime | None = None
    failure: ProbeFailure | None = None

    @property
    def health(self) -> Health:
        """Good: a page, a redirect, or a demand to sign in; fault: no answer, or an error of the server's own.

        Any other status is for somebody to judge who knows what should be there.
        """
        if self.status is None or self.status >= http.client.INTERNAL_SERVER_ERROR:
            return Health.FAULT
        good = http.client.OK <= self.status < http.client.MULTIPLE_CHOICES or self.status in REDIRECTS
        return Health.GOOD if good or self.status == http.client.UNAUTHORIZED else Health.UNKNOWN

    @property
    def skew(self) -> timedelta | None:
        """How far the server's clock is ahead of ours, if it told."""
        if self.date is None:
            return None
        return clock_skew(self.date, self.asked, self.asked + timedelta(seconds=self.seconds))


def look_at_web(target: Target, paths: Iterable[str], timeout: float = 10, workers: int = 8) -> tuple[WebAnswer, ...]:
    """What each of `paths` answers at `target` to a plain GET, in their order.

    Nothing that identifies anyone is sent, no redirect is followed, no certificate is judged. The name of the target
    is the host that is asked for, whether or not it is sent in TLS.

    Args:
        target: a service with TLS from the first byte.
        paths: absolute ones.
        timeout: seconds for each path in all.
        workers: how many are asked for at once.
    """
    look = functools.partial(_look, target, timeout)
    with ThreadPoolExecutor(workers, thread_name_prefix="web") as pool:
        return tuple(pool.map(look, paths))


def clock_skew(told: datetime, asked: datetime, answered: datetime) -> timedelta:
    """The least that a clock which said `told` is ahead of ours; negative if behind, zero if it may be right.

    It spoke at some moment between `asked` and `answered`, and told whole seconds only (RFC 9110 section 5.6.7).
    """
    if told > answered:
        return told - answered
    return min(told + _SECOND - asked, timedelta())


def converse(
    target: Target,
    addresses: Sequence[Endpoint],
    deadline: Deadline,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> tuple[Endpoint, Reply]:
    """One request over TLS to the first of `addresses` that answers, as `ask` does it.

    Raises:
        ProbeError: if no answer comes.
    """
    with connect(addresses, deadline, BUDGET) as wire:
        wire.start_tls(observing_context(), target.server_name)
        return wire.address, ask(wire, web_host(target), path, method, headers, body)


def web_host(target: Target) -> str:
    """The host as URLs to `target` name it, with its port if that is not the usual one."""
    return str(Endpoint(target.name, target.port)).removesuffix(f":{HTTPS}")


def _look(target: Target, timeout: float, path: str) -> WebAnswer:
    asked, start = datetime.now(UTC), time.monotonic()
    deadline = Deadline(timeout)
    try:
        address, reply = converse(target, resolve(target.endpoint, deadline), deadline, path)
    except ProbeError as error:
        return WebAnswer(path, asked, time.monotonic() - start, failure=error.failure)
    return WebAnswer(
        path,
        asked,
        time.monotonic() - start,
        address,
        reply.status,
        reply.reason,
        _place(reply.headers.get("Location", "")),
        harmless(reply.headers.get("Server", ""), _SHOWN),
        harmless(reply.headers.get("X-FEServer", ""), _SHOWN),
        _date(reply.headers.get("Date", "")),
    )


def _place(location: str) -> str:
    try:
        parts = urlsplit(location)
        place = f"{parts.hostname or ''}{parts.path}"
    except ValueError:
        place = location.partition("?")[0]
    return harmless(place, _SHOWN)


def _date(said: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(said)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
