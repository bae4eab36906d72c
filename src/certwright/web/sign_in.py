"""Signing in, by a password or by a provider, and out."""

from collections.abc import Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from certwright.domain.access import LONGEST_SESSION, Identity
from certwright.domain.errors import (
    CertwrightError,
    ConfigurationError,
    Forbidden,
    NotSignedIn,
    Throttled,
    Unreachable,
)
from certwright.domain.openid import BEGUN_FOR
from certwright.engine.context import Engine
from certwright.engine.openid.flow import Kept, SignIns
from certwright.engine.openid.params import CALLBACK
from certwright.engine.openid.providers import providers
from certwright.engine.sign_in import is_begun, sign_in, sign_out
from certwright.web.language import _
from certwright.web.pages import (
    asked_from,
    cookie_name,
    endpoint,
    own_address,
    rendered,
    see,
    shown_secret,
    told_to_wait,
    with_query,
)
from certwright.web.received import Sent, address_parts, text

_BEGUN = "certwright-begun"
_WITH = CALLBACK.removesuffix("/callback")
_NOTHING = Kept("", "")


def routes(engine: Engine) -> Sequence[BaseRoute]:
    """The page, what its form sends, the ways to providers and back, and the way out."""
    sign_ins = SignIns(engine)

    def leave(request: Request, _fields: Sent) -> Response:
        person = sign_out(engine, shown_secret(request))
        way_out = _way_out(sign_ins, person.identity) if person and person.identity else None
        answer = _signed_out(request, *way_out) if way_out else see("/sign-in")
        answer.delete_cookie(cookie_name(request), secure=_is_secure(request))
        return answer

    return [
        *_by_password(engine, sign_ins),
        *_by_provider(engine, sign_ins),
        Route("/sign-out", endpoint(leave), methods=["POST"]),
    ]


def _way_out(sign_ins: SignIns, identity: Identity) -> tuple[str, str] | None:
    """As `SignIns.way_out`; who is signed out here already is not held up by a provider that does not answer."""
    try:
        return sign_ins.way_out(identity.provider)
    except CertwrightError:
        return None


def _signed_out(request: Request, title: str, address: str) -> Response:
    return rendered(request, None, "signed-out.html", title=title, address=address)


def _by_password(engine: Engine, sign_ins: SignIns) -> Sequence[BaseRoute]:
    def show(request: Request, _fields: Sent) -> Response:
        asked = request.query_params
        came_out = sign_ins.came_out(asked.get("state", ""))
        wanted, is_untaken = own_address(asked.get("next", "")), bool(asked.get("untaken"))
        return _page(engine, request, wanted, came_out=came_out, is_untaken=is_untaken)

    def enter(request: Request, fields: Sent) -> Response:
        name, wanted = text(fields, "name"), own_address(text(fields, "next"))
        try:
            secret = sign_in(engine, name, text(fields, "password"), text(fields, "code"), asked_from(request))
            return signed_in(engine, request, secret, wanted)
        except (NotSignedIn, Forbidden, Throttled) as error:
            return told_to_wait(_page(engine, request, wanted, error, name), error)

    return [Route("/sign-in", endpoint(show)), Route("/sign-in", endpoint(enter), methods=["POST"])]


def _by_provider(engine: Engine, sign_ins: SignIns) -> Sequence[BaseRoute]:
    def go(request: Request, _fields: Sent) -> Response:
        name, wanted = request.path_params["name"], own_address(request.query_params.get("next", ""))
        try:
            to, kept = sign_ins.begin(name, wanted)
        except CertwrightError as error:
            return told_to_wait(_page(engine, request, wanted, _for_strangers(error)), error)
        return _keep(request, see(to), name, kept)

    def come_back(request: Request, _fields: Sent) -> Response:
        name = request.path_params["name"]
        try:
            secret, wanted = sign_ins.finish(name, request.query_params, request.cookies.get(_BEGUN, ""))
        except CertwrightError as error:
            answer = told_to_wait(_page(engine, request, "/", _for_strangers(error)), error)
            return answer if isinstance(error, Throttled) else _keep(request, answer, name, _NOTHING)
        answer = signed_in(engine, request, secret.text, own_address(wanted), secret.address)
        return _keep(request, answer, name, _NOTHING)

    return [Route(_WITH, endpoint(go)), Route(CALLBACK, endpoint(come_back))]


def _for_strangers(error: CertwrightError) -> CertwrightError:
    """What whoever may be anybody is told of it: what is stored here, and how peers are reached, is for the trail."""
    if not isinstance(error, (ConfigurationError, Unreachable)):
        return error
    return Unreachable(
        _("There is no such sign-in provider, or nobody can sign in by it now."),
        hint=_("Try again later, or sign in with a password. An administrator tests the provider, which says why."),
    )


def _page(
    engine: Engine,
    request: Request,
    wanted: str,
    error: CertwrightError | None = None,
    name: str = "",
    *,
    came_out: str = "",
    is_untaken: bool = False,
) -> Response:
    """The page; `is_untaken` says of what led here that it was sent by a form, and nothing came of it."""
    known = [(each.title, with_query(_WITH.format(name=each.name), next=wanted)) for each in providers(engine)]
    is_open = bool(known) or is_begun(engine)
    return rendered(
        request,
        None,
        "sign-in.html",
        401 if error else 200,
        next=wanted,
        error=error,
        name=name,
        came_out=came_out,
        providers=known,
        is_open=is_open,
        is_untaken=is_untaken,
    )


def signed_in(engine: Engine, request: Request, secret: str, wanted: str, address: str = "") -> Response:
    """Go on there, with a browser that shows the secret from now on; `address` is ours, if a provider led to it.

    The session whose secret the browser has shown until now ends: nobody could sign out of that any more.
    """
    sign_out(engine, shown_secret(request))
    answer = see(wanted)
    answer.set_cookie(
        cookie_name(request),
        secret,
        max_age=int(LONGEST_SESSION.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=_is_secure(request, address),
    )
    return answer


def _keep(request: Request, answer: Response, name: str, kept: Kept) -> Response:
    """Have the browser keep what belongs to a sign-in that it began, for that provider's way back alone; or nothing."""
    answer.set_cookie(
        _BEGUN,
        kept.text,
        max_age=int(BEGUN_FOR.total_seconds()) if kept.text else 0,
        path=_WITH.format(name=quote(name, safe="")),
        httponly=True,
        samesite="lax",  # a provider's page leads back to ours
        secure=_is_secure(request, kept.address),
    )
    return answer


def _is_secure(request: Request, address: str = "") -> bool:
    """Whether the browser speaks TLS, to us or to a proxy; who comes back from a provider does not say where from."""
    told = map(address_parts, (request.headers.get("origin", ""), address))
    return "https" in (request.url.scheme, *(parts.scheme for parts in told if parts))
