"""The guide, as it came with this version: read without a network, and where each page's question mark leads."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import NotFound
from certwright.web.pages import Page, Visit
from certwright.web.rendering import HERE

_INSTALLED, _IN_CHECKOUT = HERE / "guide", HERE.parents[2] / "docs" / "guide"
_FOLDER = _INSTALLED if _INSTALLED.is_dir() else _IN_CHECKOUT
_CHAPTER = re.compile(r"^([a-z0-9-]+)\.md(#[\w-]+)?$")


def _guide(visit: Visit) -> Response:
    title, text = chapter(visit.request.path_params["name"])
    return visit.page("guide.html", title=title, text=text)


def _contents(visit: Visit) -> Response:
    chapters = sorted((chapter(path.stem)[0], path.stem) for path in _FOLDER.glob("*.md"))
    return visit.page("guide-contents.html", chapters=chapters)


@cache
def chapter(name: str) -> tuple[str, str]:
    """The title of a chapter, and the chapter as HTML.

    Raises:
        NotFound: if there is none.
    """
    known = {path.stem: path for path in _FOLDER.glob("*.md")}
    if name not in known:
        raise NotFound("The guide has no such chapter.", hint="See its contents: /guide")
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(known[name].read_text(encoding="utf-8"))
    title = _mark(tokens)
    return title, reader.renderer.render(tokens, reader.options, {})


def _mark(tokens: Sequence[Token]) -> str:
    """Give headings their names, and have links lead to chapters or nowhere; the title of the whole."""
    title = ""
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            title = title or inside.content
            opening.attrSet("id", slug(inside.content))
        for child in inside.children or ():
            if child.type == "link_open":
                _lead(child)
    return title


def _lead(link: Token) -> None:
    target = str(link.attrGet("href"))
    if found := _CHAPTER.match(target):
        link.attrSet("href", f"/guide/{found[1]}{found[2] or ''}")
    elif not target.startswith(("#", "https://")):
        del link.attrs["href"]  # into the repository, which is not here


def slug(heading: str) -> str:
    """The name of a heading in addresses, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


PAGES = (
    Page("/guide", Permission.READ, _contents),
    Page("/guide/{name}", Permission.READ, _guide),
)
