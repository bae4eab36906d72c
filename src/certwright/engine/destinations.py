"""Who may say where a private key is deployed to: whoever may take private keys out, since that is one way to do it."""

from collections.abc import Mapping
from typing import Any

from certwright.domain.access import Permission
from certwright.domain.errors import Forbidden
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.sdk.params import read_params


def require_keys(engine: Engine, kind: str, params: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
    """Return if a task with these parameters sends no key elsewhere than with those `before`, or the caller may.

    Raises:
        ConfigurationError: if a parameter is wrong, or there is no such kind of task.
        Forbidden: if the caller may not, naming the place.
    """
    known = frozenset() if before is None else {place.lower() for place in _destinations(kind, before)}
    added = [place for place in sorted(_destinations(kind, params)) if place.lower() not in known]
    if added and Permission.KEYS not in engine.caller.permissions:
        raise Forbidden(
            f"{engine.caller.actor} may not say where private keys go: it takes the permission 'keys'.",
            causes=[f"The certificate's private key would be sent to {place}." for place in added],
            hint="Have somebody who may take private keys out describe it, such as an administrator; running it then "
            "takes 'edit'.",
        )


def _destinations(kind: str, params: Mapping[str, Any]) -> frozenset[str]:
    found = catalog.plugin("tasks", kind)
    named: frozenset[str] = found.cls.destinations(read_params(found.params, dict(params), kind))
    return named
