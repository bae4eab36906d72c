"""`/service`: a backup now, and what helps who is to say what is wrong; `/settings` and `/plugins`: what there is."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, StrictBool

from certwright.api.access import ADMINISTERS, READS, UsesEngine, UsesJobs, UsesSettings
from certwright.api.changes import CHANGES, Body, Name
from certwright.api.jobs import BEGUN, begun
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.jobs import Job
from certwright.engine import catalog
from certwright.engine.backup import back_up_into
from certwright.engine.context import Engine
from certwright.engine.diagnostics import bundle
from certwright.settings import shown

router = APIRouter(tags=["service"], route_class=RepeatableRoute)
PluginKind = Annotated[catalog.Kind, Path(description="Of which kind.")]


class Diagnosed(Body):
    """Whether names of hosts, domains and people are replaced by made-up ones."""

    pseudonyms: StrictBool = False


class Bundle(Response):
    """Files in one; without secrets."""

    media_type = "application/zip"


class Setting(BaseModel):
    """What a setting comes to, empty where nothing is set, and where that was said; secrets are not shown."""

    name: str = Field(examples=["listen"])
    value: str = Field(examples=["127.0.0.1:8480"])
    where: str = Field(examples=["default"])


class Installed(BaseModel):
    """The settings of this installation."""

    file: str | None = Field(
        description="The settings file, if there is one.", examples=["/etc/certwright/certwright.toml"]
    )
    settings: list[Setting]


class Plugin(BaseModel):
    """A plugin: what it does, and the JSON schema of its parameters; `credential` in it names a kind of credential."""

    name: str
    kind: str
    page: str = Field(description="In Markdown.")
    params: dict[str, Any] = Field(description="A JSON schema; what is `writeOnly` is secret.")


@router.post("/service/backup", dependencies=[ADMINISTERS], status_code=BEGUN, responses=CHANGES)
def post_backup(engine: UsesEngine, jobs: UsesJobs, settings: UsesSettings, response: Response) -> Job:
    """Write all that a bare machine needs to a file in the folder of the daily backups, and read it back."""

    def work(acting: Engine) -> Any:
        made = back_up_into(acting, settings.backups).backup
        return {"file": str(made.path), "size": made.size, "made_at": made.head.made_at.isoformat()}

    return begun(jobs.begin(engine, "backup", "", work), response)


@router.post("/service/diagnostics", dependencies=[ADMINISTERS], response_class=Bundle, responses=CHANGES)
def post_diagnostics(engine: UsesEngine, settings: UsesSettings, wanted: Diagnosed) -> Bundle:
    """Versions, settings, state, journals and logs in one file, without secrets. Look through it before you send it."""
    data, _ = bundle(engine, settings, pseudonyms=wanted.pseudonyms)
    headers = {"Content-Disposition": 'attachment; filename="certwright-diagnostics.zip"', "Cache-Control": "no-store"}
    return Bundle(data, headers=headers)


@router.get(
    "/plugins/{kind}",
    dependencies=[READS],
    responses={
        200: {"content": {"application/json": {"example": ["cloudflare", "rfc2136"]}}},
        **answers(HTTPStatus.NOT_FOUND),
    },
)
def list_plugins(kind: PluginKind) -> list[str]:
    """The names of the plugins of a kind."""
    return sorted(catalog.names(kind))


@router.get("/plugins/{kind}/{name}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_plugin(kind: PluginKind, name: Name) -> Plugin:
    """What a plugin does, and which parameters it takes."""
    found = catalog.plugin(kind, name)
    return Plugin(name=found.name, kind=kind, page=found.page, params=found.params.model_json_schema())


@router.get("/settings", dependencies=[READS], responses=answers())
def get_settings(settings: UsesSettings) -> Installed:
    """Each setting and where it comes from: command line, environment, settings file or default."""
    found, file = shown(settings), settings.file
    return Installed(file=str(file) if file else None, settings=[Setting(**asdict(one)) for one in found])
