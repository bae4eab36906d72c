"""What each certificate of an organisation is to be served as, and what was seen of it last: nobody is asked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, ServedRow
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Outcome, Stage
from certwright.engine.context import Engine
from certwright.engine.exchange.judgement import Ours


@dataclass(frozen=True, slots=True)
class Presented:
    """A task that deploys a managed certificate there.

    `state` is None before it has begun, `word` says where it stands, `expected` is None before anything was issued.
    `rows` are the ports as they were seen at `seen_at`, `differences` what was not as it was deployed then.
    `undeployed` tells why the newest version is not in use everywhere; empty if it is.
    """

    managed: ManagedCertificate
    task: TaskSettings
    state: DeploymentState | None
    word: Stage | Outcome
    expected: CertificateFacts | None
    undeployed: str
    rows: tuple[ServedRow, ...] = ()
    differences: tuple[Finding, ...] = ()
    seen_at: datetime | None = None

    @property
    def is_in_use(self) -> bool:
        """Whether there is something to take back."""
        return self.state is not None and self.state.in_use is not None and not self.undeployed


def presented(engine: Engine, meant: Iterable[Ours]) -> Iterator[Presented]:
    """What is deployed to an organisation, by what is meant for it."""
    for ours in meant:
        with engine.store.read() as unit:
            look = unit.looks.get(ours.managed.id).tasks.get(ours.task.id)
            state = unit.deployments.get(ours.task.id)
            deploying = unit.runs.is_deploying(ours.managed.id, engine.now())
        known = Presented(
            managed=ours.managed,
            task=ours.task,
            state=state,
            word=state.word(deploying=deploying) if state else Stage.NEW,
            expected=ours.versions[0] if ours.versions else None,
            undeployed=ours.undeployed if ours.versions else "",
        )
        is_newer = state is not None and state.stage is Stage.UNDOING and bool(state.served)
        if look and state and look.version_id == state.version_id and not is_newer:
            yield replace(known, rows=look.rows, differences=look.differences, seen_at=look.seen_at)
        elif state and state.served:
            yield replace(known, rows=state.served, seen_at=state.updated_at)
        else:
            yield known
