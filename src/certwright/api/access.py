"""Who asks: the token in `Authorization: Bearer`, and the permission that an operation takes."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from certwright.domain.access import Caller, Permission, UseCase
from certwright.domain.errors import NotSignedIn
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.tokens import recognise
from certwright.settings import Settings

BEARER = HTTPBearer(
    scheme_name="token", description="A token: `certwright token add NAME --allow PERMISSION`.", auto_error=False
)

Shown = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


def caller(request: Request, shown: Shown) -> Caller:
    """Who asks.

    Raises:
        NotSignedIn: without a token, or with a wrong one.
    """
    if shown is None:
        raise NotSignedIn(
            "The API takes a token.",
            hint="Make one (certwright token add NAME --allow read) and send it as: Authorization: Bearer TOKEN",
        )
    found = recognise(request.app.state.engine, shown.credentials, source(request))
    request.state.caller = found
    return found


def source(request: Request) -> str:
    """The address from which somebody asks."""
    return request.client.host if request.client else ""


Calls = Annotated[Caller, Depends(caller)]


def engine(request: Request, caller: Calls) -> Engine:
    """The engine of this service, with which the caller acts, let in as `Needs` says."""
    found: Engine = request.app.state.engine
    return found.acting(caller, request.state.takes)


UsesEngine = Annotated[Engine, Depends(engine)]


def wake(request: Request) -> Callable[[], None]:
    """Has the worker of this service look at the schedule now."""
    found: Callable[[], None] = request.app.state.wake
    return found


Wakes = Annotated[Callable[[], None], Depends(wake)]


def jobs(request: Request) -> Jobs:
    """The jobs of this service."""
    found: Jobs = request.app.state.jobs
    return found


UsesJobs = Annotated[Jobs, Depends(jobs)]


def settings(request: Request) -> Settings:
    """The settings of this installation."""
    found: Settings = request.app.state.settings
    return found


UsesSettings = Annotated[Settings, Depends(settings)]


class Needs:
    """Lets in who has this permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request, caller: Calls) -> None:
        """Return if it may.

        Raises:
            Forbidden: if not.
        """
        caller.require(self.permission)
        request.state.takes = self.permission


READS = Depends(Needs(Permission.READ))
MANAGES = Depends(Needs(Permission.MANAGE))
ADMINISTERS = Depends(Needs(Permission.ADMINISTER))
AUDITS = Depends(Needs(Permission.AUDIT))
TAKES_KEYS = Depends(Needs(Permission.KEYS))
PREVIEWS = Depends(Needs(UseCase.PREVIEW.permission))
TESTS = Depends(Needs(UseCase.TEST.permission))
REQUESTS = Depends(Needs(UseCase.REQUEST.permission))
PLANS = Depends(Needs(UseCase.PLAN.permission))
EDITS = Depends(Needs(UseCase.DESCRIBE.permission))
HOLDS = Depends(Needs(UseCase.HOLD.permission))
DEPLOYS = Depends(Needs(UseCase.DEPLOY.permission))
REVOKES = Depends(Needs(UseCase.REVOKE.permission))
REMOVES = Depends(Needs(UseCase.REMOVE.permission))
SETS_TASKS = Depends(Needs(UseCase.SET_TASKS.permission))
EXAMINES = Depends(Needs(UseCase.EXAMINE_EXCHANGE.permission))
