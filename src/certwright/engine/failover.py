"""Ask the issuers of a managed certificate in turn, as far as the authorities' own faults make it necessary."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from certwright.domain.capabilities import check_issuer
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.domain.failover import gathered, is_its_own_fault
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.engine.context import ActiveRun, Engine
from certwright.store import OrderInFlight

T = TypeVar("T")


def issuers_in_turn(engine: Engine, managed: ManagedCertificate, begun: OrderInFlight | None) -> list[Issuer]:
    """Its issuers in order; the one that has an order of it already comes first.

    Raises:
        CertwrightError: if the first issuer cannot issue it.
    """
    with engine.store.read() as unit:
        issuers = [unit.issuers.get(name) for name in managed.issuers]
    check_issuer(managed, issuers[0])
    return sorted(issuers, key=lambda issuer: begun is None or issuer.name != begun.issuer)


def in_turn(
    managed: ManagedCertificate, issuers: Sequence[Issuer], run: ActiveRun, attempt: Callable[[Issuer], T]
) -> T:
    """What the first issuer that can gives; the next is asked only after a fault that is the authority's own.

    Raises:
        CertwrightError: of the first, with those of the others among its causes.
    """
    failures: list[tuple[str, CertwrightError]] = []
    for issuer in issuers:
        if failures:
            name, error = failures[-1]
            run.journal.note(f"{name} failed by a fault of its own: {error.message} {issuer.name} is asked instead.")
        try:
            check_issuer(managed, issuer)
            return attempt(issuer)
        except CertwrightError as error:
            failures.append((issuer.name, error))
            if not is_its_own_fault(error) and not (isinstance(error, ConfigurationError) and len(failures) > 1):
                break
    raise gathered(failures)
