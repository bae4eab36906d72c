"""The words of the pages in the language of whoever reads them.

`_` and `ngettext` mark and translate; `later` marks what is translated when it is shown, in templates by the filter
`translated`. The catalogues are in `locale`, one a language, and `make words` collects into them what is marked. What
Certwright itself says (errors, the journal) is English, as in the log and at the command line.
"""

import gettext
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import polib

FOLDER = Path(__file__).parent / "locale"
DOMAIN = "pages"
SOURCE = "en"
"""The language that the words are written in."""

_current: ContextVar[str] = ContextVar("language", default=SOURCE)


def _(text: str) -> str:
    """This, in the language of the request."""
    return _catalogue(_current.get()).gettext(text)


def ngettext(one: str, many: str, count: int) -> str:
    """What fits this count, in the language of the request."""
    return _catalogue(_current.get()).ngettext(one, many, count)


def later(text: str) -> str:
    """This as it is; whoever shows it translates it."""
    return text


def language() -> str:
    """The language of the request."""
    return _current.get()


@cache
def languages() -> frozenset[str]:
    """Those that there are."""
    return frozenset({SOURCE, *(path.name for path in FOLDER.iterdir() if path.is_dir())})


@contextmanager
def spoken(accepted: str) -> Iterator[None]:
    """Have the block, and what it starts, speak what a browser's `Accept-Language` (RFC 9110) prefers."""
    token = _current.set(_choose(accepted))
    try:
        yield
    finally:
        _current.reset(token)


def catalogue_file(name: str) -> Path:
    """Where the words of a language are."""
    return FOLDER / name / "LC_MESSAGES" / f"{DOMAIN}.po"


def _choose(accepted: str) -> str:
    weighed = []
    for place, part in enumerate(accepted.split(",")):
        name, _separator, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, name.partition("-")[0].lower()))
        except ValueError:
            continue
    return next((name for weight, _place, name in sorted(weighed) if weight and name in languages()), SOURCE)


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == SOURCE:
        return gettext.NullTranslations()
    return gettext.GNUTranslations(io.BytesIO(polib.pofile(str(catalogue_file(name))).to_binary()))
