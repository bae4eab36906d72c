"""How far each deployment task has come, and what it must remember."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from certwright.domain.runs import DeploymentState
from certwright.store.schema import deployments, memory


@dataclass(frozen=True, slots=True)
class Deployments:
    """The deployments, by task; they and their memory go when the task is removed."""

    connection: Connection

    def get(self, task_id: str) -> DeploymentState | None:
        """How far the task has come; None if it never began."""
        return self.connection.scalar(select(deployments.c.body).where(deployments.c.task_id == task_id))

    def save(self, state: DeploymentState) -> None:
        """Keep how far the task has come, in place of what was known."""
        statement = insert(deployments).values(task_id=state.task_id, managed_id=state.managed_id, body=state)
        self.connection.execute(statement.on_conflict_do_update(index_elements=["task_id"], set_={"body": state}))

    def memory_get(self, task_id: str, key: str, default: Any = None) -> Any:
        """What the task put last under `key`."""
        row = (memory.c.task_id == task_id) & (memory.c.key == key)
        text = self.connection.scalar(select(memory.c.value).where(row))
        return default if text is None else json.loads(text)

    def memory_put(self, task_id: str, key: str, value: Any) -> None:
        """Keep a JSON value for the task; nothing secret, it is not encrypted."""
        text = json.dumps(value)
        statement = insert(memory).values(task_id=task_id, key=key, value=text)
        self.connection.execute(
            statement.on_conflict_do_update(index_elements=["task_id", "key"], set_={"value": text})
        )

    def memory_clear(self, task_id: str) -> None:
        """Forget all that the task put."""
        self.connection.execute(delete(memory).where(memory.c.task_id == task_id))
