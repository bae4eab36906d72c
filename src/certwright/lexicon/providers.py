"""Which providers dns-lexicon has, and their command-line arguments as fields of a parameters model.

The library declares neither what is secret nor what is needed: both are told by rules from names and descriptions,
which the tests hold against every provider.
"""

import re
import sys
from argparse import Action, ArgumentParser
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, SecretStr, create_model

from certwright.domain.errors import ConfigurationError

DISTRIBUTION = "dns-lexicon"
_MODULES = "lexicon._private.providers"
_NOT_OURS = {"auto", "base"}  # the one guesses a provider, which a credential names; the other is none
_ALIASES = ("lexicon.cli", "lexicon.discovery", "lexicon.parser")  # warn whoever looks through all modules
_OF_SRV_RECORDS = {"weight", "port"}
_EXTRA = re.compile(r"""([\w.-]+).*;\s*extra\s*==\s*['"]([\w-]+)['"]""")
_SECRET = re.compile(r"token|secret|passw|_pass(_phrase)?$|_psw$|_2fa$|(^|_)key(_content)?$|service_account_info$")
_USER_THAT_IS_A_KEY = re.compile(r"(?i)(api|access)[-_ ]key for authentication")
_NEEDED = re.compile(r"^auth_user(name)?$|server$|host$|endpoint$|^filename$")
_CONDITION = re.compile(r"(?i)\bonly\b|\bif\b|optional|alternative")
_TITLES = (
    re.compile(r"Provider (?:(?:class|clss|implementation) )?for (?:an? )?(.+?)(?: at \S+)?(?: or)?$"),
    re.compile(r"(?i)(?:Provider?|Implements the DNS) (.+?) (?:(?:API )?implementation|provider)"),
)

M = TypeVar("M", bound=BaseModel)


def names() -> list[str]:
    """The providers; none is imported.

    Raises:
        ConfigurationError: if dns-lexicon is not installed.
    """
    spec = find_spec("lexicon")
    places = (spec and spec.submodule_search_locations) or ()
    folders = [str(Path(place, *_MODULES.split(".")[1:])) for place in places]
    found = {module.name for module in iter_modules(folders)} - _NOT_OURS
    if not found:
        raise ConfigurationError(
            "The DNS providers of dns-lexicon are unavailable: the library is not installed.",
            hint="pip install 'certwright[lexicon]'",
        )
    return sorted(found)


def needs(name: str) -> list[str]:
    """The packages that the provider needs beside dns-lexicon itself."""
    return _extras().get(name, [])


def missing(name: str) -> str:
    """Those of them that are not installed; empty if it can be used."""
    return ", ".join(filter(_is_missing, needs(name)))


@cache
def _extras() -> dict[str, list[str]]:
    """What the library declares that some of its providers need in addition."""
    found: dict[str, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or ():
        if match := _EXTRA.match(requirement):
            found.setdefault(match[2], []).append(match[1])
    return found


def provider_class(name: str) -> Any:
    """The library's own class; `name` is one of `names`."""
    module = import_module(f"{_MODULES}.{name}")
    for alias in _ALIASES:
        sys.modules.pop(alias, None)
    return module.Provider


def title(name: str) -> str:
    """The service's name as the library writes it, or else as the provider is called."""
    first = (provider_class(name).__doc__ or "").strip().partition("\n")[0].rstrip(".")
    found = next(filter(None, (pattern.match(first) for pattern in _TITLES)), None)
    return found[1] if found else name


def parameters(name: str, base: type[M]) -> type[M]:
    """`base` with a field for each argument of the provider."""
    parser = ArgumentParser(add_help=False)
    provider_class(name).configure_parser(parser)
    # argparse shows what was added in no other way.
    actions = {a.dest: a for a in parser._actions if a.dest not in _OF_SRV_RECORDS}  # noqa: SLF001
    groups = [group._group_actions for group in parser._mutually_exclusive_groups]  # noqa: SLF001
    one_of = {action.dest for group in groups for action in group}
    if {"auth_token", "auth_password"} <= actions.keys() or any(map(_offers_a_choice, actions.values())):
        one_of |= {dest for dest in actions if dest.startswith("auth_")}
    fields: dict[str, Any] = {dest: _field(a, is_one_of_several=dest in one_of) for dest, a in actions.items()}
    return create_model(f"{name}_Params", __base__=base, __module__=__name__, **fields)


def is_secret(argument: str, description: str) -> bool:
    """Whether an argument holds what nobody may see: by its name, or by its description if it is called a user."""
    if "user" in argument:
        return bool(_USER_THAT_IS_A_KEY.search(description))
    return bool(_SECRET.search(argument))


def _offers_a_choice(action: Action) -> bool:
    """Whether an argument with which one signs in can be replaced by others."""
    return is_secret(action.dest, "") and bool(_CONDITION.search(action.help or ""))


def _field(action: Action, *, is_one_of_several: bool) -> tuple[Any, Any]:
    """Type and field of an argument."""
    words = " ".join((action.help or action.dest).split())
    words = re.sub(r"(?i)^(?:\(optional\) )?specify (?:an? |the )?", "", words).rstrip(".;=")
    description = f"{words[:1].upper()}{words[1:]}."
    if action.nargs == 0:
        return bool, Field(default=False, description=description)
    if action.choices:
        return Literal[tuple(action.choices)] | None, Field(default=action.default, description=description)
    secret = is_secret(action.dest, words)
    kind: Any = SecretStr if secret else action.type or str
    wanted = action.default is None and not is_one_of_several and not _CONDITION.search(words)
    if action.required or (wanted and (secret or _NEEDED.search(action.dest))):
        return kind, Field(description=description)
    return kind | None, Field(default=action.default, description=description)


def _is_missing(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return True
    return False
