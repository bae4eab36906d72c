"""The report: what is in it, that nothing gets out of its place, and that it can be read without seeing it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.deployment import Severity
from certwright.exchange.judgement.checks import CHECKS
from certwright.exchange.judgement.doctor import Diagnosis, examine
from certwright.exchange.judgement.html import Html, tag
from certwright.exchange.judgement.report import html, text
from certwright.exchange.model import Binding, HostFacts, KeyStorage, Rival, ServerInfo, Unknown
from certwright.exchange.steps import parts, steps
from unit.exchange.organisations import (
    MAIL,
    NOW,
    OLD,
    addresses,
    facts,
    hybrid_connector,
    organisation,
    seen,
    server,
    wish,
)

HOSTILE = "<script>alert('x')</script>&\"'"
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed in its order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def told(self) -> str:
        return " ".join(self.words)


def ill(name: str = HOSTILE) -> Diagnosis:
    """An organisation with much to say, all of it under a name that somebody chose."""
    state = server(
        addresses=addresses("EX01", internal="ex01.contoso.local"),
        away=name,
        dag=name,
        host=HostFacts(bindings=(Binding("10.0.0.5:443:", 1, name),), keys=(KeyStorage(OLD, "", "", (name,)),)),
    )
    snapshot = organisation(
        state,
        organisation=name,
        send_connectors=(hybrid_connector(name=name, identity=name),),
        rivals=(Rival(name, name, name, name),),
        edges=(ServerInfo(name, name, is_edge=True),),
        unknown=(Unknown(name, name, name),),
    )
    wanted = wish(facts=facts(MAIL, extended_key_usage=("1.3.6.1.5.5.7.3.1",), subject=name))
    return examine(snapshot, NOW, wish=wanted, ours={OLD: name})


def test_the_page_holds_every_finding_and_its_next_step() -> None:
    diagnosis = ill("Contoso")
    told = Reader(html(diagnosis)).told
    for finding in diagnosis.findings:
        assert finding.message in told
        assert CHECKS[finding.check].title in told
        assert all(line in told for _, part in parts(finding.remedy) for line in part.splitlines())
    assert all(name.name in told for name in diagnosis.names)
    assert all(certificate.thumbprint in told for one in diagnosis.servers for certificate in one.certificates)
    assert all(check.title in told for check in diagnosis.clean)


def test_names_from_the_network_are_text_and_nothing_else() -> None:
    page = Reader(html(ill()))
    assert HOSTILE in page.told
    assert not {"script", "img", "iframe", "link", "object", "form", "a"} & {name for name, _ in page.elements}


@given(st.text(min_size=1, max_size=60))
def test_no_name_breaks_the_page(name: str) -> None:
    plain = Reader(html(ill("Contoso")))
    assert [element for element, _ in Reader(html(ill(name))).elements] == [e for e, _ in plain.elements]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = html(ill())
    elements = Reader(page).elements
    assert not [attributes for _, attributes in elements if {"src", "href", "style", "onload"} & attributes.keys()]
    assert not re.search(r"url\(|@import|https?:", page[: page.index("</style>")])
    policy = next(a["content"] for e, a in elements if e == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_heard() -> None:
    elements = Reader(html(ill())).elements
    levels = [int(name[1]) for name, _ in elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    names = [name for name, _ in elements]
    assert names.count("table") == names.count("caption") > 1
    assert all(attributes.get("scope") in {"col", "row"} for name, attributes in elements if name == "th")
    assert ("html", {"lang": "en"}) in elements
    assert "main" in names


def test_the_page_is_for_small_screens_paper_and_the_dark() -> None:
    page = html(ill())
    assert 'name="viewport"' in page
    for query in ("prefers-color-scheme:dark", "max-width:", "@media print"):
        assert query in page


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, "Nothing stops a deployment; 2 things need a look."),
        ({"key": "ecdsa-p256"}, "1 thing stops a deployment."),
    ],
)
def test_the_verdict_is_one_sentence(changed: dict[str, Any], sentence: str) -> None:
    rivals = (Rival("EX01", "win-acme", "task"), Rival("EX01", "Certify", "service"))
    diagnosis = examine(organisation(rivals=rivals), NOW, wish=wish(facts=replace(facts(), **changed)), rows=(seen(),))
    assert sentence in text(diagnosis)
    assert sentence in Reader(html(diagnosis)).told


def test_a_healthy_organisation_is_called_so() -> None:
    diagnosis = examine(organisation(), NOW, rows=(seen(),))
    assert diagnosis.of(Severity.WARN) == ()
    assert "Nothing stops a deployment, and nothing needs a look." in text(diagnosis)
    assert "Read on 2026-11-22 at 12:00 UTC from 1 server. Nothing was changed." in text(diagnosis)


def test_what_was_not_seen_is_not_called_in_order() -> None:
    diagnosis = examine(organisation(server(), server("EX02", components=None)), NOW)
    for told in (text(diagnosis), Reader(html(diagnosis)).told):
        assert "Unattended work stays off: one thing that it needs was not seen." in told
        unknown, _, clean = told.partition("Not known")[2].partition("Found in order")
        assert "Servers being worked on: EX02" in unknown
        assert "What ports serve: EX01, EX02" in unknown
        assert "Servers being worked on" not in clean
        assert "Exchange Back End" in clean


def test_commands_stand_whole_on_their_lines_in_the_text() -> None:
    diagnosis = ill("Contoso")
    lines = [line.strip() for line in text(diagnosis).splitlines()]
    advice = (part for finding in diagnosis.findings for part in parts(finding.remedy))
    told = [command for are_commands, part in advice if are_commands for command in part.split("\n")]
    assert told
    assert all(command in lines for command in told)
    assert all(len(line) <= 100 for line in text(diagnosis).splitlines() if line.startswith(("* ", "  > ")))


def test_markup_is_told_from_text() -> None:
    assert tag("p", "<b>", Html("<b>x</b>"), class_='"', data_label="a&b", title="") == (
        '<p class="&quot;" data-label="a&amp;b">&lt;b&gt;<b>x</b></p>'
    )


def test_steps_are_taken_apart_again() -> None:
    assert list(parts(steps("Do this:", "one", "two"))) == [(False, "Do this:"), (True, "one\ntwo")]
    assert list(parts("")) == []


@given(st.text(), st.text())
def test_no_name_becomes_a_command_of_its_own(sentence: str, name: str) -> None:
    (_, told), (are_commands, commands) = parts(steps(f"Disable {sentence}:", f"Disable-ScheduledTask {name}"))
    assert told.startswith("Disable ")
    assert are_commands
    assert commands.startswith("Disable-ScheduledTask ")
    assert "\n" not in told + commands
