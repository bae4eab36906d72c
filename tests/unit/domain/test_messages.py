"""Messages say what, since when, until when, and what to do; whatever strangers wrote into the sentences."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.messages import (
    Message,
    Section,
    Tally,
    channel_message,
    problem_message,
    summary_message,
)
from certwright.domain.messages import test_message as trial_message
from certwright.domain.rules import PROBLEMS, Matter

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def section(matter: Matter = Matter.ISSUANCE, **changes: object) -> Section:
    values = {
        "matter": matter,
        "message": "The authority house-ca does not answer.",
        "hint": "Look at its status page.",
        "certificates": 1,
        "occurrences": 3,
        "names": ("mail.contoso.com",),
        "managed_id": "0123456789ab",
        "since": NOW - timedelta(hours=30),
        "until": NOW + timedelta(days=11),
    }
    return Section.model_validate({**values, **changes})


class Words(HTMLParser):
    """The text of a page and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


def test_a_message_says_what_since_when_until_when_and_the_next_step() -> None:
    message = problem_message([section()], NOW)
    assert message.subject == "mail.contoso.com could not be renewed; expires 2026-12-01"
    assert message.text == (
        "What:   mail.contoso.com could not be renewed.\n"
        "Why:    The authority house-ca does not answer.\n"
        "Since:  2026-11-19 06:00 UTC (3 times)\n"
        "Until:  It expires 2026-12-01 12:00 UTC, in 11 days.\n"
        "Next:   Look at its status page.\n"
    )
    page = Words(message.html)
    for line in message.text.splitlines():
        label, _, value = line.partition(":")
        assert {label, value.strip()} <= set(page.words)


def test_ten_thousand_are_a_number_and_a_few_names() -> None:
    many = section(certificates=10_000, occurrences=30_000, names=tuple(f"host{n}" for n in range(5)))
    message = problem_message([many], NOW)
    assert message.subject == "10000 certificates could not be renewed; the first expires 2026-12-01"
    assert "Which:  host0, host1, host2, host3, host4 and 9995 more\n" in message.text
    assert len(message.html) < 2000


def test_many_causes_are_one_message_of_bounded_size() -> None:
    sections = [section(message=f"Cause {'x' * n}.", names=(f"host{n}",)) for n in range(1000)]
    message = problem_message(sections, NOW)
    assert message.subject == "1000 certificates: 1000 problems; the first expires 2026-12-01"
    assert "Also:   990 more, with 990 other causes" in message.text
    assert len(message.text) < 5000


def test_two_problems_of_one_certificate_are_told_under_its_name() -> None:
    message = problem_message([section(Matter.EXPIRING, urgent=True), section()], NOW)
    assert message.subject.startswith("Urgent: mail.contoso.com expires soon and was not replaced; expires 2026-12-01")


@pytest.mark.parametrize("matter", PROBLEMS)
def test_each_matter_has_words_and_a_next_step_of_its_own(matter: Matter) -> None:
    problem = problem_message([section(matter, hint="")], NOW)
    assert "Next:   " in problem.text
    assert ("0123456789ab" if matter is not Matter.SERVICE else "certwright status") in problem.text
    over = problem_message([section(matter, is_over=True)], NOW)
    assert "Next:" not in over.text
    assert "expires 2026" not in over.subject


def test_what_is_the_matter_with_the_service_speaks_of_no_certificate() -> None:
    backup = section(Matter.SERVICE, names=("The daily backup",), until=None)
    assert problem_message([backup], NOW).subject == "The daily backup fails again and again"
    assert problem_message([section(Matter.SERVICE, is_over=True, names=("Housekeeping",))], NOW).subject == (
        "Housekeeping works again"
    )
    both = section(Matter.SERVICE, names=("The daily backup", "Housekeeping"), certificates=2, until=None)
    assert "What:   2 duties of the service fail again and again." in problem_message([both], NOW).text
    assert problem_message([backup, section()], NOW).subject == "2 problems; the first expires 2026-12-01"


def test_what_has_expired_says_so() -> None:
    message = problem_message([section(until=NOW - timedelta(hours=1))], NOW)
    assert message.subject.endswith("; expired 2026-11-20")
    assert "It expired 2026-11-20 11:00 UTC, 1 hour ago." in message.text


def test_a_summary_counts_and_says_what_is_open() -> None:
    tally = Tally(since=NOW - timedelta(days=7))
    for n in range(30):
        tally = tally.plus("certificate-issued", f"host{n}").plus("deployed", f"host{n}")
    message = summary_message(tally, 2, NOW)
    assert message.subject == "Certificates: 30 issued, 30 deployed"
    assert "host9, and others" in message.text
    assert "State:  2 with open problems: certwright status" in message.text


def test_the_other_messages_name_the_channel() -> None:
    assert "channel test mail" in channel_message("mail", "It refuses.", NOW).text
    assert "'mail'" in trial_message("mail", NOW).text


ODD = st.text(st.characters(), min_size=0, max_size=60) | st.sampled_from(
    ["a\r\nBcc: all@contoso.com", "<script>alert(1)</script>", "\ud800", "&amp;\x00\x1b[31m", "\u2028x"]
)


@given(ODD, ODD, ODD)
def test_whatever_a_peer_wrote_neither_breaks_a_line_nor_a_page(message: str, hint: str, title: str) -> None:
    told = problem_message([section(message=message, hint=hint, names=(title,))], NOW)
    assert len(told.subject.splitlines()) == 1
    assert all(line[:8].rstrip() in {"What:", "Why:", "Since:", "Until:", "Next:"} for line in told.text.splitlines())
    assert Words(told.html).tags == {"html", "body", "table", "tr", "th", "td"}
    assert Message.model_validate_json(told.model_dump_json()) == told
