"""Whether mail is still sent, by queues and events."""

from dataclasses import dataclass

import pytest

from certwright.domain.deployment import Severity, Verdict
from certwright.exchange.model import Connector
from certwright.exchange.verification.ports import row_key
from certwright.exchange.verification.queues import EVENTS, Outbound, Queue, baseline, judge, queue, warnings
from certwright.remoting.clixml import Obj

PARTNER = Connector("To partner", "send", guid="aa", smart_hosts=("partner.test",), source_servers=("EX01",))
NOT_FOUND = "454 4.7.5 The certificate specified in TlsCertificateName of the SendConnector could not be found."
UNRELATED = "421 4.4.1 Connection timed out."


@dataclass(frozen=True)
class Written:
    id: int
    message: str


def outbound(status: str = "", error: str = "", messages: int = 0, *others: Queue) -> Outbound:
    first = (Queue("aa", "partner.test", status, messages, error),) if status else ()
    return Outbound("ex01", PARTNER, (*first, *others))


def test_a_queue_is_read_from_its_record() -> None:
    record = Obj(
        properties={
            "NextHopConnector": "AA-BB",
            "NextHopDomain": "partner.test",
            "Status": Obj(text="Retry", value=3),
            "MessageCount": 4,
            "LastError": NOT_FOUND,
        }
    )
    assert queue(record) == Queue("aa-bb", "partner.test", "Retry", 4, NOT_FOUND)
    assert queue(Obj()) == Queue("", "", "", 0, "")


@pytest.mark.parametrize(
    ("before", "now", "verdict", "says"),
    [
        ("Ready", outbound("Ready"), Verdict.OK, "0 messages to partner.test"),
        ("Retry", outbound("Active", "", 1), Verdict.OK, "1 message to partner.test"),
        (None, outbound("Ready"), Verdict.OK, ""),
        ("Ready", outbound("Retry", NOT_FOUND, 3), Verdict.REGRESSION, "3 messages to partner.test, last error: 454"),
        ("Ready", outbound("Suspended"), Verdict.REGRESSION, ""),
        ("Ready", outbound("Retry", UNRELATED), Verdict.REGRESSION, "421 4.4.1"),
        (None, outbound("Retry", NOT_FOUND), Verdict.REGRESSION, "454 4.7.5"),
        (None, outbound("Retry", UNRELATED), Verdict.NOT_VERIFIED, "421 4.4.1"),
        ("Retry", outbound("Retry", NOT_FOUND), Verdict.NOT_VERIFIED, "as before"),
        ("Ready", outbound(), Verdict.NOT_VERIFIED, "there is no queue"),
        ("Ready", Outbound("ex01", PARTNER, obstacle="Access is denied."), Verdict.NOT_VERIFIED, "Access is denied"),
    ],
)
def test_a_queue_that_was_not_stuck_before_must_not_be_stuck(
    before: str | None, now: Outbound, verdict: Verdict, says: str
) -> None:
    (row,) = baseline([now])
    (judged,) = judge([now], {row_key(row): before})
    assert row_key(judged) == row_key(row) == ("ex01", "outbound: To partner", "partner.test", 25)
    assert judged.verdict is verdict
    assert says in judged.detail
    assert row.verdict is Verdict.NOT_VERIFIED
    assert row.before == row.now == judged.now


def test_of_several_queues_the_stuck_one_counts() -> None:
    other = Queue("aa", "other.test", "Retry", 1, UNRELATED)
    (row,) = judge([outbound("Active", "", 50, other)], {})
    assert (row.now, row.valid) == ("Retry", False)


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        (Written(12014, "... STARTTLS for the connector To partner with a FQDN ..."), Verdict.REGRESSION),
        (Written(12014, "... f\u00fcr den Connector to PARTNER ..."), Verdict.REGRESSION),
        (Written(12014, "... the connector To partners with ..."), Verdict.OK),
        (Written(12018, "... To partner ..."), Verdict.OK),
    ],
)
def test_an_event_that_names_the_connector_is_a_failure_whatever_its_queue_says(
    event: Written, verdict: Verdict
) -> None:
    (row,) = judge([outbound("Ready")], {}, {"ex01": [event], "ex02": []})
    assert row.verdict is verdict
    (elsewhere,) = judge([outbound("Ready")], {}, {"ex02": [event]})
    assert elsewhere.verdict is Verdict.OK


@pytest.mark.parametrize("number", EVENTS)
def test_what_transport_complains_of_is_said_once_with_what_to_do(number: int) -> None:
    (found,) = warnings({"ex01": [Written(number, "something"), Written(number, "something")]})
    assert (found.severity, found.subject) == (Severity.WARN, "ex01")
    assert f"event {number}: something" in found.message
    assert found.remedy
    assert "{" not in found.remedy
