from datetime import datetime

import pytest
from pydantic import ValidationError

from certwright.domain.events import Event, EventKind
from unit.domain.workshop import START


def test_an_event_is_read_back_as_it_was() -> None:
    event = Event(kind=EventKind.DEPLOYED, managed_id="m", at=START, message="Deployed to ex01.", run_id="r")
    assert Event.model_validate_json(event.model_dump_json()) == event


def test_a_moment_without_a_zone_is_no_moment() -> None:
    with pytest.raises(ValidationError):
        Event(kind=EventKind.DEPLOYED, managed_id="m", at=datetime(2026, 1, 1), message="x")  # noqa: DTZ001 - the point
