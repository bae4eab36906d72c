"""Time zones by their names in the tz database, and when the clocks there show a time."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from certwright.domain.errors import ConfigurationError


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigurationError(
            f"There is no time zone {name[:60]!r}.",
            hint="Write it as the tz database does, for example Europe/Berlin; if that is unknown too, install tzdata.",
        ) from None
    return name


Zone = Annotated[str, AfterValidator(_known)]
"""The name of a time zone that is known here."""


def first_shown(clock: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which clocks there show `clock`, which has no zone, or have just jumped over it."""
    shown, put_forward = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if put_forward >= shown:
        return shown
    seconds = range(int((shown - put_forward).total_seconds()))
    return put_forward + timedelta(seconds=bisect_left(seconds, clock, key=lambda s: _clock(put_forward, s, zone)))


def _clock(since: datetime, seconds: int, zone: ZoneInfo) -> datetime:
    return (since + timedelta(seconds=seconds)).astimezone(zone).replace(tzinfo=None)
