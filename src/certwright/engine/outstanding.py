"""Answers that stand outside of the store, such as files: remembered until some run has taken them away.

They belong to an *owner*, the first lease under which a run works, as the TXT records of `certwright.engine.written`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from certwright.domain.identifiers import Identifier
from certwright.domain.validation import Validation
from certwright.engine.context import ActiveRun, Engine
from certwright.sdk.solver import Challenge
from certwright.store import UnitOfWork

_KEY = "answers"


@dataclass(frozen=True, slots=True)
class Left:
    """One answer that stands, and the validation by which it was given.

    `run` needs it, `at` (ISO 8601) is when that gave it: neither tells it apart.
    """

    validation: dict[str, Any]
    identifier: str
    type: str
    token: str
    key_authorization: str = field(repr=False)
    run: str = field(compare=False)
    at: str = field(compare=False)

    @property
    def given_at(self) -> datetime:
        """When."""
        return datetime.fromisoformat(self.at)

    @property
    def by(self) -> Validation:
        """By what."""
        return Validation.model_validate(self.validation)

    @property
    def challenge(self) -> Challenge:
        """To what."""
        return Challenge(Identifier.parse(self.identifier), self.type, self.token, self.key_authorization)


class OutstandingAnswers:
    """Those of the runs of one owner: `run` is one of them, which answers by `validation`."""

    def __init__(self, engine: Engine, run: ActiveRun, validation: Validation) -> None:
        self._engine = engine
        self._run = run
        self._validation = validation.model_dump(mode="json")

    def remember(self, challenges: Sequence[Challenge]) -> None:
        """Before they are answered."""
        new = [self._left(challenge) for challenge in challenges]
        _change(self._engine, self._run, lambda known: [*(left for left in known if left not in new), *new])

    def forget(self, challenges: Collection[Challenge]) -> None:
        """As their answers are gone."""
        gone = [self._left(challenge) for challenge in challenges]
        _change(self._engine, self._run, lambda known: [left for left in known if left not in gone])

    def _left(self, challenge: Challenge) -> Left:
        return Left(
            self._validation,
            str(challenge.identifier),
            challenge.type,
            challenge.token,
            challenge.key_authorization,
            self._run.id,
            self._engine.now().isoformat(),
        )


def left_by_others(engine: Engine, run: ActiveRun) -> list[Left]:
    """What earlier runs of the same owner have left."""
    with engine.store.read() as unit:
        return [left for left in _known(unit, run) if left.run != run.id]


def give_up(engine: Engine, run: ActiveRun, lost: Collection[Left]) -> None:
    """Remember these no more."""
    _change(engine, run, lambda known: [left for left in known if left not in lost])


def _owner(run: ActiveRun) -> str:
    return f"answers:{run.leases[0].name}"


def _known(unit: UnitOfWork, run: ActiveRun) -> list[Left]:
    return [Left(**each) for each in unit.deployments.memory_get(_owner(run), _KEY, [])]


def _change(engine: Engine, run: ActiveRun, change: Callable[[list[Left]], list[Left]]) -> None:
    with engine.store.write(*run.leases) as unit:
        kept = change(_known(unit, run))
        unit.deployments.memory_clear(_owner(run))
        if kept:
            unit.deployments.memory_put(_owner(run), _KEY, [asdict(left) for left in kept])
