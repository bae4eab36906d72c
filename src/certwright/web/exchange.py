"""Exchange: each organisation as it was seen last, looked at anew, examined; its account; what a person agrees to."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.deployment import Severity
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.exchange.judgement import (
    Rights,
    Seen,
    acknowledge,
    acknowledged,
    doctor,
    meant_for,
    rights,
    seen_last,
    status,
    tasks_there,
)
from certwright.engine.exchange.presented import Presented, presented
from certwright.engine.exchange.reach import organisations, reach
from certwright.exchange.account import JOBS, check_account, grant_script
from certwright.exchange.connection import Connection
from certwright.exchange.judgement.doctor import Diagnosis
from certwright.exchange.judgement.status import Overview
from certwright.web.certificate import address, id_of
from certwright.web.language import later
from certwright.web.matrix import Matrix, matrix
from certwright.web.pages import Page, Visit, attempt, see

_ALL, _ACCOUNT = "/exchange", "/exchange/account"


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation that is known: the server that stands for it, and what was seen, if it was read.

    `deployed` is what Certwright deploys there, each with what its ports served when they were looked at last.
    """

    names: tuple[str, ...]
    server: str
    seen: Seen | None
    acknowledged: frozenset[str]
    deployed: tuple[tuple[Presented, Matrix], ...]


def exchange(visit: Visit, error: CertwrightError | None = None) -> Response:
    """All organisations, as they were seen last."""
    found = [_seen(visit.engine, each) for each in organisations(visit.engine)]
    told = list(error.explain()) if error else []
    return visit.page("exchange.html", 422 if error else 200, organisations=found, told=told)


def _seen(engine: Engine, known: dict[str, Connection]) -> Organisation:
    connection = next(iter(known.values()))
    ours = meant_for(engine, connection)
    deployed = tuple((each, matrix(each.rows, each.expected)) for each in presented(engine, ours))
    return Organisation(
        tuple(sorted(known)),
        connection.servers[0],
        seen_last(engine, connection, ours),
        acknowledged(engine, connection),
        deployed,
    )


def _ask(visit: Visit, title: str, question: Callable[[Engine, Connection], object], to: str, back: str) -> Response:
    """Ask the organisation of the server that was sent; the answer is shown at `to`."""
    server = visit.sent("server")
    return visit.begin(
        title,
        lambda engine: question(engine, reach(engine, {"servers": [server]})),
        lambda job: f"{to}/{job.id}",
        back,
    )


def _look(visit: Visit) -> Response:
    return _ask(visit, later("Look at the organisation"), status, f"{_ALL}/looks", _ALL)


def _looked(visit: Visit) -> Response:
    return visit.page("exchange-look.html", found=visit.came_of(Overview))


def _examine(visit: Visit) -> Response:
    return _ask(visit, later("Examine the organisation"), doctor, f"{_ALL}/diagnoses", _ALL)


def _examined(visit: Visit) -> Response:
    found = visit.came_of(Diagnosis)
    grouped = [(each, found.of(each)) for each in Severity if found.of(each)]
    return visit.page("exchange-diagnosis.html", found=found, grouped=grouped)


def _acknowledge(visit: Visit) -> Response:
    def agree() -> None:
        connection = reach(visit.engine, {"servers": [visit.sent("server")]})
        acknowledge(visit.engine, connection, [visit.sent("connector")])

    return attempt(visit, agree, exchange, _ALL)


def _of_certificate(visit: Visit) -> Response:
    """To what is said here of a certificate; where that is nothing, to its own tab."""
    with visit.engine.store.read() as unit:
        managed = unit.managed.get(id_of(visit))
    known = (next(iter(each.values())) for each in organisations(visit.engine))
    task = next((task for connection in known for task in tasks_there(managed, connection)), None)
    return see(f"{_ALL}#deployed-{task.id}" if task else address(visit, "/deployment"))


def _account(visit: Visit) -> Response:
    """What the account needs, and the commands that give it to the one that was named."""
    account = visit.asked("account")
    try:
        if account:
            check_account(account)
    except ConfigurationError as error:
        return _needs(visit, error=error)
    return _needs(visit, script=grant_script(account) if account else "")


def _needs(
    visit: Visit, *, script: str = "", rights: Rights | None = None, error: CertwrightError | None = None
) -> Response:
    return visit.page(
        "exchange-account.html",
        422 if error else 200,
        jobs=JOBS,
        known=[(sorted(one), next(iter(one.values())).servers[0]) for one in organisations(visit.engine)],
        account=visit.asked("account"),
        script=script,
        rights=rights,
        told=list(error.explain()) if error else [],
    )


def _check_account(visit: Visit) -> Response:
    return _ask(visit, later("Check the account"), rights, f"{_ACCOUNT}/checks", _ACCOUNT)


def _checked_account(visit: Visit) -> Response:
    return _needs(visit, rights=visit.came_of(Rights))


PAGES = (
    Page(_ALL, Permission.READ, exchange, label=later("Exchange")),
    Page(f"{_ALL}/look", UseCase.EXAMINE_EXCHANGE.permission, _look, "POST"),
    Page(f"{_ALL}/looks/{{id}}", UseCase.EXAMINE_EXCHANGE.permission, _looked),
    Page(f"{_ALL}/examine", UseCase.EXAMINE_EXCHANGE.permission, _examine, "POST"),
    Page(f"{_ALL}/diagnoses/{{id}}", UseCase.EXAMINE_EXCHANGE.permission, _examined),
    Page(_ACCOUNT, Permission.READ, _account),
    Page(f"{_ACCOUNT}/check", UseCase.EXAMINE_EXCHANGE.permission, _check_account, "POST"),
    Page(f"{_ACCOUNT}/checks/{{id}}", UseCase.EXAMINE_EXCHANGE.permission, _checked_account),
    Page("/certificates/{id}/exchange", Permission.READ, _of_certificate),
    Page(f"{_ALL}/acknowledge", UseCase.EXAMINE_EXCHANGE.permission, _acknowledge, "POST"),
)
