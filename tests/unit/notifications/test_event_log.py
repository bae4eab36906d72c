"""Ids that stay, and an honest answer where there is no such log."""

import sys

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.domain.messages import Tally, summary_message
from certwright.domain.rules import PROBLEMS, Matter
from certwright.notifications.event_log import ERROR, INFORMATION, WARNING, event_id, event_type
from world.channels import NOW, channel, problem

IDS = {
    Matter.SERVICE: 110,
    Matter.ISSUANCE: 101,
    Matter.DEPLOYMENT: 102,
    Matter.EXPIRING: 103,
    Matter.ROLLED_BACK: 104,
    Matter.NEEDS_PERSON: 105,
    Matter.DRIFT: 106,
    Matter.INCIDENT: 107,
    Matter.WATCHED: 108,
    Matter.PROOF: 109,
}


@pytest.mark.parametrize("matter", PROBLEMS)
def test_each_problem_has_an_id_and_it_is_fixed(matter: Matter) -> None:
    assert event_id(problem(matter=matter)) == IDS[matter]


def test_what_is_over_and_what_is_no_problem_have_ids_of_their_own() -> None:
    assert event_id(problem(is_over=True)) == 201
    assert event_id(summary_message(Tally(since=NOW), 0, NOW)) == 100


def test_types_say_how_bad_it_is() -> None:
    assert event_type(problem(urgent=True)) == ERROR
    assert event_type(problem()) == WARNING
    assert event_type(problem(is_over=True)) == INFORMATION
    assert event_type(summary_message(Tally(since=NOW), 0, NOW)) == INFORMATION


@pytest.mark.skipif(sys.platform == "win32", reason="there is such a log")
def test_elsewhere_it_says_that_there_is_no_such_log() -> None:
    made = channel("event_log")
    for attempt in (made.check, lambda: made.send(problem())):
        with pytest.raises(ConfigurationError, match="no Windows Event Log on this system") as caught:
            attempt()
        assert "webhook" in caught.value.hint
