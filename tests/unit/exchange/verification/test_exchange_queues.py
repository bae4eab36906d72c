"""Whether mail is still sent, by queues and events."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from certwright.domain.deployment import Severity, Verdict
from certwright.exchange.model import Connector
from certwright.exchange.verification.queues import EVENTS, Before, Outbound, Queue, before_of, judge, queue, warnings
from certwright.exchange.verification.sending import Kept, by_its_clock
from certwright.remoting.clixml import Obj
from unit.exchange.organisations import organisation, server

PARTNER = Connector("To partner", "send", guid="aa", smart_hosts=("partner.test",), source_servers=("EX01",))
NOT_FOUND = "454 4.7.5 The certificate specified in TlsCertificateName of the SendConnector could not be found."
UNRELATED = "421 4.4.1 Connection timed out."
AS_BEFORE = (Verdict.NOT_VERIFIED, "as before")


@dataclass(frozen=True)
class Written:
    id: int
    message: str


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


DEAD = "451 4.4.0 DNS query failed."


def to(next_hop: str, status: str, error: str = "", messages: int = 0) -> Queue:
    return Queue("aa", next_hop, status, messages, error)


READY, RETRY = to("partner.test", "Ready"), to("partner.test", "Retry", UNRELATED, 2)


@pytest.mark.parametrize(
    ("before", "now", "verdict", "says"),
    [
        ((READY,), (READY,), Verdict.OK, "0 messages to partner.test"),
        ((RETRY,), (to("partner.test", "Active", "", 1),), Verdict.OK, "1 message to partner.test"),
        ((), (READY,), Verdict.OK, ""),
        (None, (READY,), Verdict.OK, ""),
        (
            (READY,),
            (to("partner.test", "Retry", NOT_FOUND, 3),),
            Verdict.REGRESSION,
            "3 messages to partner.test, last",
        ),
        ((READY,), (to("PARTNER.test", "Suspended"),), Verdict.REGRESSION, ""),
        ((READY,), (RETRY,), Verdict.REGRESSION, "421 4.4.1"),
        ((), (to("partner.test", "Retry", NOT_FOUND),), Verdict.REGRESSION, "454 4.7.5"),
        (None, (to("partner.test", "Retry", NOT_FOUND),), Verdict.REGRESSION, "454 4.7.5"),
        ((), (RETRY,), Verdict.NOT_VERIFIED, "421 4.4.1"),
        (None, (RETRY,), Verdict.NOT_VERIFIED, "421 4.4.1"),
        ((RETRY,), (RETRY,), Verdict.NOT_VERIFIED, "as before: 2 messages"),
        ((RETRY,), (to("partner.test", "Retry", NOT_FOUND, 2),), Verdict.REGRESSION, "454 4.7.5"),
        ((RETRY,), (to("partner.test", "Retry", "TlsCertificateName is unknown"),), Verdict.REGRESSION, ""),
        ((to("partner.test", "Retry", NOT_FOUND),), (to("partner.test", "Retry", NOT_FOUND),), *AS_BEFORE),
        ((READY,), (to("partner.test", "Active", NOT_FOUND, 1),), Verdict.REGRESSION, "454 4.7.5"),
        ((READY,), (to("partner.test", "Ready", NOT_FOUND),), Verdict.OK, ""),
        ((READY,), (), Verdict.NOT_VERIFIED, "there is no queue"),
    ],
)
def test_a_queue_that_was_not_stuck_before_must_not_be_stuck(
    before: Before, now: tuple[Queue, ...], verdict: Verdict, says: str
) -> None:
    seen = Outbound("ex01", PARTNER, now)
    (judged,) = judge([seen], {seen.key: before})
    assert judged.key == seen.key == ("ex01", "outbound: To partner", "partner.test", 25)
    assert judged.verdict is verdict
    assert says in judged.detail


@pytest.mark.parametrize("messages", [1, 99])
@pytest.mark.parametrize(
    ("then", "error"), [(READY, NOT_FOUND), (READY, UNRELATED), (RETRY, NOT_FOUND), (None, NOT_FOUND)]
)
def test_what_else_was_stuck_before_excuses_no_queue(then: Queue | None, error: str, messages: int) -> None:
    dead = to("dead.test", "Retry", DEAD, 40)
    before = Outbound("ex01", PARTNER, (dead, then) if then else (dead,))
    now = Outbound("ex01", PARTNER, (dead, to("partner.test", "Retry", error, messages)))
    (row,) = judge([now], before_of([before]))
    assert row.verdict is Verdict.REGRESSION
    assert f"{messages} message" in row.detail
    assert f"to partner.test, last error: {error}" in row.detail
    assert (row.before, row.now, row.valid) == ("Retry", "Retry", False)


def test_another_dead_domain_is_no_regression() -> None:
    before = Outbound("ex01", PARTNER, (READY,))
    (row,) = judge([Outbound("ex01", PARTNER, (READY, to("dead.test", "Retry", DEAD, 1)))], before_of([before]))
    assert (row.verdict, row.detail) == (Verdict.NOT_VERIFIED, f"1 message to dead.test, last error: {DEAD}")


@pytest.mark.parametrize(
    ("before", "error", "verdict"),
    [
        ("Ready", UNRELATED, Verdict.REGRESSION),
        ("Retry", UNRELATED, Verdict.NOT_VERIFIED),
        ("Retry", NOT_FOUND, Verdict.REGRESSION),
        (None, UNRELATED, Verdict.NOT_VERIFIED),
    ],
)
def test_a_baseline_of_an_earlier_version_is_still_read(before: str | None, error: str, verdict: Verdict) -> None:
    seen = Outbound("ex01", PARTNER, (to("partner.test", "Retry", error, 1),))
    stored = {
        "thumbprint": "A1",
        "since": "2026-01-01T00:00:00Z",
        "connectors": ["To partner"],
        "before": [[list(seen.key), before]],
    }
    (row,) = judge([seen], dict(Kept.model_validate(stored).before))
    assert (row.verdict, row.before) == (verdict, before)


def test_a_baseline_is_what_was_seen_when_it_is_read_again() -> None:
    unread = Outbound("ex02", PARTNER, obstacle="Access is denied.")
    before = before_of([Outbound("ex01", PARTNER, (READY, RETRY)), unread])
    kept = Kept(thumbprint="A1", since=datetime(2026, 1, 1, tzinfo=UTC), before=tuple(before.items()))
    assert dict(Kept.model_validate_json(kept.model_dump_json()).before) == before
    assert before[unread.key] is None
    (row,) = judge([unread], before)
    assert (row.verdict, row.detail) == (Verdict.NOT_VERIFIED, "the queue cannot be read: Access is denied.")


def test_of_several_queues_the_stuck_one_counts() -> None:
    (row,) = judge([Outbound("ex01", PARTNER, (to("partner.test", "Active", "", 50), RETRY))], {})
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
    (row,) = judge([Outbound("ex01", PARTNER, (READY,))], {}, {"ex01": [event], "ex02": []})
    assert row.verdict is verdict
    (elsewhere,) = judge([Outbound("ex01", PARTNER, (READY,))], {}, {"ex02": [event]})
    assert elsewhere.verdict is Verdict.OK


ENGLISH = (
    "Microsoft Exchange could not find a certificate that contains the domain name mail.contoso.com in the personal "
    "store on the local computer. Therefore, it is unable to support the STARTTLS SMTP verb for the connector {} with "
    "a FQDN parameter of mail.contoso.com."
)
GERMAN = "Microsoft Exchange fand kein Zertifikat mit mail.contoso.com. STARTTLS (SMTP) entf\u00e4llt f\u00fcr {}."


@pytest.mark.parametrize("text", [ENGLISH, GERMAN], ids=["english", "german"])
@pytest.mark.parametrize("name", ["Mail", "contoso.com", "EX01", "SMTP", "Exchange", "Default", "To partner"])
def test_an_event_about_another_connector_is_none_about_one_whose_name_is_a_word_of_it(text: str, name: str) -> None:
    other = "Default Frontend EX01"
    seen = Outbound("ex01", replace(PARTNER, name=name, identity=""), (READY,))
    (row,) = judge([seen], {}, {"ex01": [Written(12014, text.format(other))]}, [name, other])
    assert row.verdict is Verdict.OK
    (row,) = judge([seen], {}, {"ex01": [Written(12014, text.format(name.upper()))]}, [name, other])
    assert row.verdict is (Verdict.OK if text is GERMAN and name in {"SMTP", "Exchange"} else Verdict.REGRESSION)


def test_what_was_written_since_is_asked_for_by_the_clock_of_the_host() -> None:
    moment, behind = datetime(2026, 1, 1, 12, tzinfo=UTC), timedelta(minutes=-2)
    snapshot = organisation(server("EX01", clock_skew=behind), server("EX02"))
    assert by_its_clock(moment, snapshot, "ex01.contoso.com") == moment + behind
    assert by_its_clock(moment, snapshot, "ex02.contoso.com") == moment == by_its_clock(moment, snapshot, "ex09")


@pytest.mark.parametrize("number", EVENTS)
def test_what_transport_complains_of_is_said_once_with_what_to_do(number: int) -> None:
    (found,) = warnings({"ex01": [Written(number, "something"), Written(number, "something")]})
    assert (found.severity, found.subject) == (Severity.WARN, "ex01")
    assert f"event {number}: something" in found.message
    assert found.remedy
    assert "{" not in found.remedy
