"""Who may say where a private key is deployed to: whoever may take private keys out, since that is one way to do it."""

from collections.abc import Iterable, Mapping
from typing import Any

from certwright.domain.access import Permission
from certwright.domain.errors import Forbidden
from certwright.domain.managed import TaskSettings
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.sdk.params import read_params


def destinations(tasks: Iterable[TaskSettings]) -> set[str]:
    """Where these tasks send the private key, each place in words."""
    return {place for task in tasks for place in _destinations(task.kind, task.params)}


def require_keys(engine: Engine, kind: str, params: Mapping[str, Any], beside: Iterable[TaskSettings] = ()) -> None:
    """Return if a task with these parameters sends the key nowhere but where tasks `beside` send it, or the caller may.

    Raises:
        ConfigurationError: if a parameter is wrong, or there is no such kind of task.
        Forbidden: if the caller may not, naming the place.
    """
    refusal = "may not say where private keys go"
    require_destinations(engine, _destinations(kind, params), destinations(beside), refusal, "The private key")


def require_destinations(
    engine: Engine, wanted: Iterable[str], known: Iterable[str], refusal: str, secret: str
) -> None:
    """Return if all places are known, or the caller may take secrets out.

    Raises:
        Forbidden: if not, with the sentence that `refusal` begins, and where the `secret` would be sent.
    """
    told = set(map(str.lower, known))
    added = [place for place in sorted(wanted) if place.lower() not in told]
    if added and Permission.KEYS not in engine.caller.permissions:
        raise Forbidden(
            f"{engine.caller.actor} {refusal}: it takes the permission 'keys'.",
            causes=[f"{secret} would be sent to {place}." for place in added],
            hint="Have somebody do it once who may take private keys out, such as an administrator.",
        )


def _destinations(kind: str, params: Mapping[str, Any]) -> frozenset[str]:
    found = catalog.plugin("tasks", kind)
    named: frozenset[str] = found.cls.destinations(read_params(found.params, dict(params), kind))
    return named
