"""What a page is: an address, what it takes to see it, and how it is rendered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.templating import Jinja2Templates

from certwright.domain.access import Permission, Person
from certwright.engine.context import Engine

COOKIE = "certwright"
_MOST_FIELDS = 100
HERE = Path(__file__).parent
TEMPLATES = Jinja2Templates(HERE / "templates")


def moment(value: datetime) -> str:
    """A moment for people."""
    return f"{value:%Y-%m-%d %H:%M} UTC"


TEMPLATES.env.filters["moment"] = moment
TEMPLATES.env.trim_blocks = TEMPLATES.env.lstrip_blocks = True


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page, who makes it, and what a form sent along; `wake` has the worker look at what is due."""

    request: Request
    engine: Engine
    person: Person
    fields: Mapping[str, str]
    wake: Callable[[], None]

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Render a template."""
        context = {"person": self.person, "may": set(self.person.role.permissions), "now": self.engine.now(), **values}
        return TEMPLATES.TemplateResponse(self.request, template, context, status)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path, its methods, the permission that it takes, and what makes it."""

    path: str
    permission: Permission
    make: Callable[[Visit], Response]
    method: str = "GET"


def endpoint(make: Callable[[Request, Mapping[str, str]], Response]) -> Callable[[Request], Awaitable[Response]]:
    """What answers by `make`, in a thread of its own, because the store may have to be waited for.

    It is given the fields of a form, each with its last value; what is no form has none.
    """

    async def answer(request: Request) -> Response:
        body = await request.body()
        try:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError:
            fields = {}
        return await run_in_threadpool(make, request, fields)

    return answer


def see(path: str) -> Response:
    """Go on there, whatever was sent."""
    return RedirectResponse(path, 303)
