"""The authority: it answers, knows the account, and can issue what is wanted."""

from collections.abc import Iterator

from certwright.domain.capabilities import check_issuer
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.readiness import Check, Readiness, failed
from certwright.engine import ledger
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.issuers import issuer_plugin, look_again


def checks(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> Iterator[Check]:
    """What each issuer can issue at all, then its account, then its limits; of those that stand in only as warnings."""
    yield from _issuer(engine, managed, managed.issuer, run)
    for name in managed.issuers[1:]:
        for check in _issuer(engine, managed, name, run):
            is_lost = check.verdict is Readiness.FAILED
            yield check.model_copy(update={"verdict": Readiness.WARNING}) if is_lost else check


def _issuer(engine: Engine, managed: ManagedCertificate, name: str, run: ActiveRun) -> Iterator[Check]:
    with engine.store.read() as unit:
        issuer = unit.issuers.get(name)
        current = unit.managed.current(managed.id)
    try:
        with run.journal.step(f"Read what {issuer.name} offers"):
            issuer = look_again(engine, issuer.name, run.journal)
    except CertwrightError as error:
        run.journal.note(f"What it said when it was last asked has to do: {error.message}")
    try:
        check_issuer(managed, issuer)
        what = f"{managed.key.type} key, {managed.profile or 'default'} profile, {len(managed.identifiers)} names"
        yield Check(check="capabilities", subject=issuer.name, verdict=Readiness.OK, evidence=f"It issues: {what}.")
    except CertwrightError as error:
        yield failed("capabilities", issuer.name, error)
    try:
        with run.journal.step(f"Reach {issuer.name} and find the account"):
            issuer_plugin(engine, issuer.name, run.journal).find_account()
        yield Check(
            check="account", subject=issuer.name, verdict=Readiness.OK, evidence="It answers and knows the account."
        )
    except CertwrightError as error:
        yield failed("account", issuer.name, error)
    if held := ledger.look(engine, managed, issuer, current):
        yield failed("limits", issuer.name, held).model_copy(update={"verdict": Readiness.WARNING})
    else:
        room = "What is known of its limits leaves room for this order."
        yield Check(check="limits", subject=issuer.name, verdict=Readiness.OK, evidence=room)
