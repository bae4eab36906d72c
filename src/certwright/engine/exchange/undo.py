"""Take back what was deployed and verified, because a person wishes it: planned, seen, carried out, looked at."""

from collections.abc import Sequence

from certwright.domain.audit import Action
from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.deploy import take_back
from certwright.engine.deployment import TaskResult
from certwright.engine.exchange.agreement import Agreement
from certwright.engine.exchange.deployment import Planned, refuse_unfinished
from certwright.engine.exchange.reach import exchange_tasks, progress
from certwright.engine.material import current_version
from certwright.engine.task import make_task
from certwright.store.managed import subject

_PLANS = Agreement("undo", "exchange undo {} --dry-run")


def plan(engine: Engine, reference: str) -> list[Planned]:
    """What puts back what was in use before the last deployment; kept, so that it can be applied by its hash.

    A certificate that has ended, was revoked or has no key is put back nowhere: the plan says so.

    Raises:
        ConfigurationError: if no task deploys to Exchange, or none has put the current version to use.
        NeedsPerson: if an earlier deployment is still to be taken back.
        Unreachable, DeploymentError: if a server cannot be read.
    """
    refuse_unfinished(engine, reference)
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        version = current_version(unit, managed)
        tasks = exchange_tasks(managed)
        in_use = [task for task in tasks if (state := unit.deployments.get(task.id)) and state.in_use == version.id]
    if not in_use:
        raise ConfigurationError(
            f"The current version of {managed.title!r} is not in use on Exchange: there is nothing to take back.",
            hint="A deployment that fails is taken back by itself.",
        )
    planned = []
    for task in in_use:
        made = make_task(engine, managed, version, task, progress(engine), (), attended=True)
        planned.append(Planned(managed, task, _PLANS.keep(engine, task, made.plan_undo())))
    return planned


def apply(engine: Engine, reference: str, hashes: Sequence[str], *, anytime: bool = False) -> list[TaskResult]:
    """Carry out plans of `plan` that a person has seen, each only if it is still what has to be done.

    Nothing but a person puts the version that was taken back to use again; a newer one is deployed as always.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        hashes: the plans agreed to; a prefix of eight digits is enough.
        anytime: whether the person wishes it though the maintenance window is closed.

    Raises:
        ConfigurationError: if a hash is too short, or no plan of the certificate has it; then nothing is done.
    """
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
    agreed = _PLANS.agreed(engine, managed, hashes)
    engine.note(Action.UNDONE, subject(managed), {"plans": [one.digest for one in agreed.values()]})
    results = []
    for task, seen in agreed.items():
        results.append(take_back(engine, managed.id, task, _PLANS.still(seen, reference), anytime=anytime))
    return results
