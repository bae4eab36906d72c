"""Plans that a person has seen: kept, found again by their hash, and carried out while they are what has to be done."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from certwright.domain.deployment import Plan, basis_changes
from certwright.domain.errors import ConfigurationError, DeploymentError
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import Stage
from certwright.engine.context import Engine
from certwright.engine.exchange.reach import exchange_tasks
from certwright.exchange.deployment.changes import beyond

_SHORTEST = 8  # digits of a hash that a person has to give


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a person agrees to: `kind` is how its plans are kept, `command` makes one of them for a certificate."""

    kind: str
    command: str

    def keep(self, engine: Engine, task: TaskSettings, made: Plan) -> Plan:
        """Keep a plan, so that it can be agreed to."""
        with engine.store.write() as unit:
            unit.records.put(f"task:{task.id}", self.kind, made.model_dump(mode="json"), engine.now())
        return made

    def agreed(self, engine: Engine, managed: ManagedCertificate, hashes: Sequence[str]) -> dict[str, Plan]:
        """The plans that these hashes mean, by the task that each is of.

        Raises:
            ConfigurationError: if a hash is too short, or no plan of the certificate has it.
        """
        tasks = exchange_tasks(managed)
        with engine.store.read() as unit:
            stored = [(task.id, record) for task in tasks for record in unit.records.list(f"task:{task.id}", self.kind)]
        made = [(task, Plan.model_validate(record.value)) for task, record in stored]
        found: dict[str, Plan] = {}
        for digest in hashes:
            if len(digest) < _SHORTEST:
                told = f"{digest!r} is too short for a plan's hash: give at least {_SHORTEST} digits."
                raise ConfigurationError(told)
            meant = next(((task, one) for task, one in made if one.digest.startswith(digest.lower())), None)
            if meant is None:
                raise ConfigurationError(
                    f"No plan {digest} is known for {managed.title!r}.", hint=f"Make one: {self._again(managed.title)}"
                )
            found.setdefault(*meant)
        return found

    def still(self, agreed: Plan, reference: str) -> Callable[[Plan, Stage], None]:
        """Refuses a plan that is not the one agreed to, nor what a killed run has left of that; says what differs."""

        def check(now: Plan, stage: Stage) -> None:
            if now.digest == agreed.digest:
                return
            if stage is Stage.APPLYING:
                planned = beyond(now.changes, agreed.changes)
                if not planned:
                    return
                different: tuple[str, ...] = ()
            else:
                planned = now.changes
                different = basis_changes(agreed, now) or ("the changes are other ones",)
            told = [f"now planned: {change.target}: {change.typed or change.action}" for change in planned]
            raise DeploymentError(
                f"Nothing was changed: the plan {agreed.digest} is no longer what has to be done.",
                causes=[*different, *(told or ["now planned: nothing"])],
                hint=f"Look at the new plan, {now.digest}, and apply it: {self._again(reference)}",
            )

        return check

    def _again(self, reference: str) -> str:
        return f"certwright {self.command.format(shlex.quote(reference))}"
