"""What is done with a managed certificate on its page: preview, test, request, deploy, revoke, remove."""

from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.deployment import Plan
from certwright.domain.errors import CertwrightError, ConfigurationError, DeploymentError
from certwright.domain.readiness import Readiness, Report
from certwright.domain.runs import Stage
from certwright.engine import hold
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.deployment import TaskResult
from certwright.engine.looks import look_at
from certwright.engine.managed import details, remove
from certwright.engine.preview import Preview, preview
from certwright.engine.revoke import REASONS, revoke
from certwright.engine.test import test
from certwright.engine.windows import closed
from certwright.web.certificate import address, changed, id_of, names, tab, task_of, uses
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, see

_WORST_FIRST = (Readiness.FAILED, Readiness.WARNING, Readiness.NOT_LOOKED_AT, Readiness.OK)


def _preview(visit: Visit) -> Response:
    managed_id = id_of(visit)
    return visit.begin(
        later("Preview"),
        lambda engine: preview(engine, managed_id),
        lambda job: address(visit, f"/previews/{job.id}"),
        address(visit),
    )


def _previewed(visit: Visit) -> Response:
    return tab(visit, "preview", seen=visit.came_of(Preview, "job"))


def _test(visit: Visit) -> Response:
    managed_id = id_of(visit)
    return visit.begin(
        later("Test"),
        lambda engine: test(engine, managed_id),
        lambda job: address(visit, f"/tests/{job.id}"),
        address(visit),
    )


def _tested(visit: Visit) -> Response:
    report = visit.came_of(Report, "job")
    checks = sorted(report.checks, key=lambda check: _WORST_FIRST.index(check.verdict))
    return tab(visit, "test", report=report, checks=checks)


def _request(visit: Visit) -> Response:
    return changed(visit, lambda: hold.ask(visit.engine, id_of(visit)), names, "/log")


def _look(visit: Visit) -> Response:
    """Look at what is served, as the service does daily."""
    managed_id = id_of(visit)
    return visit.begin(
        later("Look at what is served"),
        lambda engine: look_at(engine, managed_id),
        lambda _: address(visit, "/deployment"),
        address(visit, "/deployment"),
    )


def _plan(visit: Visit) -> Response:
    """The plan of one task, as it would be carried out now."""
    managed_id, task_id = id_of(visit), visit.request.path_params["task"]

    def plan(engine: Engine) -> Plan | None:
        found = [each for each in preview(engine, managed_id).tasks if each.task.id == task_id]
        if not found:
            raise ConfigurationError("There is no such task any more, or it is disabled.", hint="Look at the tasks.")
        if error := found[0].error:
            raise error
        return found[0].plan

    return visit.begin(
        later("Find out what would be done"),
        plan,
        lambda job: address(visit, f"/tasks/{task_id}/plans/{job.id}"),
        address(visit, "/deployment"),
    )


def _planned(visit: Visit) -> Response:
    made = visit.came_of(Plan, "job") if visit.waited("job").result else None
    managed = details(visit.engine, id_of(visit)).managed
    task = task_of(visit, managed)
    return tab(visit, "plan", plan=made, task=task, closed=closed(visit.engine, managed, [task]))


def _apply(visit: Visit) -> Response:
    """Carry a plan out that this person has seen; another one is refused, and so is one that nobody has seen."""
    managed_id, task_id, digest = id_of(visit), visit.request.path_params["task"], visit.sent("digest")
    anytime = bool(visit.sent("anytime"))

    def still(plan: Plan, stage: Stage) -> None:
        if plan.digest != digest and stage is not Stage.APPLYING:
            raise DeploymentError(
                "Nothing was changed: what has to be done is no longer what you have seen.",
                hint="Look at the plan again.",
            )

    def apply(engine: Engine) -> TaskResult:
        (result,) = deploy(engine, managed_id, task_id, attended=True, anytime=anytime, approved=still)
        if result.error:
            raise result.error
        return result

    return visit.begin(
        later("Put it to use"), apply, lambda _: address(visit, "/deployment"), address(visit, "/deployment")
    )


def _revoking(visit: Visit, error: CertwrightError | None = None) -> Response:
    known = details(visit.engine, id_of(visit))
    used = list(uses(known, known.versions[0], known.facts)) if known.facts else []
    return tab(visit, "revoke", error, reasons=list(REASONS), used=used)


def _revoke(visit: Visit) -> Response:
    reason, managed_id = visit.sent("reason"), id_of(visit)
    if visit.sent("sure") != "revoke":
        return see(address(visit, "/history"))
    if reason not in REASONS:
        return _revoking(visit, ConfigurationError(_("Say why it is revoked."), hint=_("Choose one of the reasons.")))

    return visit.begin(
        later("Revoke the current version"),
        lambda engine: revoke(engine, managed_id, reason),
        lambda _: address(visit, "/history"),
        address(visit, "/revoke"),
    )


def _removing(visit: Visit) -> Response:
    again = visit.again()
    return tab(visit, "remove", again.error if again else None)


def _remove(visit: Visit) -> Response:
    managed_id = id_of(visit)
    if visit.sent("sure") != "remove":
        return see(address(visit))
    return visit.begin(
        later("Manage it no more"),
        lambda engine: remove(engine, managed_id),
        lambda _: "/certificates",
        address(visit, "/remove"),
        refill=True,
    )


_ONE = "/certificates/{id}"
_DEPLOYMENT = f"{_ONE}/deployment"
PAGES = (
    Page(f"{_ONE}/preview", UseCase.PREVIEW.permission, _preview, "POST"),
    Page(f"{_ONE}/previews/{{job}}", Permission.READ, _previewed),
    Page(f"{_ONE}/test", UseCase.TEST.permission, _test, "POST"),
    Page(f"{_ONE}/tests/{{job}}", Permission.READ, _tested),
    Page(f"{_ONE}/request", UseCase.REQUEST.permission, _request, "POST"),
    Page(f"{_ONE}/look", UseCase.PREVIEW.permission, _look, "POST", sent_from=_DEPLOYMENT),
    Page(f"{_ONE}/tasks/{{task}}/plan", UseCase.PLAN.permission, _plan, "POST", sent_from=_DEPLOYMENT),
    Page(f"{_ONE}/tasks/{{task}}/plans/{{job}}", Permission.READ, _planned),
    Page(f"{_ONE}/tasks/{{task}}/apply", UseCase.DEPLOY.permission, _apply, "POST", sent_from=_DEPLOYMENT),
    Page(f"{_ONE}/revoke", UseCase.REVOKE.permission, _revoking),
    Page(f"{_ONE}/revoke", UseCase.REVOKE.permission, _revoke, "POST"),
    Page(f"{_ONE}/remove", UseCase.REMOVE.permission, _removing),
    Page(f"{_ONE}/remove", UseCase.REMOVE.permission, _remove, "POST"),
)
