"""`/sign-in-providers`: by which OpenID providers people sign in to the pages, and as what."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, StrictBool

from certwright.api import listing
from certwright.api.access import ADMINISTERS, UsesEngine
from certwright.api.changes import (
    ASKS_PEERS,
    GUARDED_PEERS,
    UNCHANGED,
    Body,
    GuardedSecret,
    Name,
    PutSecret,
    show_secret_tag,
)
from certwright.api.listing import Asked, Named
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.engine.context import Engine
from certwright.engine.openid import providers

router = APIRouter(tags=["people and tokens"], route_class=RepeatableRoute)


class Provider(BaseModel):
    """A provider: what may be `shown` of it; `redirect_uri` is to be registered there."""

    name: str
    shown: dict[str, Any]
    redirect_uri: str


class WantedProvider(Body):
    """A provider, in place of the one of that name."""

    params: dict[str, Any] = Field(
        description="As the options of `certwright person provider add`, the secret included; it is never shown.",
        examples=[
            {
                "title": "Contoso",
                "issuer": "https://login.contoso.test/realms/main",
                "client_id": "certwright",
                "client_secret": "...",
                "address": "https://certwright.contoso.test",
                "role_claim": "groups",
                "operators": ["certificate-team"],
            }
        ],
    )
    check: StrictBool = Field(
        default=True, description="Ask it first; nothing is stored if it does not answer as it must."
    )


class StoredProvider(BaseModel):
    """A provider that was stored, and what was seen of it; empty if it was not asked."""

    provider: Provider
    seen: str


class Tried(BaseModel):
    """What was seen of a provider."""

    seen: str


@router.get("/sign-in-providers", dependencies=[ADMINISTERS], responses=answers())
def list_providers(engine: UsesEngine, asked: Asked) -> Named[Provider]:
    """The providers, by name."""
    return listing.page(_all(engine), asked)


def _all(engine: Engine) -> list[Provider]:
    return [
        Provider(name=each.name, shown=dict(each.shown), redirect_uri=each.redirect_uri)
        for each in providers.providers(engine)
    ]


def _provider(engine: Engine, name: str) -> Provider:
    return listing.one(_all(engine), name, "sign-in provider", "/sign-in-providers")


@router.get("/sign-in-providers/{name}", dependencies=[ADMINISTERS], responses=answers(HTTPStatus.NOT_FOUND))
def get_provider(engine: UsesEngine, name: Name, response: Response) -> Provider:
    """One provider; its ETag changes each time that it is stored."""
    show_secret_tag(engine, name, response)
    return _provider(engine, name)


@router.put("/sign-in-providers/{name}", dependencies=[ADMINISTERS], responses=GUARDED_PEERS)
def put_provider(engine: PutSecret, name: Name, wanted: WantedProvider) -> StoredProvider:
    """Store a provider that gives no role that may more than you; whoever came by it has to sign in again."""
    seen = providers.put_provider(engine, name, wanted.params, checked=wanted.check)
    return StoredProvider(provider=_provider(engine, name), seen=seen)


@router.post("/sign-in-providers/{name}/test", dependencies=[ADMINISTERS], responses=ASKS_PEERS)
def post_provider_test(engine: UsesEngine, name: Name) -> Tried:
    """Ask a provider all that can be asked without a person."""
    _provider(engine, name)
    return Tried(seen=providers.try_provider(engine, name))


@router.delete(
    "/sign-in-providers/{name}",
    dependencies=[ADMINISTERS],
    status_code=HTTPStatus.NO_CONTENT,
    responses=UNCHANGED,
)
def delete_provider(engine: GuardedSecret, name: Name) -> None:
    """Remove a provider; nobody comes by it any more."""
    _provider(engine, name)
    providers.remove_provider(engine, name)
