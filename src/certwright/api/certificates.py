"""`/certificates`: what is kept valid."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from certwright.api.access import EDITS, HOLDS, READS, REQUESTS, UsesEngine, Wakes
from certwright.api.changes import GUARDED, UNCHANGED, Body, Id, Line, Moment, Revision, SeenRevision
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.errors import NotFound
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, ManagedCertificate, RenewalPolicy, Tags
from certwright.domain.renewal import Decision, Reason
from certwright.domain.runs import DeploymentState
from certwright.engine import hold, windows
from certwright.engine.managed import details, set_tags
from certwright.engine.status import judge_stale
from certwright.store.listing import Expiry, Filter

router = APIRouter(tags=["certificates"], route_class=RepeatableRoute)


class Listed(BaseModel):
    """A managed certificate in a list.

    `not_after` is the end of its current version, if it was ever issued; `next_check` when it is looked at next.
    """

    id: str
    title: str
    names: list[str]
    issuers: list[str]
    tags: list[str]
    health: Condition | None
    not_after: AwareDatetime | None
    next_check: AwareDatetime | None


class Certificates(BaseModel):
    """A page of managed certificates, by title or by their end; `next` is the `after` of the page after it."""

    items: list[Listed]
    next: str | None


class Renewal(BaseModel):
    """Whether it is due now, why, and when it is looked at next."""

    due: bool
    reason: Reason
    message: str
    next_check: AwareDatetime
    hint: str = Field(default="", description="What a person has to do for it to be due, if that is anything.")

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """What was decided."""
        return cls(
            due=decision.due,
            reason=decision.reason,
            message=decision.message,
            next_check=decision.next_check,
            hint=decision.hint,
        )


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


class Hold(Body):
    """Why it is not to be renewed, and until when; until somebody releases it, if that is left out."""

    reason: str = Field(min_length=1, max_length=500, examples=["The mail server moves on Saturday."])
    until: Moment | None = None


class Window(Body):
    """The maintenance window in which it is deployed; null is any time."""

    window: Line | None = Field(examples=["nights"])


class Words(Body):
    """The tags that it is to have, and no others."""

    tags: Tags = Field(examples=[["mail", "berlin"]])


class Which(BaseModel):
    """Which certificates are wanted: those of which all of this is true."""

    health: list[Health] = Field(default=[], description="Only those that are one of these.")
    issuer: str | None = Field(default=None, description="Only those that this issuer signs.")
    name: str | None = Field(default=None, description="Only those with this name.", examples=["mail.contoso.com"])
    part: str = Field(default="", max_length=253, description="Only those with this in their title or a name.")
    tag: str | None = Field(default=None, description="Only those with this tag.", examples=["mail"])
    target: str | None = Field(
        default=None, description="Only those that a task found or put on this server.", examples=["ex1.contoso.com"]
    )
    expiry: Expiry | None = Field(
        default=None,
        description="Only those that have expired (`over`), end within so many days, or have an end (`later`), in the "
        "order of their ends; or that were never issued (`never`).",
        examples=["30"],
    )

    def filter(self, now: datetime, after: str = "") -> Filter:
        """As the store takes it; where they are in the order of their ends, those after that place.

        Raises:
            InvalidIdentifier: if the name is none.
        """
        name = Identifier.parse(self.name) if self.name is not None else None
        ends = self.expiry.ends(after, now) if self.expiry else None
        is_never = self.expiry is Expiry.NEVER
        return Filter(self.health, self.issuer, name, self.tag, self.target, self.part, ends, is_never)


class Asked(Which):
    """Which of them, and which page."""

    after: str = Field(default="", description="The `next` of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


@router.get("/certificates", dependencies=[READS], responses=answers())
def list_certificates(engine: UsesEngine, asked: Annotated[Asked, Query()]) -> Certificates:
    """The managed certificates, by title or by their end."""
    wanted = asked.filter(engine.now(), asked.after)
    judge_stale(engine)
    with engine.store.read() as unit:
        found = unit.listing.page(asked.after, asked.limit, wanted)
    items = [
        Listed(
            id=each.managed.id,
            title=each.managed.title,
            names=[i.unicode for i in each.managed.identifiers],
            issuers=list(each.managed.issuers),
            tags=list(each.managed.tags),
            health=each.condition,
            not_after=each.not_after,
            next_check=each.next_check,
        )
        for each in found
    ]
    return Certificates(items=items, next=wanted.place(found[-1]) if len(items) == asked.limit else None)


@router.get("/certificates/{id}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_certificate(engine: UsesEngine, id: Id, response: Response) -> Certificate:  # noqa: A002 - the API's word
    """One managed certificate; its ETag changes with what is wanted and with a hold, not with how it is."""
    found = details(engine, id)
    response.headers.update({"ETag": f'"{found.revision}"', "Cache-Control": "no-store"})
    return Certificate(
        wanted=found.managed,
        health=found.health,
        renewal=Renewal.of(found.decision),
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


@router.post("/certificates/{id}/request", dependencies=[REQUESTS], status_code=202, responses=UNCHANGED)
def post_request(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    seen: SeenRevision,
    wake: Wakes,
    response: Response,
) -> Certificate:
    """Have a new version requested now, unless a person holds it back; asking again meanwhile changes nothing."""
    hold.ask(engine, id, seen)
    wake()
    return get_certificate(engine, id, response)


@router.put("/certificates/{id}/renewal", dependencies=[EDITS], responses=GUARDED)
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


@router.put("/certificates/{id}/window", dependencies=[EDITS], responses=GUARDED)
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


@router.put("/certificates/{id}/tags", dependencies=[EDITS], responses=GUARDED)
def put_tags(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    wanted: Words,
    revision: Revision,
    response: Response,
) -> Certificate:
    """Choose the tags by which it is found, and to which people and tokens can be limited."""
    set_tags(engine, id, wanted.tags, revision)
    return get_certificate(engine, id, response)


@router.put("/certificates/{id}/hold", dependencies=[HOLDS], responses=UNCHANGED)
def put_hold(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    wanted: Hold,
    seen: SeenRevision,
    response: Response,
) -> Certificate:
    """Have it not be renewed; deployments go on."""
    hold.hold(engine, id, wanted.reason, wanted.until, seen)
    return get_certificate(engine, id, response)


@router.delete("/certificates/{id}/hold", dependencies=[HOLDS], responses=UNCHANGED)
def delete_hold(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    seen: SeenRevision,
    response: Response,
) -> Certificate:
    """Let it be renewed again; what failed before keeps its pause, unless somebody requests it."""
    hold.release(engine, id, seen)
    return get_certificate(engine, id, response)
