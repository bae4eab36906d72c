"""What DNS services have in common: an account has zones, and the records at a name are changed as a whole."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from certwright.domain.errors import SolverError
from certwright.rest.api import Answer, Denied
from certwright.sdk.journal import Journal

_SHOWN = 10
_ATTEMPTS = 5

V = TypeVar("V")
Merge = Callable[[list[V], list[V]], list[V]]
"""Given the values that stand at a name and others, those that shall stand there: `with_added` or `without`."""


def zones_seen(service: str, known: Sequence[str], credential: str) -> str:
    """One sentence for `DnsProvider.check`.

    Args:
        service: the vendor, as people call it.
        known: the names of the zones that the credential leads to.
        credential: the name of the stored credential.

    Raises:
        SolverError: if there is none: nothing can be proved with that.
    """
    if not known:
        raise SolverError(
            f"{service} accepts the credential, but shows it no zone.",
            hint=f"Let the key read and change your zone, or store one of the account that has it as {credential!r}.",
        )
    zones = "zone" if len(known) == 1 else f"{len(known)} zones"
    return f"{service} accepts the credential and shows it the {zones} {_listed(known)}."


def unknown_zone(service: str, zone: str, known: Sequence[str], credential: str) -> SolverError:
    """The error for a zone that the credential does not lead to; arguments as for `zones_seen`."""
    has = f"those it may see: {_listed(known)}" if known else "it may see none"
    return SolverError(
        f"{service} has no zone {zone} for this credential; {has}.",
        hint=f"Let the key change the zone {zone}, or store one of the account that has it as {credential!r}.",
    )


def change_each(zone_ids: Sequence[str], change: Callable[[str], None], journal: Journal) -> None:
    """Do `change` to each of the zones of one name, of which the key may have the right to some alone.

    Args:
        zone_ids: nothing tells which of them is delegated to.
        change: to one of them.
        journal: is told of those that do not let the key.

    Raises:
        Denied: if none lets it.
        SolverError: as `change` does for another reason.
    """
    denied: dict[str, Denied] = {}
    for zone_id in zone_ids:
        try:
            change(zone_id)
        except Denied as denial:
            denied[zone_id] = denial
    if len(denied) == len(zone_ids):
        raise next(iter(denied.values()))
    for zone_id, error in denied.items():
        told = " ".join([error.message, *map(str, error.causes)])
        journal.note(f"{zone_id} was left out, another zone of the same name was changed: {told}")


def with_added(present: list[V], values: list[V]) -> list[V]:
    """Those that are `present`, and of `values` those that are missing."""
    return [*present, *(value for value in values if value not in present)]


def without(present: list[V], values: list[V]) -> list[V]:
    """Those that are `present` but not in `values`."""
    return [value for value in present if value not in values]


def unless_overtaken(change: Callable[[], Answer | None], is_overtaken: Callable[[Answer], bool]) -> Answer | None:
    """Read and write again while somebody else's change comes in between, a few times.

    Args:
        change: reads, and writes on the condition that what it read still stands; None if nothing had to be written.
        is_overtaken: whether a refusal says that it does not.

    Returns:
        The last answer.
    """
    answer = change()
    for _ in range(_ATTEMPTS - 1):
        if answer is None or answer.is_success or not is_overtaken(answer):
            break
        answer = change()
    return answer


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more
