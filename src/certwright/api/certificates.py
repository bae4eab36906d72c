"""`/certificates`: what is kept valid."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from certwright.api.access import EDITS, READS, REQUESTS, UsesEngine, Wakes
from certwright.api.problems import answers
from certwright.domain.access import Caller
from certwright.domain.errors import NotFound
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, ManagedCertificate, RenewalPolicy
from certwright.domain.renewal import Reason
from certwright.domain.runs import DeploymentState
from certwright.engine import hold, windows
from certwright.engine.managed import details
from certwright.engine.status import judge_stale

router = APIRouter(tags=["certificates"])
Id = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the managed certificate.")]


class Listed(BaseModel):
    """A managed certificate in a list.

    `not_after` is the end of its current version, if it was ever issued; `next_check` when it is looked at next.
    """

    id: str
    title: str
    names: list[str]
    issuers: list[str]
    health: Condition | None
    not_after: AwareDatetime | None
    next_check: AwareDatetime | None


class Certificates(BaseModel):
    """A page of managed certificates, by title; `next` is the `after` of the page after it."""

    items: list[Listed]
    next: str | None


class Renewal(BaseModel):
    """Whether it is due now, why, and when it is looked at next."""

    due: bool
    reason: Reason
    message: str
    next_check: AwareDatetime


class Certificate(BaseModel):
    """All about one managed certificate: what is wanted, how it is, what was issued (newest first), and where it is."""

    wanted: ManagedCertificate
    health: Condition
    renewal: Renewal
    not_after: AwareDatetime | None
    versions: list[CertificateVersion]
    deployments: list[DeploymentState]


class PemChain(Response):
    """A certificate and its issuers (RFC 8555 section 9.1)."""

    media_type = "application/pem-certificate-chain"


class Hold(BaseModel):
    """Why it is not to be renewed, and until when; until somebody releases it, if that is left out."""

    reason: str = Field(min_length=1, max_length=500, examples=["The mail server moves on Saturday."])
    until: AwareDatetime | None = None


class Window(BaseModel):
    """The maintenance window in which it is deployed; null is any time."""

    window: str | None = Field(examples=["nights"])


def _revision(
    if_match: Annotated[
        str | None, Header(pattern='^"[0-9]{1,18}"$', description="The ETag with which it was read.", examples=['"3"'])
    ] = None,
) -> int:
    """That which the caller has seen.

    Raises:
        HTTPException: without one.
    """
    if if_match is None:
        raise HTTPException(
            HTTPStatus.PRECONDITION_REQUIRED,
            "A change takes the ETag of what was read as If-Match, so that nobody's change is lost: read it first.",
        )
    return int(if_match.strip('"'))


Revision = Annotated[int, Depends(_revision)]
_CHANGES = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_GUARDED = {**_CHANGES, **answers(HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)}


@router.get("/certificates", dependencies=[READS], responses=answers())
def list_certificates(
    engine: UsesEngine,
    health: Annotated[list[Health] | None, Query(description="Only those that are so.")] = None,
    issuer: Annotated[str | None, Query(description="Only those that this issuer signs.")] = None,
    name: Annotated[str | None, Query(description="Only those with this name.", examples=["mail.contoso.com"])] = None,
    after: Annotated[str, Query(description="The last title of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Certificates:
    """The managed certificates, by title."""
    wanted = Identifier.parse(name) if name is not None else None
    judge_stale(engine)
    with engine.store.read() as unit:
        found = unit.listing.page(after, limit, health=health or (), issuer=issuer, name=wanted)
    items = [
        Listed(
            id=each.managed.id,
            title=each.managed.title,
            names=[i.unicode for i in each.managed.identifiers],
            issuers=list(each.managed.issuers),
            health=each.condition,
            not_after=each.not_after,
            next_check=each.next_check,
        )
        for each in found
    ]
    return Certificates(items=items, next=items[-1].title if len(items) == limit else None)


@router.get("/certificates/{id}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_certificate(engine: UsesEngine, id: Id, response: Response) -> Certificate:  # noqa: A002 - the API's word
    """One managed certificate; its ETag changes with what is wanted, not with how it is."""
    found = details(engine, id)
    response.headers.update({"ETag": f'"{found.revision}"', "Cache-Control": "no-store"})
    return Certificate(
        wanted=found.managed,
        health=found.health,
        renewal=Renewal(
            due=found.decision.due,
            reason=found.decision.reason,
            message=found.decision.message,
            next_check=found.decision.next_check,
        ),
        not_after=found.facts.not_after if found.facts else None,
        versions=list(found.versions),
        deployments=list(found.states),
    )


@router.get(
    "/certificates/{id}/chain",
    dependencies=[READS],
    response_class=PemChain,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def get_chain(engine: UsesEngine, id: Id) -> PemChain:  # noqa: A002 - the API's word
    """The current version and its issuers, as PEM; without the key."""
    with engine.store.read() as unit:
        managed = unit.managed.get(id)
        current = unit.managed.current(managed.id)
    if current is None:
        raise NotFound(f"{managed.title!r} was not issued yet.", hint="Look at its runs for the reason.")
    return PemChain(current.chain_pem)


@router.post("/certificates/{id}/request", status_code=202, responses=_CHANGES)
def post_request(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    caller: Annotated[Caller, Depends(REQUESTS)],
    wake: Wakes,
    response: Response,
) -> Certificate:
    """Have a new version requested now; asking again before that is done changes nothing."""
    hold.ask(engine, id, caller.name)
    wake()
    return get_certificate(engine, id, response)


@router.put("/certificates/{id}/renewal", dependencies=[EDITS], responses=_GUARDED)
def put_renewal(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    policy: RenewalPolicy,
    revision: Revision,
    response: Response,
) -> Certificate:
    """Choose when it is renewed."""
    hold.set_policy(engine, id, policy, revision)
    return get_certificate(engine, id, response)


@router.put("/certificates/{id}/window", dependencies=[EDITS], responses=_GUARDED)
def put_window(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    wanted: Window,
    revision: Revision,
    response: Response,
) -> Certificate:
    """Choose the maintenance window in which it is deployed."""
    windows.set_window(engine, id, wanted.window, revision)
    return get_certificate(engine, id, response)


@router.put("/certificates/{id}/hold", dependencies=[EDITS], responses=_CHANGES)
def put_hold(engine: UsesEngine, id: Id, wanted: Hold, response: Response) -> Certificate:  # noqa: A002 - as above
    """Have it not be renewed; deployments go on."""
    hold.hold(engine, id, wanted.reason, wanted.until)
    return get_certificate(engine, id, response)


@router.delete("/certificates/{id}/hold", dependencies=[EDITS], responses=_CHANGES)
def delete_hold(engine: UsesEngine, id: Id, response: Response) -> Certificate:  # noqa: A002 - the API's word
    """Let it be renewed again, and at once where it failed before."""
    hold.release(engine, id)
    return get_certificate(engine, id, response)
