"""Who asks: the token in `Authorization: Bearer`, and the permission that an operation takes."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from certwright.domain.access import Caller, Permission
from certwright.domain.errors import NotSignedIn
from certwright.engine.context import Engine
from certwright.engine.tokens import recognise

_BEARER = HTTPBearer(
    scheme_name="token", description="A token: `certwright token add NAME --allow PERMISSION`.", auto_error=False
)


def engine(request: Request) -> Engine:
    """The engine of this service."""
    found: Engine = request.app.state.engine
    return found


UsesEngine = Annotated[Engine, Depends(engine)]


def wake(request: Request) -> Callable[[], None]:
    """Has the worker of this service look at the schedule now."""
    found: Callable[[], None] = request.app.state.wake
    return found


Wakes = Annotated[Callable[[], None], Depends(wake)]


class Needs:
    """Lets in who has this permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(
        self, engine: UsesEngine, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Caller:
        """Who asks.

        Raises:
            NotSignedIn: without a token, or with a wrong one.
            Forbidden: if it may not.
        """
        if shown is None:
            raise NotSignedIn(
                "The API takes a token.",
                hint="Make one (certwright token add NAME --allow read) and send it as: Authorization: Bearer TOKEN",
            )
        caller = recognise(engine, shown.credentials)
        caller.require(self.permission)
        return caller


READS = Depends(Needs(Permission.READ))
REQUESTS = Needs(Permission.REQUEST)
EDITS = Depends(Needs(Permission.EDIT))
