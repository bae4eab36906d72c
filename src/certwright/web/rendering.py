"""How a page is written: its templates, and what all of them can use."""

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.templating import Jinja2Templates

from certwright.domain.errors import ConfigurationError
from certwright.domain.fingerprints import short
from certwright.sdk.fields import in_line
from certwright.web.exchange_words import in_words, used
from certwright.web.forms import label
from certwright.web.language import _, language, ngettext
from certwright.web.next_steps import found_at, linked, mending
from certwright.web.proving import proof
from certwright.web.sections import section

HERE = Path(__file__).parent
STATIC = HERE / "static"
_DIGITS = 12


def moment(value: datetime) -> str:
    """A moment for people; `static/time.js` shows it in their own zone."""
    return f"{value:%Y-%m-%d %H:%M} UTC"


def translated(text: str) -> str:
    """This in the language of the request, as text.

    `_` in a template is for what is written there alone: Jinja takes its argument for HTML in which `%` has a meaning.
    """
    return _(text) if text else ""


@cache
def static(name: str) -> str:
    """The address of a file for browsers, which changes with the file, so that they may keep it.

    Raises:
        ConfigurationError: if there is none.
    """
    try:
        digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"The file {name} of the pages is missing.",
            hint="It is brought when the package is built; in a checkout: .venv/bin/python hatch_build.py",
        ) from error
    return f"/static/{name}?v={digest[:_DIGITS]}"


def _shared(request: Request) -> dict[str, object]:
    return {"language": language(), "guide": section(request.url.path)}


TEMPLATES = Jinja2Templates(HERE / "templates", context_processors=[_shared])
TEMPLATES.env.trim_blocks = TEMPLATES.env.lstrip_blocks = True
TEMPLATES.env.add_extension("jinja2.ext.i18n")
TEMPLATES.env.policies["ext.i18n.trimmed"] = True
TEMPLATES.env.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined] # by the extension
TEMPLATES.env.filters["moment"] = moment
TEMPLATES.env.filters["translated"] = translated
TEMPLATES.env.filters["label"] = label
TEMPLATES.env.filters["linked"] = linked
TEMPLATES.env.filters["mending"] = mending
TEMPLATES.env.filters["found_at"] = found_at
TEMPLATES.env.filters["in_line"] = in_line
TEMPLATES.env.filters["in_words"] = in_words
TEMPLATES.env.filters["proof"] = proof
TEMPLATES.env.filters["short"] = short
TEMPLATES.env.filters["used"] = used
TEMPLATES.env.globals["static"] = static
