"""`/credentials`: what signs in to targets and DNS services; stored encrypted, shown never."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, SecretStr, StrictBool

from certwright.api import listing
from certwright.api.access import MANAGES, READS, UsesEngine, UsesJobs
from certwright.api.changes import (
    CHANGES,
    GUARDED_PEERS,
    Body,
    GuardedSecret,
    Line,
    Name,
    PutSecret,
    show_secret_tag,
)
from certwright.api.jobs import BEGUN, begun
from certwright.api.listing import Asked, Named
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError
from certwright.domain.jobs import Job
from certwright.engine import credentials
from certwright.engine.context import Engine
from certwright.sdk.context import Credential as Kept

router = APIRouter(tags=["credentials"], route_class=RepeatableRoute)
_LONGEST = 10_000


class Credential(BaseModel):
    """A credential: what may be `shown` of it, and what uses it.

    `used_by` names ten managed certificates at most, of which `more` are left out, and whatever else uses it.
    """

    name: str
    kind: str
    shown: dict[str, Any]
    used_by: list[str]
    more: int


class Stored(BaseModel):
    """A credential that was stored, and what was seen when it was tried; empty if it was not."""

    credential: Credential
    seen: str


class Kind(BaseModel):
    """A kind of credential, what it is for, and why it cannot be used here, if so; `dns:` begins DNS providers."""

    name: str
    sentence: str
    unavailable: str


class Secret(Body):
    """A credential, in place of the one of that name, wherever it is used. What is secret is never shown."""

    kind: Line = Field(examples=["dns:cloudflare", "exchange"])
    username: str = Field(default="", max_length=1000, description="Of exchange, proxy or script.")
    password: SecretStr | None = Field(
        default=None, max_length=_LONGEST, description="Of exchange, proxy, script or pfx."
    )
    params: dict[str, Any] = Field(
        default={},
        description="Of a DNS provider, secret ones included; `/plugins/dns/{kind}` describes them.",
        examples=[{"api_token": "..."}],
    )
    check: StrictBool = Field(
        default=True, description="Sign in to the DNS service first; nothing is stored if that fails."
    )


class Trial(Body):
    """What is tried."""

    domain: Line | None = Field(
        default=None, description="A domain of yours: a random record is written there, seen, and removed."
    )


def _all(engine: Engine) -> list[Credential]:
    found = credentials.credentials(engine)
    return [
        Credential(name=c.name, kind=c.kind, shown=c.shown, used_by=list(c.used_by.first), more=c.used_by.more)
        for c in found
    ]


def _shown(engine: Engine, name: str) -> Credential:
    return listing.one(_all(engine), name, "credential", "/credentials")


@router.get("/credentials", dependencies=[READS], responses=answers())
def list_credentials(engine: UsesEngine, asked: Asked) -> Named[Credential]:
    """The credentials by name, and who uses them; what is secret is not shown."""
    return listing.page(_all(engine), asked)


@router.get("/credential-kinds", dependencies=[READS], responses=answers())
def list_credential_kinds() -> list[Kind]:
    """The kinds of credential there are."""
    return [Kind(name=k.name, sentence=k.sentence, unavailable=k.unavailable) for k in credentials.kinds()]


@router.get("/credentials/{name}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_credential(engine: UsesEngine, name: Name, response: Response) -> Credential:
    """One credential; its ETag changes each time that it is stored."""
    show_secret_tag(engine, name, response)
    return _shown(engine, name)


@router.put("/credentials/{name}", dependencies=[MANAGES], responses=GUARDED_PEERS)
def put_credential(engine: PutSecret, name: Name, wanted: Secret) -> Stored:
    """Store a credential, in place of the one of that name."""
    if wanted.kind.startswith(credentials.DNS):
        if wanted.username or wanted.password:
            raise ConfigurationError("A DNS provider has no user name and password here.", hint="Give its params.")
        kind = wanted.kind.removeprefix(credentials.DNS)
        seen = credentials.store_credential(engine, kind, name, wanted.params, checked=wanted.check)
        return Stored(credential=_shown(engine, name), seen=seen)
    if wanted.kind not in set(SignIn):
        raise ConfigurationError(
            f"There is no such kind of credential: choose one of {', '.join(SignIn)}, or dns:NAME."
        )
    if wanted.params or wanted.password is None:
        raise ConfigurationError(f"A credential of the kind {wanted.kind} is a password, without params.")
    kept = Kept(name, wanted.username, wanted.password.get_secret_value())
    credentials.store_sign_in(engine, SignIn(wanted.kind), kept)
    return Stored(credential=_shown(engine, name), seen="")


@router.post("/credentials/{name}/test", dependencies=[MANAGES], status_code=BEGUN, responses=CHANGES)
def post_credential_test(engine: UsesEngine, jobs: UsesJobs, name: Name, wanted: Trial, response: Response) -> Job:
    """Sign in to a DNS service, and with a domain try a record there as a request would."""
    _shown(engine, name)

    def work(acting: Engine) -> Any:
        return {"seen": credentials.try_credential(acting, name, wanted.domain)}

    return begun(jobs.begin(engine, "credential test", name, work), response)


@router.delete(
    "/credentials/{name}", dependencies=[MANAGES], status_code=HTTPStatus.NO_CONTENT, responses=GUARDED_PEERS
)
def delete_credential(engine: GuardedSecret, name: Name) -> None:
    """Remove a credential that nothing uses."""
    credentials.remove_credential(engine, name)
