"""Deployment tasks put a certificate version to use: plan, apply, verify, and undo."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic

from certwright.domain.deployment import Plan, ServedRow
from certwright.sdk.context import TaskContext
from certwright.sdk.params import P


class Task(ABC, Generic[P]):
    """One use of a certificate. The engine calls baseline, plan, apply, verify; then undo if one of these two failed.

    A task keeps what undo will need in `context.memory`, before it makes the change.
    """

    Params: ClassVar[type]

    def __init__(self, params: P, context: TaskContext) -> None:
        self.params = params
        self.context = context

    @property
    @abstractmethod
    def organisations(self) -> tuple[str, ...]:
        """Names of what must not be changed by two runs at once, such as the servers; each is leased during the run."""

    @abstractmethod
    def baseline(self) -> tuple[ServedRow, ...]:
        """What each port serves before anything is done; `verify` measures regressions against it. Reads only."""

    @abstractmethod
    def plan(self) -> Plan:
        """What must be done for this version to be in use; empty when it is. Reads only.

        Raises:
            Unreachable, DeploymentError: if the target cannot be read.
        """

    @abstractmethod
    def apply(self, plan: Plan) -> None:
        """Do what `plan` says, in its order.

        Raises:
            DeploymentError, Unreachable: at the first change that failed.
        """

    @abstractmethod
    def verify(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves now, with the verdict for this version."""

    @abstractmethod
    def undo(self) -> None:
        """Take back what `apply` did, by the memory; may be called again after a crash, and by a later run.

        Raises:
            NeedsPerson: with the exact commands, if it cannot be done now.
        """

    @abstractmethod
    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves after `undo`, with the verdict for what was served before."""
