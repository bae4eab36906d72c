"""Runs whose process is gone: nobody is at work on what they began, and that is told as soon as it is known."""

from contextlib import suppress

from certwright.domain.errors import LeaseHeld, NotFound
from certwright.engine.context import Engine
from certwright.engine.schedule import reschedule
from certwright.store.leases import CERTIFICATE

_MOST = 200


def close_dead_runs(engine: Engine) -> None:
    """Close the runs whose lease nobody holds any more, and judge anew how their certificates are."""
    with engine.store.read() as unit:
        held = {lease.name for lease in unit.leases.held(engine.now())}
        open_ones = {run.managed_id for run in unit.runs.under_way(_MOST)}
    for managed_id in sorted(open_ones):
        if f"{CERTIFICATE}{managed_id}" not in held:
            with suppress(LeaseHeld, NotFound), engine.changing(managed_id) as (unit, managed):
                reschedule(engine, unit, managed)
