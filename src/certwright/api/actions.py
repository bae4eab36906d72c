"""`/certificates/{id}`: what is done with one of them, its versions, and its files."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field, SecretStr, StrictBool

from certwright.api.access import DEPLOYS, PREVIEWS, READS, REVOKES, TAKES_KEYS, TESTS, UsesEngine, UsesJobs
from certwright.api.certificates import Certificate, PemChain, get_certificate
from certwright.api.changes import ASKS_PEERS, CHANGES, Body, Id
from certwright.api.examples import RECORDS
from certwright.api.jobs import BEGUN, begun
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.errors import NotFound
from certwright.domain.formats import PfxCipher
from certwright.domain.jobs import Job
from certwright.domain.managed import CertificateVersion
from certwright.engine import export, looks, persist
from certwright.engine.context import Engine
from certwright.engine.deploy import deploy
from certwright.engine.preview import preview
from certwright.engine.revoke import REASONS, revoke
from certwright.engine.test import test

router = APIRouter(tags=["certificates"], route_class=RepeatableRoute)
VersionId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the version.")]


class Revocation(Body):
    """Why, and that you know what it does."""

    reason: str = Field(json_schema_extra={"enum": list(REASONS)}, examples=["key-compromise"])
    breaks_services: Literal[True] = Field(
        description="You know that every service that still presents it breaks, that no rate limit is freed by it, and "
        "that it cannot be undone. If it is only to be replaced, request a new one instead."
    )


class Deploy(Body):
    """How it is to be deployed."""

    attended: StrictBool = Field(
        default=False, description="A person agrees to what the preview said, and looks on; else it is unattended work."
    )
    anytime: StrictBool = Field(default=False, description="Also while its maintenance window is closed.")


class Export(Body):
    """In which form the current version and its key are wanted."""

    format: Literal["pfx", "pem"] = Field(description="One PFX file; or key, certificate and its issuers as PEM.")
    cipher: PfxCipher = Field(default=PfxCipher.LEGACY, description="Of a PFX: legacy is what old Windows reads.")
    password: SecretStr | None = Field(
        default=None, min_length=1, max_length=1000, description="Of a PFX [default: that of its credential]."
    )


def exists(engine: Engine, managed_id: str) -> str:
    """The title of what is there.

    Raises:
        NotFound: if nothing is.
    """
    with engine.store.read() as unit:
        return unit.managed.get(managed_id).title


@router.post("/certificates/{id}/preview", dependencies=[PREVIEWS], status_code=BEGUN, responses=CHANGES)
def post_preview(engine: UsesEngine, jobs: UsesJobs, id: Id, response: Response) -> Job:  # noqa: A002 - the API's word
    """Say what would happen now; targets are read, nothing is changed."""
    exists(engine, id)
    made = jobs.begin(engine, "certificate preview", id, lambda acting: preview(acting, id).data())
    return begun(made, response)


@router.post("/certificates/{id}/test", dependencies=[TESTS], status_code=BEGUN, responses=CHANGES)
def post_test(engine: UsesEngine, jobs: UsesJobs, id: Id, response: Response) -> Job:  # noqa: A002 - as above
    """Try all that a request and a deployment need; no validation is attempted."""
    exists(engine, id)
    return begun(jobs.begin(engine, "certificate test", id, lambda acting: test(acting, id).data()), response)


@router.post("/certificates/{id}/look", dependencies=[PREVIEWS], status_code=BEGUN, responses=CHANGES)
def post_look(engine: UsesEngine, jobs: UsesJobs, id: Id, response: Response) -> Job:  # noqa: A002 - as above
    """Look at what is served, as the service does daily."""
    exists(engine, id)
    return begun(jobs.begin(engine, "look", id, lambda acting: looks.look_at(acting, id).data()), response)


@router.post("/certificates/{id}/deploy", dependencies=[DEPLOYS], status_code=BEGUN, responses=CHANGES)
def post_deploy(
    engine: UsesEngine,
    jobs: UsesJobs,
    id: Id,  # noqa: A002 - the API's word
    wanted: Deploy,
    response: Response,
) -> Job:
    """Run the deployment tasks with the current version, and prove it on every port; what fails is taken back."""
    exists(engine, id)

    def work(acting: Engine) -> Any:
        done = deploy(acting, id, attended=wanted.attended, anytime=wanted.anytime)
        return [task.data() for task in done]

    return begun(jobs.begin(engine, "deploy", id, work), response)


@router.post("/certificates/{id}/revoke", dependencies=[REVOKES], responses=ASKS_PEERS)
def post_revoke(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    wanted: Revocation,
    response: Response,
) -> Certificate:
    """Revoke the current version. Almost never right: do it only if its key is in wrong hands."""
    revoke(engine, id, wanted.reason)
    return get_certificate(engine, id, response)


@router.post(
    "/certificates/{id}/export",
    dependencies=[TAKES_KEYS],
    response_class=Response,
    responses={200: {"content": {export.MEDIA_TYPES[form]: {} for form in ("pfx", "pem")}}, **CHANGES},
)
def post_export(engine: UsesEngine, id: Id, wanted: Export) -> Response:  # noqa: A002 - the API's word
    """The current version with its private key, in one file."""
    password = wanted.password.get_secret_value() if wanted.password else None
    file = export.with_key(engine, id, wanted.format, cipher=wanted.cipher, password=password)
    return Response(
        file.data,
        media_type=file.media_type,
        headers={"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"},
    )


@router.get("/certificates/{id}/versions/{version}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_version(engine: UsesEngine, id: Id, version: VersionId) -> CertificateVersion:  # noqa: A002 - the API's word
    """One version: what was issued once."""
    with engine.store.read() as unit:
        unit.managed.get(id)
        found = unit.versions.get(version)
    if found.managed_id != id:
        raise NotFound(f"There is no version {version!r} of this certificate.")
    return found


@router.get(
    "/certificates/{id}/versions/{version}/chain",
    dependencies=[READS],
    response_class=PemChain,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def get_version_chain(engine: UsesEngine, id: Id, version: VersionId) -> PemChain:  # noqa: A002 - the API's word
    """One version and its issuers, as PEM; without the key."""
    return PemChain(get_version(engine, id, version).chain_pem)


@router.get(
    "/certificates/{id}/persist",
    dependencies=[READS],
    responses={200: {"content": {"application/json": {"example": RECORDS}}}, **answers(HTTPStatus.NOT_FOUND)},
)
def get_persist(engine: UsesEngine, id: Id) -> list[dict[str, Any]]:  # noqa: A002 - the API's word
    """The DNS records that prove the names by dns-persist-01; create them once, they stay."""
    return [record.data() for record in persist.records(engine, id)]
