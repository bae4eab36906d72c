"""Collect the words of the pages into the catalogues, for whoever translates them.

    make words

A catalogue then has what is marked in `src/certwright/web`, what the models say from which forms are made, and nothing
else; translations stay, and those that are missing are named.
"""

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import polib
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

from certwright import web
from certwright.domain.credentials import SignIn
from certwright.engine import catalog
from certwright.engine.openid.params import ProviderParams
from certwright.sdk import fields
from certwright.sdk.params import Params
from certwright.web.forms import label
from certwright.web.language import SOURCE, catalogue_file, languages

WEB = Path(__file__).parents[1] / "src" / "certwright" / "web"
_TITLED = ("visit.begin", "visit.form")
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS = {"templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}


def collected() -> dict[str, str]:
    """What is marked, each with its plural if it has one."""
    found = extract_from_dir(WEB, _METHODS, _OPTIONS, keywords={**DEFAULT_KEYWORDS, "later": None})
    words: dict[str, str] = {}
    for _file, _line, message, _comments, _context in found:
        one, many = message if isinstance(message, tuple) else (message, "")
        words[one] = many or words.get(one, "")
    return dict.fromkeys(_of_forms(), "") | words


def _of_forms() -> Iterator[str]:
    """What pages say of plugins and of their own forms: each in a sentence, labels, help, and what can be chosen."""
    plugins = list(_plugins())
    yield from (plugin.sentence for plugin in plugins)
    yield from (kind.sentence for kind in SignIn)
    models: list[type[Params]] = [*(plugin.params for plugin in plugins), *_own(), ProviderParams]
    for model in dict.fromkeys(models):
        for name, info in model.model_fields.items():
            yield info.title or label(name)
            yield from fields.choices(info.annotation)
            if info.description:
                yield info.description


def _plugins() -> Iterator[catalog.Plugin]:
    for kind in get_args(catalog.Kind):
        for name in sorted(catalog.names(kind)):
            for member in catalog.members(kind, name) or ("",):
                yield catalog.plugin(kind, f"{name}:{member}" if member else name)


def _own() -> Iterator[type[Params]]:
    """The models in the modules of the pages."""
    for each in pkgutil.iter_modules(web.__path__, f"{web.__name__}."):
        module = importlib.import_module(each.name)
        for found in vars(module).values():
            if isinstance(found, type) and issubclass(found, Params) and found.__module__ == module.__name__:
                yield found


def missing(name: str) -> list[str]:
    """The words that this language lacks, or no longer needs."""
    words, known = collected(), _entries(name)
    lacking = [word for word, many in words.items() if not _is_translated(known.get(word), many)]
    return [*lacking, *(word for word in known if word not in words)]


def unmarked() -> list[str]:
    """The titles of pages and of what is begun there that nothing marks, and so nobody translates."""
    calls = (
        node
        for file in WEB.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _TITLED
    )
    return [ast.unparse(call.args[0]) for call in calls if isinstance(call.args[0], ast.Constant | ast.JoinedStr)]


def update(name: str) -> None:
    """Write the catalogue of this language anew."""
    known, file = _entries(name), polib.POFile(wrapwidth=100)
    file.metadata = polib.pofile(str(catalogue_file(name))).metadata
    for word, many in sorted(collected().items()):
        before = known.get(word)
        entry = polib.POEntry(msgid=word, msgid_plural=many, flags=["python-format"] if "%(" in word + many else [])
        if many:
            entry.msgstr_plural = (before and before.msgstr_plural) or {0: "", 1: ""}
        else:
            entry.msgstr = before.msgstr if before else ""
        file.append(entry)
    file.save(str(catalogue_file(name)))


def _entries(name: str) -> dict[str, polib.POEntry]:
    return {entry.msgid: entry for entry in polib.pofile(str(catalogue_file(name)))}


def _is_translated(entry: polib.POEntry | None, many: str) -> bool:
    if entry is None or entry.msgid_plural != many:
        return False
    return all(entry.msgstr_plural.values()) if many else bool(entry.msgstr)


def _report() -> Iterator[str]:
    yield from (f"{SOURCE}: mark {title}" for title in unmarked())
    for name in sorted(languages() - {SOURCE}):
        update(name)
        yield from (f"{name}: {word}" for word in missing(name))


if __name__ == "__main__":
    sys.exit("\n".join(_report()) or None)  # an empty sentence would be a failure too
