"""`/people` and `/tokens`: who signs in to the pages, and with what programs use the API."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, StrictInt

from certwright.api import listing
from certwright.api.access import ADMINISTERS, UsesEngine
from certwright.api.changes import CHANGES, UNCHANGED, Body, Line, Name, Unchanged, show_place, show_tag
from certwright.api.listing import Asked, Named
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.access import ApiToken, Permission, Person, PersonName, Role
from certwright.domain.managed import Tags
from certwright.engine import people, tokens
from certwright.engine.context import Engine

router = APIRouter(tags=["people and tokens"], route_class=RepeatableRoute)


Guarded = Annotated[Engine, Depends(Unchanged(people.secured))]


class Shown(BaseModel):
    """Somebody who signs in; with `tags` only for the certificates that have one of them.

    After too many wrong passwords none is looked at from where they came until `locked_until`. Who comes by a sign-in
    `provider` has no password, and is not let in while `barred`.
    """

    name: str
    role: Role
    tags: Tags
    second_factor: bool
    created_at: AwareDatetime
    locked_until: AwareDatetime | None
    provider: str | None
    barred: bool

    @classmethod
    def of(cls, person: Person) -> "Shown":
        """What may be shown."""
        return cls(
            name=person.name,
            role=person.role,
            tags=person.tags,
            second_factor=person.second_factor,
            created_at=person.created_at,
            locked_until=person.locked_until,
            provider=person.identity.provider if person.identity else None,
            barred=person.barred,
        )


class NewPerson(Body):
    """Somebody new."""

    name: PersonName = Field(description="With which this person signs in.", examples=["anna"])
    role: Role
    tags: Tags = Field(default=(), description="With some, only for the certificates that have one of them.")
    password: SecretStr = Field(max_length=1000, description="It is never shown.")


class NewRole(Body):
    """Another role, at once."""

    role: Role
    tags: Tags = Field(default=(), description="With some, only for the certificates that have one of them.")


class NewPassword(Body):
    """Another password; sessions end with it, and what is locked is no longer."""

    password: SecretStr = Field(max_length=1000, description="It is never shown.")


class NewToken(Body):
    """A token for one program, with no more than it needs, and no more than you may do yourself."""

    name: Line = Field(max_length=80, description="What it is for.", examples=["monitoring"])
    permissions: list[Permission] = Field(min_length=1, max_length=len(Permission))
    tags: Tags = Field(default=(), description="With some, only for the certificates that have one of them.")
    days: StrictInt = Field(default=90, ge=1, le=366, description="How long it is valid.")


class MadeToken(BaseModel):
    """A token, and what its owner shows from now on."""

    token: ApiToken
    secret: str = Field(description="Told once: empty where the request is repeated with its Idempotency-Key.")


@router.get("/people", dependencies=[ADMINISTERS], responses=answers())
def list_people(engine: UsesEngine, asked: Asked) -> Named[Shown]:
    """Who can sign in, by name."""
    with engine.store.read() as unit:
        return listing.page(map(Shown.of, unit.people.list()), asked)


@router.post("/people", dependencies=[ADMINISTERS], status_code=HTTPStatus.CREATED, responses=CHANGES)
def post_person(engine: UsesEngine, wanted: NewPerson, response: Response) -> Shown:
    """Let somebody sign in, who may do no more than you."""
    made = people.add_person(engine, wanted.name, wanted.role, wanted.password.get_secret_value(), wanted.tags)
    show_place(response, "people", made.name)
    return Shown.of(made)


@router.get("/people/{name}", dependencies=[ADMINISTERS], responses=answers(HTTPStatus.NOT_FOUND))
def get_person(engine: UsesEngine, name: Name, response: Response) -> Shown:
    """Somebody who can sign in."""
    with engine.store.read() as unit:
        kept = unit.people.get(name)
        show_tag(response, people.secured(unit, name))
    return Shown.of(kept)


@router.put("/people/{name}/role", dependencies=[ADMINISTERS], responses=UNCHANGED)
def put_role(engine: Guarded, name: Name, wanted: NewRole) -> Shown:
    """Give somebody another role, who may do no more than you, before and after."""
    return Shown.of(people.set_role(engine, name, wanted.role, wanted.tags))


@router.delete("/people/{name}/second-factor", dependencies=[ADMINISTERS], responses=UNCHANGED)
def delete_second_factor(engine: Guarded, name: Name) -> Shown:
    """Have somebody not be asked for a code any more, such as when the phone is lost."""
    return Shown.of(people.remove_second_factor(engine, name))


@router.put("/people/{name}/password", dependencies=[ADMINISTERS], responses=UNCHANGED)
def put_password(engine: Guarded, name: Name, wanted: NewPassword) -> Shown:
    """Give somebody another password, who may do no more than you."""
    return Shown.of(people.set_password(engine, name, wanted.password.get_secret_value()).person)


@router.delete("/people/{name}", dependencies=[ADMINISTERS], status_code=HTTPStatus.NO_CONTENT, responses=UNCHANGED)
def delete_person(engine: Guarded, name: Name) -> None:
    """Have somebody not be let in any more, at once; who comes by a provider is remembered as barred."""
    people.remove_person(engine, name)


@router.post("/people/{name}/admit", dependencies=[ADMINISTERS], responses=UNCHANGED)
def post_admission(engine: Guarded, name: Name) -> Shown:
    """Let somebody in again who was removed and comes by a provider."""
    return Shown.of(people.admit_person(engine, name))


@router.get("/tokens", dependencies=[ADMINISTERS], responses=answers())
def list_tokens(engine: UsesEngine, asked: Asked) -> Named[ApiToken]:
    """The tokens, by name: what each allows, until when, and when it was used last, to the hour."""
    with engine.store.read() as unit:
        return listing.page(unit.tokens.list(), asked)


@router.post("/tokens", dependencies=[ADMINISTERS], status_code=HTTPStatus.CREATED, responses=CHANGES)
def post_token(engine: UsesEngine, wanted: NewToken, response: Response) -> MadeToken:
    """Make a token and show it, once."""
    token, secret = tokens.create_token(
        engine, wanted.name, wanted.permissions, timedelta(days=wanted.days), wanted.tags
    )
    show_place(response, "tokens", token.name)
    return MadeToken(token=token, secret=secret)


@router.delete("/tokens/{name:path}", dependencies=[ADMINISTERS], status_code=HTTPStatus.NO_CONTENT, responses=CHANGES)
def delete_token(engine: UsesEngine, name: Name) -> None:
    """Have a token let nobody in any more."""
    tokens.remove_token(engine, name)
