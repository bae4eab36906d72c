"""The first page that anybody sees: it makes the first administrator."""

import hmac
import secrets
import threading
import time
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from certwright.domain.access import SHORTEST_PASSWORD, Role
from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.engine.context import Engine
from certwright.engine.people import add_person, sign_in
from certwright.web.pages import TEMPLATES, endpoint
from certwright.web.sign_in import signed_in

_SECONDS = 30 * 60


class SetupToken:
    """Lets who reads what the service prints at its start make the first administrator, once, within half an hour."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(32)
        self._ends_at = time.monotonic() + _SECONDS
        self._lock = threading.Lock()

    def check(self, shown: str) -> None:
        """Return if it is this one, and still valid.

        Raises:
            Forbidden: if not.
        """
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
        with self._lock:
            self.check(shown)
            if is_begun(engine):
                raise Forbidden("There is an administrator already.", hint="Sign in.")
            add_person(engine, name, Role.ADMINISTRATOR, password)
            self._ends_at = 0.0


def is_begun(engine: Engine) -> bool:
    """Whether there is anybody who can sign in."""
    with engine.store.read() as unit:
        return bool(unit.people.list())


def routes(engine: Engine, setup: SetupToken) -> Sequence[BaseRoute]:
    """The page, and what its form sends."""

    def show(request: Request, _fields: Mapping[str, str]) -> Response:
        token = request.query_params.get("token", "")
        setup.check(token)
        return _page(request, token)

    def make(request: Request, fields: Mapping[str, str]) -> Response:
        token, name, password = (fields.get(field, "") for field in ("token", "name", "password"))
        if password != fields.get("again", ""):
            setup.check(token)
            differ = ConfigurationError("The two passwords differ.", hint="Type the same one twice.")
            return _page(request, token, differ, name)
        try:
            setup.use(engine, token, name, password)
        except ConfigurationError as error:
            setup.check(token)
            return _page(request, token, error, name)
        return signed_in(request, sign_in(engine, name, password), "/")

    return [Route("/first-start", endpoint(show)), Route("/first-start", endpoint(make), methods=["POST"])]


def _page(request: Request, token: str, error: ConfigurationError | None = None, name: str = "") -> Response:
    told = [str(cause) for cause in error.causes] if error else []
    context = {"token": token, "error": error, "causes": told, "name": name, "shortest": SHORTEST_PASSWORD}
    return TEMPLATES.TemplateResponse(request, "first-start.html", context, 422 if error else 200)
