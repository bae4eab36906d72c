"""Tasks put a certificate version to use: plan, apply, verify, and undo. Actions only do something: they run."""

from abc import abstractmethod
from collections.abc import Sequence

from certwright.domain.deployment import Finding, Inspection, Plan, ServedRow
from certwright.domain.errors import ConfigurationError
from certwright.sdk.context import TaskContext
from certwright.sdk.params import P
from certwright.sdk.plugin import Plugin


class Task(Plugin[P, TaskContext]):
    """One use of a certificate. The engine calls baseline, plan, apply, verify; then undo if one of these two failed.

    A task keeps what undo will need in `context.memory`, before it makes the change. It is made for a version:
    `context.material` is there.
    """

    @classmethod
    def destinations(cls, params: P) -> frozenset[str]:  # noqa: ARG003 - the interface
        """Where the private key is sent by these parameters, each place in words; none for what runs programs itself.

        Whoever names a new one must be allowed to take private keys out.
        """
        return frozenset()

    @property
    @abstractmethod
    def organisations(self) -> tuple[str, ...]:
        """Names of what must not be changed by two runs at once, such as the servers; each is leased during the run."""

    def identify(self) -> tuple[str, ...]:
        """More such names, as the target itself tells them: two tasks may mean the same one by different names.

        They are leased together with `organisations` before anything else is read. Reads only.

        Raises:
            Unreachable, DeploymentError: if the target cannot be asked; then the run changes nothing.
        """
        return ()

    @abstractmethod
    def baseline(self) -> tuple[ServedRow, ...]:
        """What each port serves before anything is done; `verify` measures regressions against it. Reads only."""

    @abstractmethod
    def plan(self) -> Plan:
        """What must be done for this version to be in use; empty when it is. Reads only.

        Raises:
            Unreachable, DeploymentError: if the target cannot be read.
        """

    def rehearse(self, plan: Plan) -> tuple[Finding, ...]:  # noqa: ARG002 - the interface
        """Ask the target whether it would do what `plan` says; empty where it cannot tell without doing it."""
        return ()

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
    def inspect(self) -> Inspection:
        """What each port serves now and what differs from what was deployed, without waiting. Reads only.

        The checks of findings that tell of a difference are called `drift-...`; what could not be seen is
        `drift-unknown`. Called every day with nobody looking on.

        Raises:
            CertwrightError: if nothing can be seen; that is no difference.
        """

    @abstractmethod
    def undo(self) -> tuple[str, ...]:
        """Take back what `apply` did, by the memory; may be called again after a crash, and by a later run.

        Returns:
            What is not taken back for good, and what a person does about it, in sentences; mostly nothing.

        Raises:
            NeedsPerson: with the exact commands, if it cannot be done now.
        """

    @abstractmethod
    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves after `undo`, with the verdict for what was served before."""

    def plan_undo(self) -> Plan:
        """What `undo` would do if it were to take back what was verified last. Reads only.

        Raises:
            ConfigurationError: if that cannot be taken back.
        """
        raise ConfigurationError(
            "What this task has verified cannot be taken back on demand.",
            hint="Have a new certificate issued: certwright certificate renew --force",
        )

    def reopen(self) -> None:
        """Have `undo`, and `verify_undone`, be about what was verified last."""


class Action(Task[P]):
    """A task that does something which no port shows and nothing takes back: it ran, or it failed.

    The engine calls plan and apply. It may run before there is a certificate, before a request, or after one that
    failed: `context.occasion` tells, and `context.version` may be None. After a crash it is run once more.
    """

    @property
    def organisations(self) -> tuple[str, ...]:
        """Nothing that two runs must not change at once; actions of one certificate never run at the same time."""
        return ()

    def baseline(self) -> tuple[ServedRow, ...]:
        """No port is looked at."""
        return ()

    def verify(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:  # noqa: ARG002 - the interface
        """No port shows what was done."""
        return ()

    def inspect(self) -> Inspection:
        """There is nothing to look at later."""
        return Inspection()

    def undo(self) -> tuple[str, ...]:
        """What was done stays done."""
        return ()

    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:  # noqa: ARG002 - the interface
        """No port shows that."""
        return ()
