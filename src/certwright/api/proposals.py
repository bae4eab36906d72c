"""`/proposals`: what a new certificate could be, by what there is; by jobs, as it takes time. Nothing is made of it."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, StrictInt

from certwright.api.access import EDITS, MANAGES, UsesEngine, UsesJobs
from certwright.api.changes import CHANGES, Body, Line
from certwright.api.jobs import BEGUN, begun
from certwright.api.repeats import RepeatableRoute
from certwright.api.watched import WantedFile
from certwright.domain.identifiers import MAX_NAMES
from certwright.domain.jobs import Job
from certwright.engine.proposals import propose_from_file, propose_from_server, propose_names
from certwright.probe import Endpoint

router = APIRouter(tags=["certificates"], route_class=RepeatableRoute)
_WHAT = "propose a certificate"


class TypedNames(Body):
    """Names as somebody typed them."""

    names: Annotated[list[Line], Field(min_length=1, max_length=MAX_NAMES, examples=[["mail.contoso.com"]])]


class WebServer(Body):
    """A web server that is looked at."""

    host: Line = Field(examples=["www.contoso.test"])
    port: StrictInt = Field(default=443, ge=1, le=65535)


@router.post("/proposals/names", dependencies=[EDITS], status_code=BEGUN, responses=CHANGES)
def post_names_proposal(engine: UsesEngine, jobs: UsesJobs, wanted: TypedNames, response: Response) -> Job:
    """Say what is wrong with each of these names, which certificate has it, and whether DNS has its address."""
    return begun(jobs.begin(engine, _WHAT, "", lambda acting: propose_names(acting, wanted.names).data()), response)


@router.post("/proposals/server", dependencies=[MANAGES], status_code=BEGUN, responses=CHANGES)
def post_server_proposal(engine: UsesEngine, jobs: UsesJobs, wanted: WebServer, response: Response) -> Job:
    """Look at what a web server presents, and say what a certificate to follow it would be."""
    at = Endpoint(wanted.host, wanted.port)
    return begun(jobs.begin(engine, _WHAT, str(at), lambda acting: propose_from_server(acting, at).data()), response)


@router.post("/proposals/file", dependencies=[MANAGES], status_code=BEGUN, responses=CHANGES)
def post_file_proposal(engine: UsesEngine, jobs: UsesJobs, wanted: WantedFile, response: Response) -> Job:
    """Read a certificate in a file, and say what one to follow it would be; a key in it is not kept."""
    data, password = wanted.read()
    return begun(
        jobs.begin(engine, _WHAT, "", lambda acting: propose_from_file(acting, data, password).data()), response
    )
