"""Who may have programs run, and files written where somebody chose; and where, whoever it is."""

from collections.abc import Mapping
from typing import Any

from certwright.domain.access import Permission
from certwright.engine import catalog
from certwright.engine.admission import admitted
from certwright.engine.context import Engine
from certwright.sdk.params import read_params
from certwright.sdk.plugin import Plugin


def require_commands(engine: Engine, kind: catalog.Kind, name: str, params: Mapping[str, Any]) -> None:
    """Return if the plugin does no such thing, or the caller may have it done, and the administrator allows it there.

    Raises:
        Forbidden: if the caller may not.
        ConfigurationError: if the administrator has not allowed the place, a parameter is wrong, or there is no such
            plugin.
    """
    found = catalog.plugin(kind, name)
    if found.cls.commands:
        engine.caller.require(Permission.COMMANDS)
        found.cls.check_places(read_params(found.params, dict(params), name), engine.places)


def require_to_run(engine: Engine, works: Plugin[Any, Any] | type[Plugin[Any, Any]]) -> None:
    """Return if it does no such thing, or who has it work may have it done at this moment: the service may.

    Raises:
        Forbidden: if not, whoever described it.
    """
    if works.commands:
        admitted(engine).caller.require(Permission.COMMANDS)


def may_run(engine: Engine, works: Plugin[Any, Any] | type[Plugin[Any, Any]]) -> bool:
    """Whether it does no such thing, or who has it work now may have it done."""
    return not works.commands or Permission.COMMANDS in engine.caller.permissions
