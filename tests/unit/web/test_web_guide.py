"""The guide within the pages: every chapter, its links, and the sections that pages lead to."""

import re
from html import escape
from pathlib import Path

import pytest

from certwright.domain.errors import NotFound
from certwright.web.app import PAGES
from certwright.web.guide import chapter
from certwright.web.pages import Page
from certwright.web.sections import section

CHAPTERS = sorted(path.stem for path in (Path(__file__).parents[3] / "docs" / "guide").glob("*.md"))
PATHS = sorted({page.path for page in PAGES if page.method == "GET"})


@pytest.mark.parametrize("name", CHAPTERS)
def test_links_lead_to_chapters_or_into_the_web(name: str) -> None:
    title, text = chapter(name)
    assert title
    for target in re.findall(r'href="([^"]*)"', text):
        assert re.match(r"(/guide/[a-z0-9-]+(#|$)|#|https://)", target), target
        if target.startswith("/guide/"):
            assert target.removeprefix("/guide/").partition("#")[0] in CHAPTERS


@pytest.mark.parametrize("path", PATHS)
def test_a_page_leads_to_a_section_that_is_there(path: str) -> None:
    name, _, anchor = section(path).partition("#")
    assert f'id="{anchor}"' in chapter(name)[1]
    assert anchor != "the-pages", "every page has a section of its own"


@pytest.mark.parametrize("page", [page for page in PAGES if page.label], ids=lambda page: page.path)
def test_the_section_of_an_entry_has_its_name(page: Page) -> None:
    name, _, anchor = section(page.path).partition("#")
    assert f'id="{anchor}">{escape(page.label)}</h' in chapter(name)[1]


@pytest.mark.parametrize("name", ["", "nothing", "../../../etc/passwd", "..%2f"])
def test_there_is_nothing_else(name: str) -> None:
    with pytest.raises(NotFound):
        chapter(name)
