"""The first page that anybody sees: it makes the first administrator."""

import hmac
import secrets
import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from certwright.domain.access import SHORTEST_PASSWORD, Role
from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.engine.context import Engine
from certwright.engine.people import add_person
from certwright.engine.sign_in import sign_in
from certwright.store import UnitOfWork
from certwright.web import first_account
from certwright.web.forms import told
from certwright.web.language import _
from certwright.web.pages import asked_from, endpoint
from certwright.web.received import Sent, text, typed_twice
from certwright.web.rendering import TEMPLATES
from certwright.web.sign_in import signed_in

_SECONDS = 30 * 60


class SetupToken:
    """Lets who reads what the service prints at its start make the first administrator, once, within half an hour."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(32)
        self._ends_at = time.monotonic() + _SECONDS

    def check(self, engine: Engine, shown: str) -> None:
        """Return if it is this one, still valid, and nobody is there yet.

        Raises:
            Forbidden: if not.
        """
        with engine.store.read() as unit:
            _check_nobody(unit)
        if time.monotonic() >= self._ends_at or not hmac.compare_digest(shown.encode(), self.secret.encode()):
            raise Forbidden(
                "This address is not valid, or not any more.",
                hint="Start the service again to get another one, or use the command line: "
                "certwright person add NAME administrator",
            )

    def use(self, engine: Engine, shown: str, name: str, password: str) -> None:
        """Make the first administrator.

        Raises:
            Forbidden: if it is not valid, or there is somebody already.
            ConfigurationError: if the name or the password cannot be taken.
        """
        self.check(engine, shown)
        add_person(engine.provided(_check_nobody), name, Role.ADMINISTRATOR, password)
        self._ends_at = 0.0


def _check_nobody(unit: UnitOfWork) -> None:
    """Return if nobody is there yet.

    Raises:
        Forbidden: if somebody is.
    """
    if unit.people.list():
        raise Forbidden(_("There is an administrator already."))


def routes(engine: Engine, setup: SetupToken) -> Sequence[BaseRoute]:
    """The page, and what its form sends."""

    def show(request: Request, _fields: Sent) -> Response:
        token = request.query_params.get("token", "")
        setup.check(engine, token)
        return _page(request, token)

    def make(request: Request, fields: Sent) -> Response:
        token, name = text(fields, "token"), text(fields, "name")
        try:
            password = typed_twice(fields)
            setup.use(engine, token, name, password)
        except ConfigurationError as error:
            setup.check(engine, token)
            return _page(request, token, error, name)
        secret = sign_in(engine, name, password, address=asked_from(request))
        return signed_in(engine, request, secret, first_account.PATH)

    return [Route("/first-start", endpoint(show)), Route("/first-start", endpoint(make), methods=["POST"])]


def _page(request: Request, token: str, error: ConfigurationError | None = None, name: str = "") -> Response:
    wrong, problem = told(error, ("name",))
    context = {"token": token, "wrong": wrong, "told": problem, "name": name, "shortest": SHORTEST_PASSWORD}
    return TEMPLATES.TemplateResponse(request, "first-start.html", context, 422 if error else 200)
