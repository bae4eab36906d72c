"""The plugins there are. Folders are advertised by entry points; a module is imported only when it is asked for."""

import difflib
import importlib
import inspect
import logging
import pkgutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Literal, cast

from certwright.domain.errors import ConfigurationError
from certwright.sdk.dns import DnsProvider
from certwright.sdk.issuer import IssuerPlugin
from certwright.sdk.notifier import Notifier
from certwright.sdk.params import Params
from certwright.sdk.solver import Solver
from certwright.sdk.task import Task

Kind = Literal["issuers", "solvers", "dns", "tasks", "notifications"]
_BASES: dict[Kind, type[Any]] = {
    "issuers": IssuerPlugin,
    "solvers": Solver,
    "dns": DnsProvider,
    "tasks": Task,
    "notifications": Notifier,
}
TITLES: dict[Kind, str] = {
    "issuers": "issuer",
    "solvers": "solver",
    "dns": "DNS provider",
    "tasks": "task",
    "notifications": "notification channel",
}
_MOST_NAMED = 30
log = logging.getLogger("certwright")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin module: `page` is its docstring, `params` and `cls` what it defines."""

    name: str
    page: str
    params: type[Params]
    cls: type[Any]

    @property
    def sentence(self) -> str:
        """What it is, in one."""
        return " ".join(self.page.split("\n\n", maxsplit=1)[0].split())


@cache
def names(kind: Kind) -> dict[str, str]:
    """Name of plugin -> its module, of all installed packages, without importing any plugin."""
    found: dict[str, str] = {}
    for entry in sorted(entry_points(group=f"certwright.{kind}"), key=lambda e: e.name != "builtin"):
        try:
            package = importlib.import_module(entry.module)
        except Exception as error:  # noqa: BLE001 - a third party's package may be broken in any way; the others work on
            log.warning("The plugins of %s cannot be loaded: %s: %s", entry.module, type(error).__name__, error)
            continue
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                found.setdefault(module.name, f"{entry.module}.{module.name}")
    return found


@cache
def members(kind: Kind, name: str) -> Mapping[str, str]:
    """What the plugin module `name` has in place of one plugin: by name what is to be installed for each, or nothing.

    Raises:
        ConfigurationError: as `plugin`.
    """
    module = _module(kind, name)
    found: Mapping[str, str] = module.members() if hasattr(module, "members") else {}
    return found


@cache
def plugin(kind: Kind, name: str) -> Plugin:
    """The plugin of this name, which is ``MODULE:MEMBER`` for one of `members`.

    Raises:
        ConfigurationError: if there is none, or a library that it needs is not installed.
    """
    first, colon, member = name.partition(":")
    several = members(kind, first)
    if colon and member not in several:
        raise _unknown(kind, name, [f"{first}:{each}" for each in several])
    if several and not colon:
        raise ConfigurationError(
            f"The {TITLES[kind]} {name!r} stands for many.", hint=f"Write {name}:NAME, with the name of one of them."
        )
    module = _module(kind, first)
    cls: Any = module.member(member) if several else _only_class(kind, module)
    return Plugin(name, inspect.getdoc(cls if several else module) or "", cast("type[Params]", cls.Params), cls)


def _only_class(kind: Kind, module: ModuleType) -> type[Any]:
    base = _BASES[kind]
    classes = [m for _, m in inspect.getmembers(module, inspect.isclass) if m.__module__ == module.__name__]
    found = [m for m in classes if issubclass(m, base)]
    if len(found) != 1:
        name = module.__name__.rpartition(".")[2]
        reason = f"{module.__name__} has {len(found)} classes of that kind"
        raise _unavailable(kind, name, reason, "Tell its author.")
    return found[0]


def _module(kind: Kind, name: str) -> ModuleType:
    known = names(kind)
    if name not in known:
        raise _unknown(kind, name, known)
    try:
        return importlib.import_module(known[name])
    except ImportError as error:
        raise _unavailable(
            kind, name, str(error), "Install the library it needs, or the extra of Certwright that brings it."
        ) from error
    except Exception as error:
        reason = f"{known[name]} is broken: {type(error).__name__}: {error}"
        raise _unavailable(kind, name, reason, "Tell its author.") from error


def _unknown(kind: Kind, name: str, known: Collection[str]) -> ConfigurationError:
    close = difflib.get_close_matches(name, known, n=1)
    some = sorted(known)[:_MOST_NAMED]
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(some)}{more}."
    return ConfigurationError(f"There is no {TITLES[kind]} {name!r}.", hint=hint)


def _unavailable(kind: Kind, name: str, reason: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"The {TITLES[kind]} {name!r} is unavailable: {reason}.", hint=hint)
