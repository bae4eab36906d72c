"""From the authority's challenges to the solvers that answer them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any

from certwright.domain.audit import Action
from certwright.domain.errors import ConfigurationError, SolverError, StoreError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Validation, choose
from certwright.engine import catalog, dns
from certwright.engine.commands import require_to_run
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.explain import explained
from certwright.engine.landmarks import Surroundings, compared
from certwright.engine.outstanding import OutstandingAnswers
from certwright.engine.unexpected import in_words
from certwright.engine.written import WrittenRecords
from certwright.sdk.context import SolverContext
from certwright.sdk.issuer import Solve
from certwright.sdk.journal import Journal, Step
from certwright.sdk.params import read_params
from certwright.sdk.solver import Challenge, Solver
from certwright.store import Lease
from certwright.store.managed import subject


class StoredAnswers:
    """Challenge answers in the store: whichever process owns the port can serve them.

    Under `leases`, so that a run that was overtaken takes none away from the run that goes on.
    """

    def __init__(self, engine: Engine, leases: Sequence[Lease]) -> None:
        self._engine = engine
        self._leases = leases

    def put(self, token: str, key_authorization: str) -> None:
        """Make an answer servable."""
        with self._engine.store.write(*self._leases) as unit:
            unit.answers.put(token, key_authorization, self._engine.now())

    def claim(self, token: str, key_authorization: str) -> bool:
        """Make an answer servable unless another one is there; whether it is."""
        with self._engine.store.write(*self._leases) as unit:
            return unit.answers.claim(token, key_authorization, self._engine.now())

    def get(self, token: str) -> str | None:
        """The answer to `token`."""
        with self._engine.store.read() as unit:
            return unit.answers.get(token)

    def remove(self, token: str) -> None:
        """Forget an answer."""
        with self._engine.store.write(*self._leases) as unit:
            unit.answers.remove(token)


def solver(
    engine: Engine, validation: Validation, run: ActiveRun, *, again: str, records: WrittenRecords | None = None
) -> Solver[Any]:
    """The solver that `validation` names, ready to work.

    Args:
        engine: what to work with.
        validation: which solver, with its parameters.
        run: in which it works.
        again: the command that goes on if `run` has to wait for a person.
        records: those of `run`, where several solvers work in it at the same time.
    """
    found = catalog.plugin("solvers", validation.solver)
    params = read_params(found.params, validation.params, f"the solver {validation.solver!r}")
    context = SolverContext(
        answers=StoredAnswers(engine, run.leases),
        journal=run.journal,
        dns=lambda name: dns.provider(engine, name, run.journal),
        records=records or WrittenRecords(engine, run),
        outstanding=OutstandingAnswers(engine, run, validation),
        resolvers=engine.resolvers,
        guard=run.guard,
        again=again,
        places=engine.places,
    )
    made: Solver[Any] = found.cls(params, context)
    if validation.challenge not in made.types:
        raise ConfigurationError(
            f"The solver {validation.solver!r} does not answer {validation.challenge}.",
            hint=f"It answers {', '.join(sorted(made.types))}.",
        )
    return made


def solving(engine: Engine, managed: ManagedCertificate, run: ActiveRun, surroundings: Surroundings) -> Solve:
    """How the challenges of `managed` are answered: each name by the validation that its rules choose.

    `surroundings` learns of what is around the names when they are proved.
    """

    @contextmanager
    def solve(challenges: Sequence[Challenge]) -> Iterator[Sequence[Challenge]]:
        chosen = _choose(challenges, managed.validations)
        asked = [challenge for _, mine in chosen for challenge in mine]
        again = f"certwright certificate request {managed.id}"
        with closing(WrittenRecords(engine, run)) as records:
            work = [(solver(engine, v, run, again=again, records=records), mine) for v, mine in chosen]
            for (ready, mine), (validation, _) in zip(work, chosen, strict=True):
                require_to_run(engine, ready)
                if ready.commands:
                    names = [str(challenge.identifier) for challenge in mine]
                    done = {"run": run.id, "solver": validation.solver, "params": validation.params, "names": names}
                    engine.note(Action.RAN, subject(managed), done)
            with (
                answered(work, run.journal, compared(engine, managed, run, asked, surroundings)),
                explained(engine, managed, run, asked),
            ):
                yield asked

    return solve


@contextmanager
def answered(
    work: Sequence[tuple[Solver[Any], Sequence[Challenge]]],
    journal: Journal,
    around: AbstractContextManager[None] | None = None,
) -> Iterator[None]:
    """The challenges answered, all of them before any is looked at from outside, for the length of the block.

    `around` is entered while they stand, before they are looked at. A run that was overtaken leaves the answers to the
    one that goes on with the order.
    """
    names = ", ".join(str(c.identifier) for _, mine in work for c in mine)
    try:
        with journal.step(f"Answer the challenges for {names}"):
            for each, mine in work:
                each.present(mine)
        with around or nullcontext():
            with journal.step("See each answer as the authority will see it"):
                for each, mine in work:
                    each.check(mine)
            yield
    finally:
        for each, _ in work:
            each.close()
        with journal.step("Take the answers away") as step:
            for each, mine in work:
                _take_away(each, mine, step)


def _take_away(work: Solver[Any], challenges: Sequence[Challenge], step: Step) -> None:
    """Whatever goes wrong with it is noted: neither the other answers nor the reason why the block ended depend on it.

    Raises:
        StoreError: if the store cannot be used, or another run has taken over.
    """
    try:
        work.clean_up(challenges)
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; the rest is taken away all the same
        step.note(f"Not everything could be taken away. {in_words(error, 'taking answers away')}")


def _choose(
    challenges: Sequence[Challenge], validations: Sequence[Validation]
) -> list[tuple[Validation, list[Challenge]]]:
    """The challenge for each name, by validation.

    Raises:
        SolverError: if the authority does not offer what was chosen for a name.
    """
    wanted = {c.identifier: choose(validations, c.identifier) for c in challenges}
    chosen = [c for c in challenges if c.type == wanted[c.identifier].challenge]
    if missing := wanted.keys() - {c.identifier for c in chosen}:
        names = ", ".join(sorted(f"{i} ({wanted[i].challenge})" for i in missing))
        raise SolverError(
            f"The authority does not offer the chosen challenge for {names}.",
            hint="Choose another way of validation for these names.",
        )
    return [(v, mine) for v in validations if (mine := [c for c in chosen if wanted[c.identifier] is v])]
