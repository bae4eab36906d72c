"""The words of the pages: collected, all of them translated, and chosen by what a browser asks for."""

import re
from collections.abc import Iterator
from enum import StrEnum

import polib
import pytest
import words

from certwright.domain import authorities
from certwright.domain.access import Role
from certwright.domain.actors import ActorKind
from certwright.domain.audit import Action, SubjectKind
from certwright.domain.deployment import Verdict
from certwright.domain.health_rules import Health
from certwright.domain.keys import KeySource
from certwright.domain.readiness import Readiness
from certwright.domain.rules import Digest, Matter
from certwright.domain.runs import Outcome, RunKind, Stage
from certwright.engine.revoke import REASONS
from certwright.exchange.account import JOBS
from certwright.exchange.judgement.names import Coverage
from certwright.exchange.judgement.status import Owner
from certwright.web.language import SOURCE, _, catalogue_file, language, languages, ngettext, spoken
from certwright.web.words import WORDS

OTHERS = sorted(languages() - {SOURCE})
PLACE = re.compile(r"%\(\w+\)[sd]")


def entries(name: str) -> Iterator[tuple[str, str]]:
    """Each text beside its translation."""
    for entry in polib.pofile(str(catalogue_file(name))):
        if entry.msgid_plural:
            yield from ((entry.msgid_plural, one) for one in entry.msgstr_plural.values())
        else:
            yield entry.msgid, entry.msgstr


@pytest.mark.parametrize("name", OTHERS)
def test_every_word_is_translated(name: str) -> None:
    assert words.missing(name) == [], "run make words, and translate what it names"


def test_what_pages_are_called_and_begin_is_marked() -> None:
    assert words.unmarked() == []


def test_templates_take_nothing_but_their_own_words_for_html() -> None:
    for template in (words.WEB / "templates").iterdir():
        assert re.findall(r"\b_\((?![\"'])", template.read_text(encoding="utf-8")) == [], template.name


@pytest.mark.parametrize("name", OTHERS)
def test_a_translation_fills_in_the_same(name: str) -> None:
    for text, translated in entries(name):
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(translated)), text


@pytest.mark.parametrize(
    "kind", [Health, RunKind, Outcome, Stage, Verdict, Role, KeySource, Action, SubjectKind, ActorKind]
)
def test_what_the_domain_names_has_a_word(kind: type[StrEnum]) -> None:
    assert {each.value for each in kind} <= set(WORDS)


@pytest.mark.parametrize("kind", [Readiness, Matter, Digest, Coverage])
def test_what_pages_show_of_tests_and_rules_has_a_word(kind: type[StrEnum]) -> None:
    assert {each.value for each in kind} <= set(WORDS)


def test_what_pages_show_of_exchange_has_a_word() -> None:
    assert {*Owner, *(job.purpose for job in JOBS)} - {Owner.OURS} <= set(WORDS)


def test_authorities_without_a_name_of_their_own_have_words() -> None:
    assert {each.title for each in authorities.CATALOGUE if not each.directory} <= set(WORDS)


def test_duties_and_reasons_have_words() -> None:
    duties = re.findall(r'Duty\("\w+", "([^"]+)"', (words.WEB.parent / "server" / "service.py").read_text("utf-8"))
    assert len(duties) > 5
    assert {*duties, *REASONS} <= set(WORDS)


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,en;q=0.5,de;q=0.7", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("de;q=0,en;q=0.1", "en"),
        ("*", "en"),
        ("de;q=x,../../etc", "en"),
    ],
)
def test_a_browser_is_spoken_to_as_it_asks(accepted: str, chosen: str) -> None:
    with spoken(accepted):
        assert language() == chosen


def test_counts_take_the_form_of_the_language() -> None:
    with spoken("de"):
        assert _("Overview") == "Übersicht"
        assert ngettext("%(num)d day left", "%(num)d days left", 1) == "noch %(num)d Tag"
        assert ngettext("%(num)d day left", "%(num)d days left", 3) == "noch %(num)d Tage"
    assert _("Overview") == "Overview"
