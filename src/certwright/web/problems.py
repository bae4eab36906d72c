"""What did not work, as a page: what happened, what to do next, and the way back."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from certwright.domain.access import Person
from certwright.domain.errors import CertwrightError, NotFound, NotSignedIn
from certwright.domain.http_status import status_of
from certwright.engine.context import Engine
from certwright.engine.sign_in import recognise_person
from certwright.web.language import _, later
from certwright.web.pages import (
    note_refusal,
    own_address,
    rendered,
    see,
    sent_from,
    shown_secret,
    told_to_wait,
    with_query,
)
from certwright.web.received import address_parts

BY_ITSELF = "Certwright-Live"
"""With this header a page is asked for by itself, not by a person."""
READING = ("GET", "HEAD")
_BY_SCRIPTS = (BY_ITSELF, "HX-Request")
_BARE: Mapping[int, tuple[str, str]] = {
    HTTPStatus.NOT_FOUND: (
        later("There is nothing here."),
        later("The address may be mistyped, or what it showed was removed."),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        later("This address takes only what a form sends, and shows nothing."),
        later("Open the page with the form, and send it from there."),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        later("What was sent is longer than 1 MiB, and nothing of it was taken."),
        later("Go back and send less: a certificate, with its chain and its key, takes a few kilobytes."),
    ),
}
_OTHER = (
    later("What was sent is not what a page of Certwright sends, and nothing of it was taken."),
    later("Open the page again, and send its form from there."),
)


class Problems:
    """Answers for whatever is raised while a page is made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def handlers(self) -> Mapping[type[Exception], Callable[[Request, Exception], Response]]:
        """By what is raised."""
        return {CertwrightError: self._failed, HTTPException: self._bare}

    def _failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, CertwrightError)  # noqa: S101 - Starlette calls it for nothing else
        if isinstance(error, NotSignedIn):
            return _signed_out(request)
        if form := _form(request):
            return see(form)
        person: Person | None = getattr(request.state, "person", None)
        if person and BY_ITSELF not in request.headers:
            note_refusal(self._engine.acting(person.caller), request, error)
        return told_to_wait(problem(request, error, person), error)

    def _bare(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - Starlette calls it for nothing else
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (form := _form(request)):
            return see(form)
        message, hint = _BARE.get(error.status_code, _OTHER)
        told = CertwrightError(_(message), hint=_(hint))
        answer = problem(request, told, self._person(request), error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    def _person(self, request: Request) -> Person | None:
        try:
            return recognise_person(self._engine, shown_secret(request), alive=False)
        except CertwrightError:
            return None


def problem(request: Request, error: CertwrightError, person: Person | None = None, status: int = 0) -> Response:
    """What happened and what to do, for this person; of the status that goes with the error, if none is given."""
    told = [line for cause in error.causes for line in str(cause).splitlines()]
    status, is_gone = status or status_of(error), isinstance(error, NotFound)
    return rendered(request, person, "problem.html", status, is_gone=is_gone, error=error, causes=told)


def _form(request: Request) -> str:
    """The page with the form, if this is the address to which only that form is sent, and it was opened instead."""
    form = sent_from(request) if request.method in READING else ""
    return "" if form.partition("?")[0] == request.scope["path"] else form


def _signed_out(request: Request) -> Response:
    """To the sign-in, and from there back; what a script asks for is not taken for the page that it wants."""
    if any(name in request.headers for name in _BY_SCRIPTS):
        return Response(status_code=HTTPStatus.UNAUTHORIZED)
    if request.method in READING:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return see(with_query("/sign-in", next=wanted))
    return see(with_query("/sign-in", next=_came_from(request), untaken="yes"))


def _came_from(request: Request) -> str:
    """The page of ours on which the form was that is sent; the overview, if the browser does not say."""
    parts = address_parts(request.headers.get("referer", ""))
    if parts is None or parts.netloc != request.headers.get("host"):
        return "/"
    return own_address(parts.path + (f"?{parts.query}" if parts.query else ""))
