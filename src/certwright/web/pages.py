"""What a page is: an address, what it takes to see it, and how it is rendered."""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import compile_path

from certwright.domain.access import Permission, Person
from certwright.domain.errors import CertwrightError, Changed, Forbidden, LeaseHeld, NotFound, StoreError
from certwright.domain.http_status import retry_after, status_of
from certwright.domain.managed import new_id
from certwright.engine.context import Engine
from certwright.engine.live import Place
from certwright.engine.refusals import refuse_person
from certwright.engine.service import Service
from certwright.web.forms import Filled, Maker, filled
from certwright.web.language import _
from certwright.web.next_steps import about
from certwright.web.received import Sent, address_parts, received, text
from certwright.web.rendering import TEMPLATES
from certwright.web.waiting import Waited, Waits

log = logging.getLogger("certwright")
_COOKIE = "certwright"
T = TypeVar("T")
E = TypeVar("E", bound=CertwrightError | None)
_AT_ONCE_SECONDS = 1.0
_ONE = "/certificates/"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page, who makes it and acts with the engine, and what a form sent along.

    `wake` has the worker look at what is due. `known` is how far what is done and written had come when the page was
    made. `waits` are what takes longer than a page may.
    """

    request: Request
    engine: Engine
    person: Person
    fields: Sent
    wake: Callable[[], None]
    known: Place
    waits: Waits

    @property
    def service(self) -> Service:
        """The service that shows the page."""
        found: Service = self.request.app.state.service
        return found

    def page(
        self,
        template: str,
        status: int = 200,
        *,
        certificate: str = "",
        error: CertwrightError | None = None,
        **values: Any,
    ) -> Response:
        """Render a template.

        Args:
            template: its name.
            status: of the answer, where there is no `error`.
            certificate: the id of the one that it is about, if its address does not say.
            error: why something was not done; the template shows it as `told`.
            values: what the template shows.
        """
        shown = {
            "known": self.known,
            "now": self.engine.now(),
            "told": list(error.explain()) if error else [],
            **values,
        }
        status = shown_with(error) if error else status
        return rendered(self.request, self.person, template, status, certificate=certificate, **shown)

    def form(
        self,
        title: str,
        shown: Filled,
        back: str,
        button: str,
        error: CertwrightError | None = None,
        **values: Any,
    ) -> Response:
        """Render forms that are sent together, to the address of this page; `error` is why they come again."""
        return self.page("form.html", shown_with(error), title=title, shown=shown, back=back, button=button, **values)

    def fill_in(
        self,
        title: str,
        makers: Sequence[Maker],
        back: str,
        button: str,
        known: Mapping[str, Any] = MappingProxyType({}),
        **values: Any,
    ) -> Response:
        """Render forms of what goes on beside: with what is `known`, or what was sent, and why nothing came of it."""
        again = self.again()
        error = _still_here(again.error) if again else None
        shown = filled(makers, again.sent, error) if again else Filled(tuple(each.empty(known) for each in makers))
        return self.form(title, shown, back, button, error, **values)

    def asked(self, name: str) -> str:
        """What the address says of this, without blanks around it."""
        return self.request.query_params.get(name, "").strip()

    def sent(self, name: str) -> str:
        """What was filled in last into the field of this name, without blanks around it."""
        return text(self.fields, name).strip()

    def waited(self, part: str = "id") -> Waited:
        """What was begun, and has its job's id in this part of the address.

        Raises:
            NotFound: if this person waits for nothing of that id.
        """
        return self.waits.get(self.request.path_params[part], self.person.name)

    def came_of(self, kind: type[T], part: str = "id", *, fits: Callable[[T], bool] = lambda _: True) -> T:
        """What came of what was begun, and has its job's id in this part of the address, if that `fits` the rest of it.

        Raises:
            NotFound: if this person waits for nothing of that id, or for something else.
        """
        found = self.waited(part).result
        if not isinstance(found, kind) or not fits(found):
            raise NotFound("What came of that is not shown here.", hint="Go back to where you began it.")
        return found

    def again(self) -> Waited | None:
        """What was begun on this page and did not work, as its address says: it is filled in once more."""
        return self.waits.get(self.asked("again"), self.person.name) if self.asked("again") else None

    def begin(
        self,
        title: str,
        work: Callable[[Engine], Any],
        then: Callable[[Waited], str] | None,
        back: str,
        *,
        secret: Collection[str] = (),
        refill: bool = False,
    ) -> Response:
        """Have `work` done beside, and go where its end is awaited, or at once where it leads.

        Args:
            title: what is done, for people.
            work: does it.
            then: gives the address at which to go on when it has ended well; None where its result is a sentence.
            back: the address of this page.
            secret: the fields of the form that must not be shown again.
            refill: whether the page shows its form again, with what was wrong, when `again` says for which job.
        """
        sent = Sent([(name, value) for name, value in self.fields.multi_items() if name not in secret])
        subject = _certificate(self.request.url.path)
        waited = Waited(title, self.person.name, subject, back, then, self.engine.now(), sent, refill)
        self.waits.begin(self.engine, waited, work).ended.wait(_AT_ONCE_SECONDS)
        return see(with_query(f"/working/{waited.id}", back=back))


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path, its method, the permission that it takes, and what makes it.

    `label` is its entry in the navigation, as `language.later` marks it; empty for one that others lead to. `sent_from`
    is the path of the page with the form that is sent here, if that is not the nearest one above.
    """

    path: str
    permission: Permission
    make: Callable[[Visit], Response]
    method: str = "GET"
    label: str = ""
    sent_from: str = ""


def rendered(
    request: Request,
    person: Person | None,
    template: str,
    status: int = 200,
    *,
    certificate: str = "",
    is_gone: bool = False,
    **values: Any,
) -> Response:
    """A page for this person, or for whoever is not signed in; `certificate` as for `Visit.page`.

    With `is_gone` it leads to a page that is there without what the form that was sent is about.
    """
    may = person.caller.permissions if person else frozenset()
    navigation = [page for page in request.app.state.pages if page.label and page.permission in may]
    form = sent_from(request, is_gone=is_gone) if request.method == "POST" else ""
    may_see = pages_for(request, may)
    context = {
        "person": person,
        "may": may,
        "navigation": navigation,
        "entry": _entry(request.url.path, navigation),
        "sent_from": form if may_see(form) else "",
        "status": status,
        **values,
    }
    with about(certificate or _certificate(request.url.path), lambda step: step.takes in may and may_see(step.path)):
        return TEMPLATES.TemplateResponse(request, template, context, status)


def sent_from(request: Request, *, is_gone: bool = False) -> str:
    """The address of the page with the form that is sent to the address that is asked; empty if none is.

    If what the form is about `is_gone`, and its page with it: of the nearest one that is about nothing in particular.
    """
    pages: Sequence[Page] = request.app.state.pages
    asked: str = request.scope["path"]
    shown = {page.path for page in pages if page.method == "GET"}
    for page in pages:
        if page.method == "POST" and (found := _pattern(page.path).match(asked)):
            ways = [path for path in (page.path, page.sent_from, *_above(page.path)) if path in shown]
            if is_gone:
                return next(path for path in ways if path != page.path and "{" not in path)
            if ways[0] == page.path:
                return asked + (f"?{request.url.query}" if request.url.query else "")
            return ways[0].format(**{name: quote(value, safe="") for name, value in found.groupdict().items()})
    return ""


def _above(path: str) -> Iterator[str]:
    """The paths above this one, nearest first."""
    while path:
        path = path.rpartition("/")[0]
        yield path or "/"


def own_address(address: str) -> str:
    """This, if it leads to a page of ours; else to the overview."""
    parts = address_parts(address)
    is_own = parts is not None and not parts.scheme and not parts.netloc
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_own and is_path and address.isprintable() else "/"


def pages_for(request: Request, may: Collection[Permission]) -> Callable[[str], bool]:
    """What tells whether an address is that of a page that these permissions show."""
    shown: Sequence[Page] = request.app.state.pages

    def may_see(address: str) -> bool:
        path = re.split("[?#]", address)[0]
        found = (page for page in shown if page.method == "GET" and _pattern(page.path).match(path))
        return any(page.permission in may for page in islice(found, 1))

    return may_see


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


def _certificate(path: str) -> str:
    """The id of the certificate that an address is about; empty if it is about none."""
    return path.removeprefix(_ONE).partition("/")[0] if path.startswith(_ONE) else ""


def _entry(path: str, navigation: Sequence[Page]) -> str:
    """The path of the entry to which a page belongs."""
    above = [page.path for page in navigation if path == page.path or path.startswith(f"{page.path}/")]
    return max(above, key=len, default="")


def endpoint(make: Callable[[Request, Sent], Response]) -> Callable[[Request], Awaitable[Response]]:
    """What answers by `make`, in a thread of its own, because the store may have to be waited for."""

    def made(request: Request, body: bytes) -> Response:
        try:
            return make(request, received(request.headers.get("content-type", ""), body))
        except CertwrightError:
            raise
        except Exception as error:
            reference = new_id()
            log.exception("unexpected, at %s %s; reference %s", request.method, request.url.path, reference)
            raise CertwrightError(
                _("This is a fault in Certwright. Its log says more, under the reference %(reference)s.")
                % {"reference": reference},
                hint=_("Nothing is lost of what was done before. Have whoever looks after this machine look there."),
            ) from error

    async def answer(request: Request) -> Response:
        body = b"".join([part async for part in request.stream()])  # `body()` would keep it as long as the request
        return await run_in_threadpool(made, request, body)

    return answer


def attempt(
    visit: Visit, make: Callable[[], Any], shown: Callable[[Visit, CertwrightError], Response], to: str
) -> Response:
    """Make a change and go on there; where it cannot be made, show what led to it again, with the reason.

    Whatever the reason is, nothing that was typed is lost by it, unless `shown` has nothing to show any more.
    """
    try:
        make()
    except CertwrightError as error:
        note_refusal(visit.engine, visit.request, error)
        return told_to_wait(shown(visit, _still_here(error)), error)
    visit.wake()
    return see(to)


def note_refusal(engine: Engine, request: Request, error: CertwrightError) -> None:
    """Note in the audit trail that the person who acts may not do this, if that is the error."""
    if isinstance(error, Forbidden):
        with suppress(CertwrightError):  # that person is refused, whether or not it can be noted
            refuse_person(engine, asked_from(request), error.message)


def _still_here(error: E) -> E | Changed:
    """The error as it is told beside what was typed."""
    if not isinstance(error, Changed):
        return error
    hint = _("What you typed is still here: send it again to have it so, whatever the other one changed.")
    return Changed(error.message, hint=hint)


def shown_with(error: CertwrightError | None) -> int:
    """The status of a page that shows what was typed again, with the reason; or for the first time."""
    if error is None:
        return 200
    is_elsewhere = isinstance(error, (NotFound, Forbidden, Changed, LeaseHeld))
    is_away = isinstance(error, StoreError) and error.retryable
    return status_of(error) if is_elsewhere or is_away else 422


def cookie_name(request: Request) -> str:
    """What the cookie of a session is called; where we speak TLS, only this host can set it, and by TLS alone."""
    return f"__Host-{_COOKIE}" if request.url.scheme == "https" else _COOKIE


def shown_secret(request: Request) -> str:
    """The secret of a session that the browser shows; empty if it shows none."""
    return request.cookies.get(cookie_name(request), "")


def asked_from(request: Request) -> str:
    """The address at which the browser is."""
    return request.client.host if request.client else ""


def told_to_wait(answer: Response, error: CertwrightError) -> Response:
    """The same answer, with how long whoever asked has to wait, if that is why."""
    if error.retry_after:
        answer.status_code = status_of(error)
        answer.headers.update(retry_after(error))
    return answer


def with_query(path: str, **values: str) -> str:
    """The address of a page, with what it is asked; what is empty is left out."""
    asked = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{asked}" if asked else path


def see(path: str) -> Response:
    """Go on there, whatever was sent."""
    return RedirectResponse(path, 303)
