"""How far each deployment task has come, and what it must remember."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, bindparam, delete, insert, select, type_coerce

from certwright.domain.runs import DeploymentState
from certwright.store import rows
from certwright.store.schema import deployments, memory, targets

_GET = select(deployments.c.body).where(deployments.c.task_id == bindparam("task_id"))
_TARGETS = select(targets.c.target).where(targets.c.task_id == bindparam("task_id"))
_RECALL = select(memory.c.value).where((memory.c.task_id == bindparam("task_id")) & (memory.c.key == bindparam("key")))


@dataclass(frozen=True, slots=True)
class Deployments:
    """The deployments, by task; they and their memory go when the task is removed."""

    connection: Connection

    def get(self, task_id: str) -> DeploymentState | None:
        """How far the task has come; None if it never began."""
        return self.connection.scalar(_GET, {"task_id": task_id})

    def some(self, task_ids: Sequence[str]) -> dict[str, DeploymentState]:
        """How far those of these tasks have come that ever began."""
        query = select(deployments.c.task_id, deployments.c.body).where(deployments.c.task_id.in_(task_ids))
        return {row.task_id: row.body for row in self.connection.execute(query)}

    def save(self, state: DeploymentState) -> None:
        """Keep how far the task has come, in place of what was known, and on which servers."""
        mine = {"task_id": state.task_id, "managed_id": state.managed_id}
        rows.put(self.connection, deployments, {**mine, "body": state})
        known = self.connection.scalars(_TARGETS, {"task_id": state.task_id})
        if (wanted := {row.server for row in (*state.baseline, *state.served)}) != set(known):
            self.connection.execute(delete(targets).where(targets.c.task_id == state.task_id))
            if wanted:
                self.connection.execute(insert(targets), [{"target": each, **mine} for each in sorted(wanted)])

    def refused(self) -> Sequence[DeploymentState]:
        """Those that cannot succeed before somebody changes something."""
        is_refused = type_coerce(deployments.c.body, String).contains('"retryable":false')
        return self.connection.scalars(select(deployments.c.body).where(is_refused)).all()

    def texts(self, task_ids: Sequence[str]) -> str:
        """All that is kept of these tasks, as JSON: what is not mentioned here, no deployment knows."""
        states = select(type_coerce(deployments.c.body, String)).where(deployments.c.task_id.in_(task_ids))
        remembered = select(memory.c.value).where(memory.c.task_id.in_(task_ids))
        return "\n".join(text for query in (states, remembered) for text in self.connection.scalars(query))

    def remembering(self, key: str) -> Sequence[tuple[str, str]]:
        """The managed certificates with the tasks of theirs that remember something under `key`."""
        both = deployments.join(memory, deployments.c.task_id == memory.c.task_id)
        ids = select(deployments.c.managed_id, deployments.c.task_id).select_from(both).where(memory.c.key == key)
        return [(managed_id, task_id) for managed_id, task_id in self.connection.execute(ids)]

    def memory_get(self, task_id: str, key: str, default: Any = None) -> Any:
        """What the task put last under `key`."""
        text = self.connection.scalar(_RECALL, {"task_id": task_id, "key": key})
        return default if text is None else json.loads(text)

    def memory_put(self, task_id: str, key: str, value: Any) -> None:
        """Keep a JSON value for the task; nothing secret, it is not encrypted."""
        rows.put(self.connection, memory, {"task_id": task_id, "key": key, "value": json.dumps(value)})

    def memory_owners(self, key: str) -> tuple[str, ...]:
        """Who has put something under `key`."""
        owners = select(memory.c.task_id).where(memory.c.key == key).order_by(memory.c.task_id)
        return tuple(self.connection.scalars(owners))

    def memory_clear(self, task_id: str) -> None:
        """Forget all that the task put."""
        self.connection.execute(delete(memory).where(memory.c.task_id == task_id))
