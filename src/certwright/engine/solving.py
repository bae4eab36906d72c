"""From the authority's challenges to the solvers that answer them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from certwright.domain.errors import ConfigurationError, SolverError
from certwright.domain.managed import ManagedCertificate, Validation
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.sdk.context import SolverContext
from certwright.sdk.issuer import Solve
from certwright.sdk.journal import Journal
from certwright.sdk.params import read_params
from certwright.sdk.solver import Challenge, Solver


class StoredAnswers:
    """Challenge answers in the store: whichever process owns the port can serve them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, token: str, key_authorization: str) -> None:
        """Make an answer servable."""
        with self._engine.store.write() as unit:
            unit.answers.put(token, key_authorization, self._engine.now())

    def get(self, token: str) -> str | None:
        """The answer to `token`."""
        with self._engine.store.read() as unit:
            return unit.answers.get(token)

    def remove(self, token: str) -> None:
        """Forget an answer."""
        with self._engine.store.write() as unit:
            unit.answers.remove(token)


def solver(engine: Engine, validation: Validation, journal: Journal) -> Solver[Any]:
    """The solver that `validation` names, ready to work."""
    found = catalog.plugin("solvers", validation.solver)
    params = read_params(found.params, validation.params, f"the solver {validation.solver!r}")
    made: Solver[Any] = found.cls(params, SolverContext(StoredAnswers(engine), journal))
    if validation.challenge not in made.types:
        raise ConfigurationError(
            f"The solver {validation.solver!r} does not answer {validation.challenge}.",
            hint=f"It answers {', '.join(sorted(made.types))}.",
        )
    return made


def solving(engine: Engine, managed: ManagedCertificate, journal: Journal) -> Solve:
    """How the challenges of `managed` are answered."""
    validation = managed.validations[0]

    @contextmanager
    def solve(challenges: Sequence[Challenge]) -> Iterator[Sequence[Challenge]]:
        chosen = _choose(challenges, validation)
        with answered(solver(engine, validation, journal), chosen, journal):
            yield chosen

    return solve


@contextmanager
def answered(chosen_solver: Solver[Any], challenges: Sequence[Challenge], journal: Journal) -> Iterator[None]:
    """The challenges answered and seen from outside, for the length of the block."""
    names = ", ".join(str(c.identifier) for c in challenges)
    try:
        with journal.step(f"Answer the challenges for {names}"):
            chosen_solver.present(challenges)
        with journal.step("See each answer as the authority will see it"):
            chosen_solver.check(challenges)
        yield
    finally:
        with journal.step("Take the answers away"):
            chosen_solver.clean_up(challenges)


def _choose(challenges: Sequence[Challenge], validation: Validation) -> list[Challenge]:
    chosen = [c for c in challenges if c.type == validation.challenge]
    missing = {c.identifier for c in challenges} - {c.identifier for c in chosen}
    if missing:
        names = ", ".join(sorted(str(i) for i in missing))
        raise SolverError(
            f"The authority does not offer {validation.challenge} for {names}.",
            hint="Choose another way of validation for these names.",
        )
    return chosen
