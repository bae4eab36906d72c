"""One managed certificate: how it is, what is wanted, what was issued, where it is, and what was tried."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.validation import choose
from certwright.engine import hold
from certwright.engine.managed import details
from certwright.web.pages import Page, Visit, see

_RUNS = 20


def _certificate(visit: Visit, problem: str = "") -> Response:
    found = details(visit.engine, visit.request.path_params["id"])
    with visit.engine.store.read() as unit:
        runs = unit.runs.list(found.managed.id, _RUNS)
        held = unit.renewals.get(found.managed.id).hold
    proofs = [(each, choose(found.managed.validations, each).title) for each in found.managed.identifiers]
    deployments = [(found.managed.task(state.task_id), state) for state in found.states]
    return visit.page(
        "certificate.html",
        422 if problem else 200,
        found=found,
        runs=runs,
        held=held,
        proofs=proofs,
        deployments=deployments,
        problem=problem,
    )


def _hold(visit: Visit) -> Response:
    reason, managed_id = visit.fields.get("reason", "").strip(), visit.request.path_params["id"]
    if not reason:
        return _certificate(visit, "Say why it is held back: whoever looks at it next wants to know.")
    hold.hold(visit.engine, managed_id, f"{reason} ({visit.person.name})", None)
    return see(f"/certificates/{managed_id}")


def _release(visit: Visit) -> Response:
    managed_id = visit.request.path_params["id"]
    hold.release(visit.engine, managed_id)
    return see(f"/certificates/{managed_id}")


def _request(visit: Visit) -> Response:
    managed_id = visit.request.path_params["id"]
    try:
        hold.ask(visit.engine, managed_id, visit.person.name)
    except ConfigurationError as error:
        if isinstance(error, NotFound):
            raise
        return _certificate(visit, " ".join(error.explain()))
    visit.wake()
    return see(f"/certificates/{managed_id}")


PAGES = (
    Page("/certificates/{id}", Permission.READ, _certificate),
    Page("/certificates/{id}/request", Permission.REQUEST, _request, "POST"),
    Page("/certificates/{id}/hold", Permission.EDIT, _hold, "POST"),
    Page("/certificates/{id}/release", Permission.EDIT, _release, "POST"),
)
