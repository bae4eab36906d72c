"""What is done on Exchange with a managed certificate: planned, rehearsed, applied, verified, put back, cleaned up."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.deployment import Finding
from certwright.domain.errors import ConfigurationError, DeploymentError, NotFound, Unreachable, WindowClosed
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.engine.context import Engine
from certwright.engine.deployment import TaskResult
from certwright.engine.exchange import cleanup, deployment, undo
from certwright.engine.exchange.cleanup import Cleaned
from certwright.engine.exchange.deployment import Inspected, Planned
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.judgement import acknowledge
from certwright.engine.exchange.reach import exchange_tasks
from certwright.engine.managed import details
from certwright.engine.windows import closed
from certwright.exchange.settings import Settings
from certwright.sdk.params import read_params
from certwright.web.certificate import address, id_of
from certwright.web.language import later
from certwright.web.matrix import matrix
from certwright.web.pages import Page, Visit
from certwright.web.received import Sent

_BACK = "/exchange"


@dataclass(frozen=True, slots=True)
class _Came:
    """What came of an act on the certificate `managed_id`."""

    managed_id: str


C = TypeVar("C", bound=_Came)


@dataclass(frozen=True, slots=True)
class _Plans(_Came):
    planned: Sequence[Planned]


@dataclass(frozen=True, slots=True)
class _Rehearsed(_Came):
    found: Sequence[tuple[Planned, Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class _UndoPlans(_Came):
    planned: Sequence[Planned]


@dataclass(frozen=True, slots=True)
class _Done(_Came):
    results: Sequence[TaskResult]


@dataclass(frozen=True, slots=True)
class _Verified(_Came):
    found: Sequence[Inspected]


@dataclass(frozen=True, slots=True)
class _Removable(_Came):
    found: Sequence[Cleaned]


@dataclass(frozen=True, slots=True)
class _Removed(_Came):
    done: Sequence[Cleaned]


def _came_of(visit: Visit, kind: type[C]) -> C:
    """What came of the job in the address, which was about the certificate in it."""
    return visit.came_of(kind, "job", fits=lambda found: found.managed_id == id_of(visit))


def _begun(visit: Visit, title: str, work: Callable[[Engine], _Came], shown: str) -> Response:
    """Have it done beside; what comes of it is on the page `shown`."""
    return visit.begin(title, work, lambda job: address(visit, f"/exchange/{shown}/{job.id}"), _BACK)


def _plan(visit: Visit) -> Response:
    """Read the servers, and say what would be done; on some of them alone, if they are chosen."""
    managed_id, servers = id_of(visit), _chosen(visit)
    return _begun(
        visit,
        later("Find out what would be done"),
        lambda engine: _Plans(managed_id, deployment.plan(engine, managed_id, servers)),
        "plans",
    )


def _planned(visit: Visit) -> Response:
    planned = _came_of(visit, _Plans).planned
    managed, chosen = details(visit.engine, id_of(visit)).managed, _chosen_before(visit)
    scripts = deployment.scripts(visit.engine, planned) if any(one.plan.changes for one in planned) else ()
    return _to_be_agreed(visit, managed, planned, chosen, _servers(managed), scripts)


def _rehearse(visit: Visit) -> Response:
    """Plan, and ask Exchange what it says to each command, without any effect."""
    managed_id, servers = id_of(visit), _chosen(visit)
    return _begun(
        visit,
        later("Try the commands without effect"),
        lambda engine: _Rehearsed(managed_id, deployment.rehearse(engine, managed_id, servers)),
        "rehearsed",
    )


def _rehearsed(visit: Visit) -> Response:
    found = _came_of(visit, _Rehearsed).found
    return visit.page(
        "exchange-rehearsed.html",
        managed=details(visit.engine, id_of(visit)).managed,
        found=found,
        chosen=_chosen_before(visit),
    )


def _script(visit: Visit) -> Response:
    """A plan as PowerShell, for the day on which Certwright cannot reach Exchange."""
    written = deployment.scripts(visit.engine, _came_of(visit, _Plans).planned)
    name = visit.request.path_params["name"]
    if name not in written:
        raise NotFound("There is no such script.", hint=f"There are: {', '.join(written)}.")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(written[name], media_type="text/plain", headers=headers)


def _to_be_agreed(
    visit: Visit,
    managed: ManagedCertificate,
    planned: Sequence[Planned],
    chosen: Sequence[object] = (),
    servers: Sequence[str] = (),
    scripts: Collection[str] = (),
    *,
    is_undo: bool = False,
) -> Response:
    """Plans, with what speaks against them; `servers` are those that can be chosen, `chosen` those that were.

    `scripts` are the names of the scripts that carry them out and take them back by hand.
    """
    plans = [one.plan for one in planned]
    return visit.page(
        "exchange-plan.html",
        managed=managed,
        planned=planned,
        chosen=chosen,
        servers=servers,
        is_undo=is_undo,
        scripts=scripts,
        is_refused=any(plan.refusals for plan in plans),
        asks=any(plan.questions for plan in plans),
        has_changes=any(plan.changes for plan in plans),
        closed=closed(visit.engine, managed, [one.task for one in planned]),
    )


def _acknowledge(visit: Visit) -> Response:
    """Agree that a send connector presents the certificate without client authentication, and plan again."""
    first = exchange_tasks(details(visit.engine, id_of(visit)).managed)[0]
    acknowledge(visit.engine, _settings(first), [visit.sent("connector")])
    return _plan(visit)


def _apply(visit: Visit) -> Response:
    managed_id, servers, plans = id_of(visit), _chosen(visit), _plans(visit)
    anytime = bool(visit.sent("anytime"))
    return _carried_out(
        visit,
        later("Deploy in waves"),
        lambda engine: _Done(managed_id, deployment.apply(engine, managed_id, plans, servers, anytime=anytime)),
        "done",
    )


def _plan_undo(visit: Visit) -> Response:
    """Say what would put back what was in use before."""
    managed_id = id_of(visit)
    return _begun(
        visit,
        later("Find out what would be put back"),
        lambda engine: _UndoPlans(managed_id, undo.plan(engine, managed_id)),
        "undo-plans",
    )


def _planned_undo(visit: Visit) -> Response:
    planned = _came_of(visit, _UndoPlans).planned
    return _to_be_agreed(visit, details(visit.engine, id_of(visit)).managed, planned, is_undo=True)


def _undo(visit: Visit) -> Response:
    managed_id, plans, anytime = id_of(visit), _plans(visit), bool(visit.sent("anytime"))
    return _carried_out(
        visit,
        later("Put back what was there before"),
        lambda engine: _Done(managed_id, undo.apply(engine, managed_id, plans, anytime=anytime)),
        "done",
    )


def _carried_out(visit: Visit, title: str, work: Callable[[Engine], _Came], shown: str) -> Response:
    """As `_begun`, and have the organisation read once more, so that its picture shows what it has now."""
    connections = [_settings(task) for task in exchange_tasks(details(visit.engine, id_of(visit)).managed)]

    def carry_out(engine: Engine) -> _Came:
        done = work(engine)
        for connection in connections:
            with suppress(Unreachable, DeploymentError):  # what was done is told all the same
                discover(engine, connection)
        return done

    return _begun(visit, title, carry_out, shown)


def _done(visit: Visit) -> Response:
    """What came of it: each port, what is left to do, and the servers that have their turn now."""
    results = _came_of(visit, _Done).results
    known = details(visit.engine, id_of(visit))
    managed = known.managed
    chosen = _chosen_before(visit)
    return visit.page(
        "exchange-done.html",
        managed=managed,
        results=[
            (each, matrix(each.rows, known.facts), list(each.error.explain()) if each.error else []) for each in results
        ],
        others=[server for server in _servers(managed) if server not in chosen] if chosen else [],
    )


def _verify(visit: Visit) -> Response:
    managed_id = id_of(visit)
    return _begun(
        visit,
        later("Look at every port"),
        lambda engine: _Verified(managed_id, deployment.inspect(engine, managed_id)),
        "verified",
    )


def _verified(visit: Visit) -> Response:
    found = [(each, matrix(each.inspection.rows)) for each in _came_of(visit, _Verified).found]
    return visit.page("exchange-verified.html", found=found, known=details(visit.engine, id_of(visit)))


def _plan_cleanup(visit: Visit) -> Response:
    """Read the servers, and say which earlier versions would be removed, and what keeps the others."""
    managed_id = id_of(visit)
    return _begun(
        visit,
        later("Find out what can be removed"),
        lambda engine: _Removable(managed_id, cleanup.plan(engine, managed_id)),
        "removable",
    )


def _removable(visit: Visit) -> Response:
    managed, found = details(visit.engine, id_of(visit)).managed, _came_of(visit, _Removable).found
    return visit.page(
        "exchange-cleanup.html",
        managed=managed,
        found=found,
        has_removals=any(one.plan.removals for one in found),
        closed=_closed_to_cleanup(visit),
    )


def _closed_to_cleanup(visit: Visit) -> str:
    """Why it would wait for a maintenance window now; empty if it would not."""
    try:
        cleanup.check_window(visit.engine, id_of(visit))
    except WindowClosed as error:
        return error.message
    return ""


def _cleanup(visit: Visit) -> Response:
    """Remove what this person has seen that it would be, and nothing else."""
    managed_id, anytime = id_of(visit), bool(visit.sent("anytime"))
    removals = [change for one in _came_of(visit, _Removable).found for change in one.plan.removals]
    return _carried_out(
        visit,
        later("Remove earlier versions"),
        lambda engine: _Removed(managed_id, cleanup.carry_out(engine, managed_id, removals, anytime=anytime)),
        "removed",
    )


def _removed(visit: Visit) -> Response:
    managed = details(visit.engine, id_of(visit)).managed
    return visit.page("exchange-removed.html", managed=managed, done=_came_of(visit, _Removed).done)


def _settings(task: TaskSettings) -> Settings:
    return read_params(Settings, task.params, f"the task {task.title!r}")


def _servers(managed: ManagedCertificate) -> tuple[str, ...]:
    """The servers of all its tasks."""
    return tuple(dict.fromkeys(s for task in exchange_tasks(managed) for s in _settings(task).servers))


def _chosen(visit: Visit) -> list[str]:
    return _servers_of(visit.fields)


def _chosen_before(visit: Visit) -> list[str]:
    """The servers that were chosen for the job in the address; none for all."""
    return _servers_of(visit.waited("job").sent)


def _servers_of(sent: Sent) -> list[str]:
    return [str(each) for each in sent.getlist("server")]


def _plans(visit: Visit) -> list[str]:
    """The hashes of what this person has seen.

    Raises:
        ConfigurationError: if there is none.
    """
    if plans := [str(each) for each in visit.fields.getlist("plan")]:
        return plans
    raise ConfigurationError("No plan was agreed to.", hint="Look at the plan first.")


_ONE = "/certificates/{id}/exchange"
PAGES = (
    Page(f"{_ONE}/plan", UseCase.PLAN.permission, _plan, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/plans/{{job}}", Permission.READ, _planned),
    Page(f"{_ONE}/plans/{{job}}/{{name}}", Permission.READ, _script),
    Page(f"{_ONE}/rehearse", UseCase.DEPLOY.permission, _rehearse, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/rehearsed/{{job}}", Permission.READ, _rehearsed),
    Page(f"{_ONE}/acknowledge", UseCase.EXAMINE_EXCHANGE.permission, _acknowledge, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/apply", UseCase.DEPLOY.permission, _apply, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/undo-plan", UseCase.PLAN.permission, _plan_undo, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/undo-plans/{{job}}", Permission.READ, _planned_undo),
    Page(f"{_ONE}/undo", UseCase.DEPLOY.permission, _undo, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/done/{{job}}", Permission.READ, _done),
    Page(f"{_ONE}/verify", UseCase.PREVIEW.permission, _verify, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/verified/{{job}}", Permission.READ, _verified),
    Page(f"{_ONE}/cleanup-plan", UseCase.PLAN.permission, _plan_cleanup, "POST", sent_from="/exchange"),
    Page(f"{_ONE}/removable/{{job}}", Permission.READ, _removable),
    Page(f"{_ONE}/removable/{{job}}", UseCase.DEPLOY.permission, _cleanup, "POST"),
    Page(f"{_ONE}/removed/{{job}}", Permission.READ, _removed),
)
