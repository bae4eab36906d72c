"""Errors as problem details (RFC 9457)."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from certwright.api.access import source
from certwright.api.examples import EXAMPLES
from certwright.api.repeats import PARAMETER
from certwright.domain.access import Caller
from certwright.domain.errors import CertwrightError, Forbidden
from certwright.domain.http_status import retry_after, status_of
from certwright.engine.refusals import refuse_token

log = logging.getLogger("certwright")
MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:certwright:problem:"


class Problem(BaseModel):
    """What went wrong (RFC 9457), for programs and for people."""

    type: str = Field(examples=[f"{_TYPE}not-found"], description="Names the kind of problem.")
    title: str = Field(examples=["Not Found"], description="The kind of problem in a few words.")
    status: int = Field(examples=[404], description="The HTTP status.")
    detail: str = Field(
        examples=["There is no managed certificate 'mail'."], description="What happened, with what evidence."
    )
    hint: str = Field(default="", description="What to do next.", examples=["Did you mean 'mail.contoso.com'?"])
    causes: list[str] = Field(default_factory=list, description="What lies beneath, most important first.")
    retryable: bool = Field(default=False, description="Whether the same can succeed later, unchanged.")
    run_id: str = Field(default="", description="The run that ended with it.")


_ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def answers(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What an operation can answer with, beside success; for the description of the API."""
    return {status.value: {"description": status.phrase, "model": Problem} for status in (*_ALWAYS, *statuses)}


def described(app: FastAPI) -> dict[str, Any]:
    """The description of the API (OpenAPI), and what all operations have in common.

    Models have examples, problems their own media type, each POST takes a key, and a body can be too long.
    """
    if app.openapi_schema is None:
        found = FastAPI.openapi(app)
        for name, schema in found["components"]["schemas"].items():
            if name in EXAMPLES:
                schema["examples"] = [EXAMPLES[name]]
        operations = [(method, told) for path in found["paths"].values() for method, told in path.items()]
        for method, operation in operations:
            if method == "post":
                operation.setdefault("parameters", []).append(PARAMETER)
            if method in ("post", "put", "patch"):
                too_long = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                refused = operation["responses"][str(HTTPStatus.BAD_REQUEST.value)]
                operation["responses"][str(too_long.value)] = {**refused, "description": too_long.phrase}
            for status, answer in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    (schema,) = answer["content"].values()
                    answer["content"] = {MEDIA_TYPE: schema}
    return app.openapi_schema or {}


def install(app: FastAPI) -> None:
    """Have every error of this application answered and described so."""
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    app.exception_handler(CertwrightError)(_failed)
    app.exception_handler(RequestValidationError)(_not_understood)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(Exception)(_unexpected)


def _failed(request: Request, error: CertwrightError) -> JSONResponse:
    if isinstance(error, Forbidden):
        caller: Caller = request.state.caller
        with suppress(CertwrightError):  # the caller is refused, whether or not that can be noted
            refuse_token(request.app.state.engine.acting(caller), caller.actor.name, source(request), error.message)
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    headers |= retry_after(error)
    problem = Problem(
        type=_TYPE + _kebab(type(error).__name__),
        title=status.phrase,
        status=status,
        detail=error.message,
        hint=error.hint,
        causes=[line for cause in error.causes for line in _lines(cause)],
        retryable=error.retryable,
        run_id=error.run_id,
    )
    return _answer(problem, headers)


def _not_understood(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Values are not repeated: what was typed in the wrong place may be a secret."""
    causes = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    detail = "The request is not as the description of the API says."
    return _answer(
        Problem(type=f"{_TYPE}invalid-request", title=status.phrase, status=status, detail=detail, causes=causes)
    )


def of_text(code: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem of this status that is told in this sentence."""
    status = HTTPStatus(code)
    problem = Problem(type="about:blank", title=status.phrase, status=status, detail=text or status.phrase)
    return _answer(problem, headers)


def _refused(_request: Request, error: HTTPException) -> JSONResponse:
    return of_text(error.status_code, error.detail, error.headers)


def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    log.error("A request to the API failed unexpectedly.", exc_info=error)
    return of_text(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a fault in Certwright; its log says more.")


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(), problem.status, headers, MEDIA_TYPE)


def _lines(cause: Exception | str) -> Iterator[str]:
    yield from cause.explain() if isinstance(cause, CertwrightError) else str(cause).splitlines()


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
