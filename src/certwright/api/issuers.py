"""`/issuers`: the configured accounts at authorities."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, StrictBool

from certwright.api import listing
from certwright.api.access import MANAGES, READS, UsesEngine
from certwright.api.changes import ASKS_PEERS, UNCHANGED, Body, Line, Name, Unchanged, show_place, show_tag
from certwright.api.listing import Asked, Named
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain import authorities
from certwright.domain.authorities import Authority
from certwright.domain.managed import Issuer as Kept
from certwright.domain.managed import IssuerCapabilities
from certwright.engine import issuers
from certwright.engine.context import Engine
from certwright.engine.ledger import levels

router = APIRouter(tags=["issuers"], route_class=RepeatableRoute)
Guarded = Annotated[Engine, Depends(Unchanged(lambda unit, name: unit.issuers.get(name)))]
_PARAMS = {"authority": "letsencrypt", "email": "certs@contoso.com", "agree_tos": True}


class Issuer(BaseModel):
    """An account at an authority; nothing of it is secret.

    `name` is what the user calls it, `authority` what the authority is called, `kind` the plugin, whose `params` are
    described at `/plugins/issuers/{kind}`.
    """

    name: str
    authority: str
    kind: str
    params: dict[str, Any]
    capabilities: IssuerCapabilities

    @classmethod
    def of(cls, kept: Kept) -> "Issuer":
        """What may be shown."""
        return cls(
            name=kept.name,
            authority=kept.title,
            kind=kept.kind,
            params=kept.params,
            capabilities=kept.capabilities,
        )


class ExternalAccount(Body):
    """The external account that an authority binds the new one to."""

    kid: Line = Field(description="Its key id.")
    key: SecretStr = Field(min_length=1, max_length=1000, description="Its MAC key, base64url; it is never shown.")


class NewIssuer(Body):
    """An account that is to be registered."""

    name: Line = Field(description="What you call it.", examples=["letsencrypt"])
    kind: Line = Field(default="acme", description="The plugin.")
    params: dict[str, Any] = Field(examples=[_PARAMS])
    internal_names: StrictBool | None = Field(
        default=None,
        description="Whether it issues for names that exist only inside networks [default: if it is one in the house].",
    )
    external_account: ExternalAccount | None = None


class ChangedIssuer(Body):
    """What is to be another; the others stay, and so does the account."""

    params: dict[str, Any] = Field(default={}, description="The parameters that change.")
    unset: list[Line] = Field(default=[], max_length=100, description="The parameters that go back to their defaults.")


class Level(BaseModel):
    """How much of a rate limit is left; `left` is null where the authority only said when it may be asked again."""

    limit: str
    subject: str
    most: int | None
    within_seconds: float | None
    left: int | None
    full_at: AwareDatetime
    shut_until: AwareDatetime | None
    done_at: AwareDatetime


class Levels(BaseModel):
    """What is left of rate limits: first where there is room last, then where least is left; `more` are left out."""

    items: list[Level]
    more: int


@router.get("/authorities", dependencies=[READS], responses=answers())
def list_authorities() -> list[Authority]:
    """The authorities that need no address: what each issues, what it asks for, how much it allows."""
    return list(authorities.CATALOGUE)


@router.get("/issuers", dependencies=[READS], responses=answers())
def list_issuers(engine: UsesEngine, asked: Asked) -> Named[Issuer]:
    """The issuers, by name."""
    with engine.store.read() as unit:
        return listing.page(map(Issuer.of, unit.issuers.list()), asked)


@router.get("/issuers/{name}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_issuer(engine: UsesEngine, name: Name, response: Response) -> Issuer:
    """One issuer."""
    with engine.store.read() as unit:
        kept = unit.issuers.get(name)
    show_tag(response, kept)
    return Issuer.of(kept)


@router.post("/issuers", dependencies=[MANAGES], status_code=HTTPStatus.CREATED, responses=ASKS_PEERS)
def post_issuer(engine: UsesEngine, wanted: NewIssuer, response: Response) -> Issuer:
    """Register an account at an authority, whose terms of service you agree to by its parameters."""
    given = wanted.external_account
    eab = (given.kid, given.key.get_secret_value().encode()) if given else None
    made = issuers.add_issuer(
        engine, wanted.kind, wanted.name, wanted.params, internal_names=wanted.internal_names, eab=eab
    )
    show_place(response, "issuers", made.name)
    return Issuer.of(made)


@router.patch("/issuers/{name}", dependencies=[MANAGES], responses=ASKS_PEERS | UNCHANGED)
def patch_issuer(engine: Guarded, name: Name, wanted: ChangedIssuer) -> Issuer:
    """Change parameters of an issuer; nothing is changed if the authority is not reached with them."""
    with engine.store.read() as unit:
        kind = unit.issuers.get(name).kind
    return Issuer.of(issuers.change_issuer(engine, kind, name, wanted.params, wanted.unset))


@router.post("/issuers/{name}/test", dependencies=[MANAGES], responses=ASKS_PEERS)
def post_issuer_test(engine: UsesEngine, name: Name) -> Issuer:
    """See that the authority answers and knows the account; with what it says of itself now."""
    return Issuer.of(issuers.test_issuer(engine, name))


@router.get("/issuers/{name}/limits", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def list_limits(
    engine: UsesEngine,
    name: Name,
    requests: Annotated[int, Query(ge=1, le=100_000, description="`done_at` is when so many more would be done.")] = 1,
    limit: Annotated[int, Query(ge=1, le=200, description="How many are shown.")] = 50,
) -> Levels:
    """How much of the authority's rate limits is left, and when there is room again."""
    found = levels(engine, name, requests)
    items = [
        Level(
            limit=level.key.scope,
            subject=level.key.subject,
            most=level.limit.most if level.limit else None,
            within_seconds=level.limit.within.total_seconds() if level.limit else None,
            left=level.left,
            full_at=level.bucket.full_at,
            shut_until=level.bucket.shut_until,
            done_at=level.done_at,
        )
        for level in found[:limit]
    ]
    return Levels(items=items, more=len(found) - len(items))


@router.delete("/issuers/{name}", dependencies=[MANAGES], status_code=HTTPStatus.NO_CONTENT, responses=UNCHANGED)
def delete_issuer(engine: Guarded, name: Name) -> None:
    """Forget an issuer that no managed certificate uses; its account at the authority stays."""
    issuers.remove_issuer(engine, name)
