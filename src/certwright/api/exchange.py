"""`/exchange`: an Exchange organisation, read, judged, deployed to and cleaned up, by jobs: it takes time."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, StrictBool, TypeAdapter

from certwright.api.access import DEPLOYS, EXAMINES, PLANS, PREVIEWS, READS, UsesEngine, UsesJobs
from certwright.api.actions import exists
from certwright.api.changes import CHANGES, Body, Id, Line
from certwright.api.jobs import BEGUN, begun
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.access import Permission
from certwright.domain.deployment import Change
from certwright.domain.identifiers import MAX_NAMES
from certwright.domain.jobs import Job
from certwright.domain.validation import Validation
from certwright.engine.accounts import Account, usual_account
from certwright.engine.context import Engine
from certwright.engine.exchange import cleanup, deployment, discovery, judgement, names, setup, undo
from certwright.engine.exchange.reach import organisations, reach
from certwright.exchange.account import check_account, grant_script
from certwright.exchange.connection import Connection
from certwright.exchange.judgement.status import Overview

router = APIRouter(tags=["exchange"], route_class=RepeatableRoute)
_MOST_SERVERS = 200
_MOST_REMOVALS = 1000
Servers = Annotated[
    list[Line], Field(max_length=_MOST_SERVERS, description="Only these servers [default: all].", examples=[["EX01"]])
]

Hashes = Annotated[
    list[Annotated[str, Field(pattern="^[0-9a-fA-F]{8,64}$")]],
    Field(min_length=1, max_length=20, description="The hashes of the plans.", examples=[["3f2a9c01b7de4410"]]),
]
Anytime = Annotated[StrictBool, Field(description="Also while its maintenance window is closed.")]


class Organisation(BaseModel):
    """An organisation that is known: the domains that its servers are in, and how it was reached last."""

    domains: list[str]
    connection: dict[str, Any]


class Reach(Body):
    """How an organisation is reached, with the parameters of the task `exchange`; empty for the one that is known."""

    connection: dict[str, Any] = Field(default={}, examples=[{"servers": ["mail01.contoso.test"]}])


class ReachForNames(Reach):
    """How an organisation is reached, and against which certificate its names are judged."""

    certificate: Line | None = Field(default=None, description="The id of a managed certificate.")


class Acknowledgement(Reach):
    """Send connectors that may present a certificate without client authentication."""

    connectors: list[Line] = Field(min_length=1, max_length=_MOST_SERVERS)


class Setup(Reach):
    """A certificate for an organisation, and its deployment there."""

    connection: dict[str, Any] = Field(
        default={},
        description="Parameters of the task `exchange`, as far as they are not found out or remembered.",
        examples=[{"servers": ["mail01.contoso.com"], "services": ["IIS", "SMTP"]}],
    )
    names: list[Line] = Field(
        default=[],
        max_length=MAX_NAMES,
        description="The names to put on it [default: the public ones that the organisation needs].",
        examples=[["mail.contoso.com", "autodiscover.contoso.com"]],
    )
    issuer: Line | None = Field(
        default=None,
        description="An issuer that is there [default: the first, or a new account at Let's Encrypt].",
        examples=["letsencrypt"],
    )
    email: Line | None = Field(
        default=None,
        description="For a new account: where the authority may write to; with it you agree to its terms of service.",
        examples=["postmaster@contoso.com"],
    )
    validation: Validation = Field(default=Validation(), description="How the names are proved.")
    title: Line | None = Field(default=None, description="What you call it [default: its first name].")
    window: Line | None = Field(default=None, description="The maintenance window in which it is deployed.")

    def account(self, engine: Engine) -> Account:
        """Who is to sign it."""
        usual = usual_account(engine)
        return replace(usual, name=self.issuer or usual.name, email=self.email)


class SettingUp(Setup):
    """The same, to be set up."""

    held: Line | None = Field(
        default=None,
        description="Why it is not to be requested yet [default: it is requested soon].",
        examples=["To be tested first."],
    )


class Planned(Body):
    """What is planned."""

    servers: Servers = Field(default=[])


class Applied(Planned):
    """Plans that somebody has seen and agrees to."""

    plans: Hashes
    anytime: Anytime = False


class Undone(Body):
    """Plans to take a deployment back, that somebody has seen and agrees to."""

    plans: Hashes
    anytime: Anytime = False


class Cleaning(Body):
    """Earlier versions to remove, that somebody has seen and agrees to."""

    removals: list[Change] = Field(
        min_length=1, max_length=_MOST_REMOVALS, description="As `cleanup-plan` tells them; nothing else is removed."
    )
    anytime: Anytime = False


class Script(BaseModel):
    """Commands for the Exchange Management Shell."""

    script: str


class Begin:
    """Begins jobs for whoever asks."""

    def __init__(self, engine: UsesEngine, jobs: UsesJobs, response: Response) -> None:
        self._engine = engine
        self._jobs = jobs
        self._response = response

    def __call__(self, what: str, subject: str, work: Callable[[Engine], Any]) -> Job:
        """A job about an organisation or a certificate."""
        made = self._jobs.begin(self._engine, f"exchange {what}", subject, work)
        return begun(made, self._response)

    def about(self, what: str, managed_id: str, work: Callable[[Engine], Any]) -> Job:
        """A job about a managed certificate.

        Raises:
            NotFound: if there is none.
        """
        exists(self._engine, managed_id)
        return self(what, managed_id, work)

    def reached(self, what: str, wanted: Reach, work: Callable[[Engine, Connection], Any]) -> Job:
        """A job about the organisation that is meant.

        Raises:
            ConfigurationError: if a parameter is wrong, or no or several organisations are known.
        """
        connection = reach(self._engine, wanted.connection)
        subject = ", ".join(connection.organisations)
        return self(what, subject, lambda acting: work(acting, connection))


Begins = Annotated[Begin, Depends(Begin)]


@router.get("/exchange/organisations", dependencies=[READS], responses=answers())
def list_organisations(engine: UsesEngine) -> list[Organisation]:
    """The organisations that are known; the last that was used comes first."""
    return [
        Organisation(domains=sorted(known), connection=next(iter(known.values())).model_dump(mode="json"))
        for known in organisations(engine)
    ]


@router.post("/exchange/discover", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_discover(begin: Begins, wanted: Reach) -> Job:
    """Read the organisation and say what has changed; nothing is changed there."""
    return begin.reached("discover", wanted, lambda acting, at: discovery.discover(acting, at).data())


@router.post("/exchange/names", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_names(begin: Begins, wanted: ReachForNames) -> Job:
    """List the names that the certificate needs, each with who asks for it, and what to do about it."""
    return begin.reached("names", wanted, lambda acting, at: names.names(acting, at, wanted.certificate).data())


@router.post("/exchange/status", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_status(begin: Begins, wanted: Reach) -> Job:
    """What each server has: certificates, services, connectors, expiry, and what is not as it was deployed (drift)."""
    adapter = TypeAdapter(Overview)
    return begin.reached(
        "status", wanted, lambda acting, at: adapter.dump_python(judgement.status(acting, at), mode="json")
    )


@router.post("/exchange/doctor", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_doctor(begin: Begins, wanted: Reach) -> Job:
    """Examine the whole organisation; nothing is changed."""

    def work(acting: Engine, at: Connection) -> Any:
        found = judgement.doctor(acting, at)
        return {"passed": found.passed, "findings": [finding.model_dump(mode="json") for finding in found.findings]}

    return begin.reached("doctor", wanted, work)


@router.post("/exchange/account", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_account(begin: Begins, wanted: Reach) -> Job:
    """Check the rights of the account with which Exchange is asked."""
    return begin.reached("account", wanted, lambda acting, at: judgement.rights(acting, at).data())


@router.get("/exchange/account-script", dependencies=[READS], responses=answers(HTTPStatus.UNPROCESSABLE_ENTITY))
def get_account_script(account: Annotated[Line, Query(examples=["CONTOSO\\svc-certs"])]) -> Script:
    """The cmdlets that give this account the least rights that Certwright needs."""
    check_account(account)
    return Script(script=grant_script(account))


@router.post("/exchange/setup-plan", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_setup_plan(begin: Begins, wanted: Setup) -> Job:
    """What `setup` would set up: servers and names are found out, with a verdict on each name; nothing is stored."""
    return begin("setup --dry-run", "", lambda acting: _proposed(acting, wanted)[0].data())


@router.post("/exchange/setup", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_setup(engine: UsesEngine, begin: Begins, wanted: SettingUp) -> Job:
    """Describe the certificate and its deployment; names and servers are found out, Exchange is not changed.

    It takes `keys` besides, since the private key is sent to these servers.
    """
    engine.caller.require(Permission.KEYS)

    def work(acting: Engine) -> Any:
        proposal, account = _proposed(acting, wanted)
        made = setup.set_up(acting, proposal, account, (wanted.validation,), wanted.title, wanted.held)
        return {**made.model_dump(mode="json"), "proposal": proposal.data()}

    return begin("setup", "", work)


def _proposed(engine: Engine, wanted: Setup) -> tuple[setup.Proposal, Account]:
    account = wanted.account(engine)
    names = tuple(wanted.names)
    proposal = setup.propose(
        engine, wanted.connection, account, wanted.validation, names, wanted.title, window=wanted.window
    )
    return proposal, account


@router.post("/exchange/acknowledge", dependencies=[EXAMINES], status_code=BEGUN, responses=CHANGES)
def post_acknowledge(begin: Begins, wanted: Acknowledgement) -> Job:
    """Agree to what a plan asks about send connectors."""
    return begin.reached(
        "acknowledge",
        wanted,
        lambda acting, at: {"acknowledged": sorted(judgement.acknowledge(acting, at, wanted.connectors))},
    )


@router.post("/certificates/{id}/exchange/plan", dependencies=[PLANS], status_code=BEGUN, responses=CHANGES)
def post_plan(begin: Begins, id: Id, wanted: Planned) -> Job:  # noqa: A002 - the API's word
    """Say exactly what would be done, in which order, and why; servers are read, nothing is changed."""
    return begin.about("plan", id, lambda acting: [one.data() for one in deployment.plan(acting, id, wanted.servers)])


@router.post("/certificates/{id}/exchange/rehearse", dependencies=[DEPLOYS], status_code=BEGUN, responses=CHANGES)
def post_rehearse(begin: Begins, id: Id, wanted: Planned) -> Job:  # noqa: A002 - the API's word
    """As plan, and each command is sent with -WhatIf, to prove the rights."""

    def work(acting: Engine) -> Any:
        found = deployment.rehearse(acting, id, wanted.servers)
        return [{**one.data(), "answers": [a.model_dump(mode="json") for a in answered]} for one, answered in found]

    return begin.about("rehearse", id, work)


@router.post("/certificates/{id}/exchange/apply", dependencies=[DEPLOYS], status_code=BEGUN, responses=CHANGES)
def post_apply(begin: Begins, id: Id, wanted: Applied) -> Job:  # noqa: A002 - the API's word
    """Carry plans out, wave after wave; every port is looked at, and all is taken back if that fails."""

    def work(acting: Engine) -> Any:
        done = deployment.apply(acting, id, wanted.plans, wanted.servers, anytime=wanted.anytime)
        return [task.data() for task in done]

    return begin.about("apply", id, work)


@router.post("/certificates/{id}/exchange/verify", dependencies=[PREVIEWS], status_code=BEGUN, responses=CHANGES)
def post_verify(begin: Begins, id: Id) -> Job:  # noqa: A002 - the API's word
    """What every port of every server and every public name serves now."""
    return begin.about("verify", id, lambda acting: [one.data() for one in deployment.inspect(acting, id)])


@router.post("/certificates/{id}/exchange/undo-plan", dependencies=[PLANS], status_code=BEGUN, responses=CHANGES)
def post_undo_plan(begin: Begins, id: Id) -> Job:  # noqa: A002 - the API's word
    """What would put back what was in use before the last deployment; servers are read, nothing is changed."""
    return begin.about("undo --dry-run", id, lambda acting: [one.data() for one in undo.plan(acting, id)])


@router.post("/certificates/{id}/exchange/undo", dependencies=[DEPLOYS], status_code=BEGUN, responses=CHANGES)
def post_undo(begin: Begins, id: Id, wanted: Undone) -> Job:  # noqa: A002 - the API's word
    """Put it back; it stays so until somebody deploys again, or a newer certificate is issued."""

    def work(acting: Engine) -> Any:
        return [task.data() for task in undo.apply(acting, id, wanted.plans, anytime=wanted.anytime)]

    return begin.about("undo", id, work)


@router.post("/certificates/{id}/exchange/cleanup-plan", dependencies=[PLANS], status_code=BEGUN, responses=CHANGES)
def post_cleanup_plan(begin: Begins, id: Id) -> Job:  # noqa: A002 - the API's word
    """What earlier versions would be removed from the servers, and why others are kept."""
    return begin.about("cleanup --dry-run", id, lambda acting: [one.data() for one in cleanup.plan(acting, id)])


@router.post("/certificates/{id}/exchange/cleanup", dependencies=[DEPLOYS], status_code=BEGUN, responses=CHANGES)
def post_cleanup(begin: Begins, id: Id, wanted: Cleaning) -> Job:  # noqa: A002 - the API's word
    """Remove earlier versions that Certwright imported and nothing uses, as far as somebody agreed to it."""

    def work(acting: Engine) -> Any:
        done = cleanup.carry_out(acting, id, wanted.removals, anytime=wanted.anytime)
        return [task.data() for task in done]

    return begin.about("cleanup", id, work)
