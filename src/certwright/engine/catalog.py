"""The plugins there are. Folders are advertised by entry points; a module is imported only when it is asked for."""

import difflib
import importlib
import inspect
import logging
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, cast

from certwright.domain.errors import ConfigurationError
from certwright.sdk.issuer import IssuerPlugin
from certwright.sdk.params import Params
from certwright.sdk.solver import Solver
from certwright.sdk.task import Task

Kind = Literal["issuers", "solvers", "tasks"]
_BASES: dict[Kind, type[Any]] = {"issuers": IssuerPlugin, "solvers": Solver, "tasks": Task}
log = logging.getLogger("certwright")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin module: `page` is its docstring, `params` and `cls` what it defines."""

    name: str
    page: str
    params: type[Params]
    cls: type[Any]


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
def plugin(kind: Kind, name: str) -> Plugin:
    """The plugin of this name.

    Raises:
        ConfigurationError: if there is none, or a library that it needs is not installed.
    """
    known = names(kind)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(known))}."
        raise ConfigurationError(f"There is no {kind.removesuffix('s')} {name!r}.", hint=hint)
    try:
        module = importlib.import_module(known[name])
    except ImportError as error:
        raise _unavailable(
            kind, name, str(error), "Install the library it needs, or the extra of Certwright that brings it."
        ) from error
    except Exception as error:
        reason = f"{known[name]} is broken: {type(error).__name__}: {error}"
        raise _unavailable(kind, name, reason, "Tell its author.") from error
    base = _BASES[kind]
    members = [m for _, m in inspect.getmembers(module, inspect.isclass) if m.__module__ == module.__name__]
    found = [m for m in members if issubclass(m, base)]
    if len(found) != 1:
        raise _unavailable(kind, name, f"{known[name]} has {len(found)} classes of that kind", "Tell its author.")
    cls: Any = found[0]
    return Plugin(name, inspect.getdoc(module) or "", cast("type[Params]", cls.Params), cls)


def _unavailable(kind: Kind, name: str, reason: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"The {kind.removesuffix('s')} {name!r} is unavailable: {reason}.", hint=hint)
