from collections.abc import Callable

import pytest

from certwright.domain.errors import Unreachable
from certwright.exchange.access.reading import Reading
from certwright.remoting.clixml import Obj
from certwright.remoting.failures import CommandFailed, ErrorRecord
from certwright.remoting.psrp import Command, Result

GET = Command("Get-Queue", {"Server": "EX01"})
FOUND = Result((Obj(text="one"), "no object"), ())


def failed(message: str, error_id: str, kind: str = "") -> CommandFailed:
    return CommandFailed("Get-Queue", "ex01", [ErrorRecord(message, error_id, kind)])


MISSING = failed("not recognized", "CommandNotFoundException")
UNBOUND = failed("no such parameter", "NamedParameter", "ParameterBindingException")
BROKEN = failed("the store is full", "ABC123", "InvalidOperationException")
NONE = failed("none", "NoMatchingEventsFound,X", "Exception")
GONE = Unreachable("https://ex01/ gives no answer.")


def answering(*answers: Result | Exception) -> Callable[..., Result]:
    left = list(answers)

    def run(*_: Command) -> Result:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return run


def test_what_was_read() -> None:
    reading = Reading(answering(FOUND), "EX01")
    assert reading.objects("queues", GET) == (Obj(text="one"),)
    assert reading.unknown == ()


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (MISSING, "may not use Get-Queue"),
        (UNBOUND, "may not use a parameter of Get-Queue"),
        (BROKEN, "the store is full"),
        (GONE, "gives no answer"),
    ],
)
def test_what_could_not_be_read_is_kept_with_the_reason(failure: Exception, why: str) -> None:
    reading = Reading(answering(failure, FOUND), "EX01")
    assert reading.objects("queues", GET) is None
    (unknown,) = reading.unknown
    assert (unknown.subject, unknown.what) == ("EX01", "queues")
    assert why in unknown.why
    assert reading.objects("queues", GET)


def test_a_peer_that_is_silent_twice_in_a_row_is_gone() -> None:
    reading = Reading(answering(GONE, FOUND, GONE, GONE), "EX01")
    for _ in range(3):
        reading.objects("queues", GET)
    with pytest.raises(Unreachable):
        reading.objects("queues", GET)


def test_a_strict_reading_forgives_a_missing_cmdlet_alone() -> None:
    reading = Reading(answering(MISSING, BROKEN, GONE), "EX01", strict=True)
    assert reading.objects("queues", GET) is None
    with pytest.raises(CommandFailed):
        reading.objects("queues", GET)
    with pytest.raises(Unreachable):
        reading.objects("queues", GET)


def test_an_error_that_says_there_are_none() -> None:
    reading = Reading(answering(NONE, BROKEN), "EX01")
    assert reading.objects("events", GET, none="NoMatchingEventsFound") == ()
    assert not reading.unknown
    assert reading.objects("events", GET, none="NoMatchingEventsFound") is None
