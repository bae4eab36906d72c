"""`/certificates/{id}/tasks`: what runs before a request, after it, or when something has failed."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, Field, StrictBool, StrictInt

from certwright.api.access import DEPLOYS, READS, SETS_TASKS, UsesEngine, UsesJobs
from certwright.api.actions import Deploy, exists
from certwright.api.changes import CHANGES, GUARDED, Body, Id, Line, Revision, show_place
from certwright.api.jobs import BEGUN, begun
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.jobs import Job
from certwright.domain.managed import TaskSettings
from certwright.domain.runs import Stage
from certwright.domain.tasks import Role, Trigger
from certwright.engine import task_list
from certwright.engine.all_tasks import all_tasks
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.managed import details
from certwright.engine.test.targets import try_task

router = APIRouter(tags=["tasks"], route_class=RepeatableRoute)
TaskId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the task.")]
_SETTINGS = ("title", "trigger", "watched", "stops", "retries", "retry_delay", "window")
_NOT_NULL = ("title", "trigger", "stops")


class Task(BaseModel):
    """A task, the place at which it runs among those of its role, and how far it has come."""

    settings: TaskSettings
    place: int
    stage: Stage


class PlacedTask(Task):
    """A task of any certificate; `next` is when it runs next, as far as that is known."""

    certificate: str = Field(description="The id of its certificate.")
    title: str = Field(description="The title of its certificate.")
    next: AwareDatetime | None


class Tasks(BaseModel):
    """The tasks of a page of certificates, by their title; `next` is the `after` of the page after it."""

    items: list[PlacedTask]
    next: str | None


class When(Body):
    """How a task is called, and when it runs. What is left out stays, or is as usual."""

    title: Line | None = Field(default=None, description="What you call it [default: its kind].")
    trigger: Trigger | None = Field(default=None, description="What has it run [default: on-success].")
    watched: Line | None = Field(
        default=None, description="For on-task-failure: the id, title or kind of the task [default: any before it]."
    )
    stops: StrictBool | None = Field(default=None, description="Whether what comes after it waits while it has failed.")
    retries: StrictInt | None = Field(
        default=None, ge=0, le=1000, description="How often it is tried again [default: until it succeeds]."
    )
    retry_delay: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=30))] | None = Field(
        default=None, description="Between tries [default: more each time].", examples=["PT15M"]
    )
    window: Line | None = Field(default=None, description="The maintenance window [default: the certificate's].")

    def settings(self) -> Mapping[str, Any]:
        """What was said, as fields of `TaskSettings`."""
        said = {name: getattr(self, name) for name in _SETTINGS if name in self.model_fields_set}
        return {name: value for name, value in said.items() if value is not None or name not in _NOT_NULL}


class NewTask(When):
    """A task; `/plugins/tasks/{kind}` describes its parameters."""

    kind: Line = Field(examples=["exchange"])
    params: dict[str, Any] = Field(default={}, examples=[{"servers": ["mail01.contoso.test"]}])
    role: Role = Field(default=Role.DEPLOYMENT, description="Whether it runs before the authority is asked, or after.")

    def described(self) -> TaskSettings:
        """As the engine takes it."""
        return task_list.described(self.kind, self.params, {**self.settings(), "role": self.role})


class ChangedTask(When):
    """What is to be another."""

    params: dict[str, Any] = Field(default={}, description="The parameters that change.")
    unset: list[Line] = Field(default=[], max_length=100, description="The parameters that go back to their defaults.")
    enabled: StrictBool | None = Field(default=None, description="Whether it runs by itself.")
    place: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, description="The place at which it runs, from 1, among those of its role."
    )


class Removed(BaseModel):
    """The task that is no more; `unfinished` tells what it had begun and nobody goes on with now."""

    task: TaskSettings
    unfinished: list[str]


@router.get("/tasks", dependencies=[READS], responses=answers())
def list_all_tasks(
    engine: UsesEngine,
    part: Annotated[str, Query(max_length=253, description="Of the titles or names of their certificates.")] = "",
    stage: Annotated[Stage | None, Query(description="Only those that stand there.")] = None,
    after: Annotated[str, Query(description="The last title of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="Of how many certificates.")] = 50,
) -> Tasks:
    """The tasks of all certificates: what runs where, how it went last, and when it runs next."""
    found, last = all_tasks(engine, after, limit, part=part, stage=stage)
    items = [
        PlacedTask(
            settings=each.task,
            place=each.place,
            stage=each.stage,
            certificate=each.managed.id,
            title=each.managed.title,
            next=each.next_at,
        )
        for each in found
    ]
    return Tasks(items=items, next=last or None)


@router.get("/certificates/{id}/tasks", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def list_tasks(engine: UsesEngine, id: Id, response: Response) -> list[Task]:  # noqa: A002 - the API's word
    """The tasks of a certificate, in the order in which they run."""
    found = details(engine, id)
    response.headers.update({"ETag": f'"{found.revision}"', "Cache-Control": "no-store"})
    stages = {state.task_id: state.stage for state in found.states}
    lines = [
        [task for task in found.managed.tasks if task.role is role] for role in (Role.PRE_REQUEST, Role.DEPLOYMENT)
    ]
    return [
        Task(settings=task, place=place, stage=stages.get(task.id, Stage.NEW))
        for line in lines
        for place, task in enumerate(line, 1)
    ]


@router.post("/certificates/{id}/tasks", dependencies=[SETS_TASKS], status_code=HTTPStatus.CREATED, responses=GUARDED)
def post_task(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    wanted: NewTask,
    revision: Revision,
    response: Response,
) -> list[Task]:
    """Add a task behind the others."""
    made = task_list.add_task(engine, id, wanted.described(), revision)
    show_place(response, "certificates", id, "tasks", made.id)
    return list_tasks(engine, id, response)


@router.post("/certificates/{id}/tasks/test", dependencies=[SETS_TASKS], status_code=BEGUN, responses=CHANGES)
def post_task_test(
    engine: UsesEngine,
    jobs: UsesJobs,
    id: Id,  # noqa: A002 - the API's word
    wanted: NewTask,
    response: Response,
) -> Job:
    """Try a task out that is not stored: its target is asked, and nothing is changed."""
    exists(engine, id)
    described = wanted.described()

    def work(acting: Engine) -> Any:
        return [check.model_dump(mode="json") for check in try_task(acting, id, described)]

    return begun(jobs.begin(engine, "task test", id, work), response)


@router.patch("/certificates/{id}/tasks/{task}", dependencies=[SETS_TASKS], responses=GUARDED)
def patch_task(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    task: TaskId,
    wanted: ChangedTask,
    revision: Revision,
    response: Response,
) -> list[Task]:
    """Change its parameters, when it runs, its place, or whether it does."""
    settings = dict(wanted.settings())
    if wanted.enabled is not None:
        settings["enabled"] = wanted.enabled
    task_list.change_task(
        engine, id, task, wanted.params, wanted.unset, settings, place=wanted.place, revision=revision
    )
    return list_tasks(engine, id, response)


@router.delete("/certificates/{id}/tasks/{task}", dependencies=[SETS_TASKS], responses=GUARDED)
def delete_task(engine: UsesEngine, id: Id, task: TaskId, revision: Revision) -> Removed:  # noqa: A002 - as above
    """Remove a task; what it deployed stays in use."""
    gone = task_list.remove_task(engine, id, task, revision)
    return Removed(task=gone.task, unfinished=list(gone.unfinished))


@router.post("/certificates/{id}/tasks/{task}/run", dependencies=[DEPLOYS], status_code=BEGUN, responses=CHANGES)
def post_task_run(
    engine: UsesEngine,
    jobs: UsesJobs,
    id: Id,  # noqa: A002 - the API's word
    task: TaskId,
    wanted: Deploy,
    response: Response,
) -> Job:
    """Run one task now with the current version, whatever has it run otherwise."""
    exists(engine, id)

    def work(acting: Engine) -> Any:
        done = deploy(acting, id, task, attended=wanted.attended, anytime=wanted.anytime)
        return [each.data() for each in done]

    return begun(jobs.begin(engine, "task run", id, work), response)
