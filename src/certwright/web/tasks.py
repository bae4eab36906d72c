"""The tasks of a managed certificate: in their order, added, changed, switched, run, and where each stands."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.errors import CertwrightError
from certwright.domain.managed import ManagedCertificate, TaskSettings
from certwright.domain.runs import Stage
from certwright.domain.tasks import Role, Trigger
from certwright.engine import catalog
from certwright.engine.commands import may_run
from certwright.engine.destinations import destinations
from certwright.engine.managed import details
from certwright.engine.task_list import (
    add_task,
    change_task,
    described,
    enable_task,
    left_unfinished,
    move_task,
    remove_task,
)
from certwright.engine.test.targets import try_task
from certwright.sdk.params import OnlyWith, Params, read_params
from certwright.sdk.task import Action
from certwright.web.certificate import changed, id_of, revision, tab, task_of
from certwright.web.forms import OWN, Filled, Maker, filled
from certwright.web.language import _, later
from certwright.web.matrix import judged
from certwright.web.pages import Page, Visit, with_query
from certwright.web.picking import stored
from certwright.web.received import whole

_TAB, _TEST = "/deployment", "/test"


class When(Params):
    """What a task is called, and when it runs."""

    title: str | None = Field(
        default=None, max_length=200, description="What you call it; its kind, if you leave it empty."
    )
    role: Role = Field(default=Role.DEPLOYMENT, description="Whether it runs before the authority is asked, or after.")
    trigger: Trigger = Field(default=Trigger.ON_SUCCESS, description="What has it run.")
    watched: Annotated[str | None, OnlyWith("trigger", ("on-task-failure",))] = Field(
        default=None,
        title="After the failure of",
        description="The title of the task whose failure it waits for; else any.",
        json_schema_extra={"stored": "task"},
    )
    stops: bool = Field(
        default=False, title="Stops what follows", description="What comes after it waits while it has failed."
    )
    retries: int | None = Field(default=None, ge=0, description="How often it is tried again; else until it succeeds.")
    retry_minutes: float | None = Field(default=None, ge=1, description="Minutes between tries; else more each time.")
    window: str | None = Field(
        default=None,
        title="Maintenance window",
        description="The maintenance window in which it runs; else the certificate's.",
        json_schema_extra={"stored": "window"},
    )

    @property
    def settings(self) -> dict[str, Any]:
        """As fields of `TaskSettings`, as far as something was said."""
        said = self.model_dump(exclude_unset=True, exclude={"retry_minutes"})
        if self.retry_minutes is not None:
            said["retry_delay"] = timedelta(minutes=self.retry_minutes)
        return {name: value for name, value in said.items() if value is not None}


def deployment(visit: Visit, error: CertwrightError | None = None) -> Response:
    """All tasks, in the order in which they run, with where each stands and what its ports serve."""
    found = details(visit.engine, visit.request.path_params["id"])
    states = {state.task_id: state for state in found.states}
    served = {state.task_id: [judged(row, found.facts) for row in state.served] for state in found.states}
    lines = [[t for t in found.managed.tasks if t.role is role] for role in Role]
    kinds = [catalog.plugin("tasks", name) for name in sorted(catalog.names("tasks"))]
    return tab(
        visit,
        "deployment",
        error,
        lines=[line for line in lines if line],
        states=states,
        served=served,
        kinds=[(each.name, each.sentence) for each in kinds],
    )


def _makers(visit: Visit, kind: str) -> tuple[Maker, Maker]:
    found = catalog.plugin("tasks", kind)
    with visit.engine.store.read() as unit:
        windows = [window.name for window in unit.windows.list()]
    titles = [task.title for task in _managed(visit).tasks]
    named = {"window": windows, "task": titles}
    return Maker(When, named.__getitem__), Maker(
        found.params, stored(visit.engine), OWN, first=("auth", "credential", "services")
    )


def _form(
    visit: Visit,
    kind: str,
    title: str,
    error: CertwrightError | None,
    known: Mapping[str, Any],
    *,
    deployed: bool = False,
) -> Response:
    """The form of a task: empty, as it is known, as it was sent with what is wrong, or as it was tried out."""
    tried = None if error else visit.again()
    sent, wrong = (tried.sent, tried.error) if tried else (visit.fields, error)
    makers = _makers(visit, kind)
    if tried or error:
        shown = filled(makers, sent, wrong)
    else:
        shown = Filled((makers[0].empty(known), makers[1].empty(known.get("params"))))
    own, form = shown.forms
    return tab(
        visit,
        "task",
        wrong,
        title=title,
        folders=visit.engine.places.scripts if catalog.plugin("tasks", kind).cls.commands else None,
        sends_keys=_sends_keys(kind),
        lacks=_lacks(visit, kind),
        deployed=deployed,
        own=own,
        form=form,
        told=shown.problem,
        checks=tried.result if tried and not wrong else (),
    )


def _sends_keys(kind: str) -> bool:
    return not issubclass(catalog.plugin("tasks", kind).cls, Action)


def _lacks(visit: Visit, kind: str) -> Permission | None:
    """The permission that this person does not have, and without which no task of this kind is stored, or tried out."""
    if not may_run(visit.engine, catalog.plugin("tasks", kind).cls):
        return Permission.COMMANDS
    may = visit.person.caller.permissions
    if _sends_keys(kind) and Permission.KEYS not in may and not destinations(_managed(visit).tasks):
        return Permission.KEYS
    return None


def _typed(visit: Visit, kind: str) -> TaskSettings:
    own, maker = _makers(visit, kind)
    when = read_params(When, own.given(visit.fields), "when it runs")
    return described(kind, maker.given(visit.fields), when.settings)


def _adding(visit: Visit, error: CertwrightError | None = None) -> Response:
    kind = visit.request.path_params["kind"]
    return _form(visit, kind, _("A new task: %(kind)s") % {"kind": kind}, error, {})


def _add(visit: Visit) -> Response:
    def add() -> None:
        wanted = _typed(visit, visit.request.path_params["kind"])
        add_task(visit.engine, id_of(visit), wanted, revision(visit))

    return changed(visit, add, _adding, _TAB)


def _try(visit: Visit) -> Response:
    """Try out what stands in the form, stored or not, and show the form again with what was seen."""
    kind = visit.request.path_params.get("kind") or _task(visit).kind
    managed_id, back = id_of(visit), visit.request.url.path.removesuffix(_TEST)
    return visit.begin(
        later("Test the task"),
        lambda engine: try_task(engine, managed_id, _typed(visit, kind)),
        lambda job: with_query(back, again=job.id),
        back,
        refill=True,
    )


def _changing(visit: Visit, error: CertwrightError | None = None) -> Response:
    managed, task = _managed(visit), _task(visit)
    watched = {"watched": managed.task(task.watched).title} if task.watched else {}
    minutes = {"retry_minutes": task.retry_delay / timedelta(minutes=1)} if task.retry_delay else {}
    with visit.engine.store.read() as unit:
        state = unit.deployments.get(task.id)
    return _form(
        visit,
        task.kind,
        task.title,
        error,
        {**task.model_dump(), **minutes, **watched},
        deployed=bool(state and task.enabled and state.stage is Stage.DEPLOYED),
    )


def _change(visit: Visit) -> Response:
    task = _task(visit)
    own, maker = _makers(visit, task.kind)

    def change() -> None:
        when = read_params(When, own.given(visit.fields), "when it runs").settings
        usual = {"role": Role.DEPLOYMENT, "trigger": Trigger.ON_SUCCESS, "stops": False}
        optional = dict.fromkeys(("watched", "retries", "retry_delay", "window"))
        settings = {**usual, **optional, "title": task.kind, **when}
        given = maker.given(visit.fields)
        change_task(
            visit.engine, id_of(visit), task.id, given, maker.emptied(given), settings, revision=revision(visit)
        )

    return changed(visit, change, _changing, _TAB)


def _enable(visit: Visit) -> Response:
    enabled = visit.sent("enabled") == "yes"
    return changed(
        visit,
        lambda: enable_task(visit.engine, id_of(visit), _task(visit).id, enabled=enabled, revision=revision(visit)),
        deployment,
        _where_it_is(visit),
    )


def _move(visit: Visit) -> Response:
    place = whole(visit.sent("place")) or 0
    return changed(
        visit,
        lambda: move_task(visit.engine, id_of(visit), _task(visit).id, place, revision(visit)),
        deployment,
        _where_it_is(visit),
    )


def _removing(visit: Visit, error: CertwrightError | None = None) -> Response:
    task = _task(visit)
    states = [state for state in details(visit.engine, id_of(visit)).states if state.task_id == task.id]
    return tab(visit, "task-remove", error, task=task, unfinished=[s for each in states for s in left_unfinished(each)])


def _remove(visit: Visit) -> Response:
    return changed(
        visit, lambda: remove_task(visit.engine, id_of(visit), _task(visit).id, revision(visit)), _removing, _TAB
    )


def _managed(visit: Visit) -> ManagedCertificate:
    with visit.engine.store.read() as unit:
        return unit.managed.get(id_of(visit))


def _where_it_is(visit: Visit) -> str:
    """The tab, at the task: among many nobody has to look for it again."""
    return f"{_TAB}#task-{visit.request.path_params['task']}"


def _task(visit: Visit) -> TaskSettings:
    return task_of(visit, _managed(visit))


_DEPLOYMENT = "/certificates/{id}/deployment"
_ADD, _ONE = "/certificates/{id}/tasks/add/{kind}", "/certificates/{id}/tasks/{task}"
PAGES = (
    Page(_DEPLOYMENT, Permission.READ, deployment),
    Page(_ADD, UseCase.SET_TASKS.permission, _adding),
    Page(_ADD, UseCase.SET_TASKS.permission, _add, "POST"),
    Page(f"{_ADD}{_TEST}", UseCase.SET_TASKS.permission, _try, "POST"),
    Page(_ONE, UseCase.SET_TASKS.permission, _changing),
    Page(_ONE, UseCase.SET_TASKS.permission, _change, "POST"),
    Page(f"{_ONE}{_TEST}", UseCase.SET_TASKS.permission, _try, "POST"),
    Page(f"{_ONE}/enable", UseCase.SET_TASKS.permission, _enable, "POST", sent_from=_DEPLOYMENT),
    Page(f"{_ONE}/move", UseCase.SET_TASKS.permission, _move, "POST", sent_from=_DEPLOYMENT),
    Page(f"{_ONE}/remove", UseCase.SET_TASKS.permission, _removing),
    Page(f"{_ONE}/remove", UseCase.SET_TASKS.permission, _remove, "POST"),
)
