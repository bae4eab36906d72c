"""One's own account: the password, and the code that is asked for beside it."""

from typing import Any

import segno
from markupsafe import Markup
from starlette.responses import Response

from certwright.domain.access import SHORTEST_PASSWORD, Permission, check_password
from certwright.domain.errors import CertwrightError, Changed, ConfigurationError, NotSignedIn
from certwright.domain.totp import SecondFactor
from certwright.engine import people
from certwright.engine.sign_in import change_password, check_person
from certwright.web.language import _
from certwright.web.pages import Page, Visit, asked_from, see, shown_with
from certwright.web.received import text, typed_twice
from certwright.web.seen import as_shown, seen_field
from certwright.web.sign_in import signed_in

_SCALE = 4
"""Dots of a browser for each of the picture's."""


def _account(
    visit: Visit,
    factor: SecondFactor | None = None,
    codes: tuple[str, ...] = (),
    error: CertwrightError | None = None,
) -> Response:
    with visit.engine.store.read() as unit:
        hidden = seen_field(visit, people.secured(unit, visit.person.name), error)
    address = factor.uri(visit.person.name) if factor else ""
    picture = _picture(address) if factor else ""
    values: dict[str, Any] = {
        "factor": factor,
        "address": address,
        "picture": picture,
        "codes": codes,
        "hidden": hidden,
        "problem": " ".join(error.explain()) if error else "",
    }
    return visit.page("account.html", shown_with(error), shortest=SHORTEST_PASSWORD, **values)


def _picture(address: str) -> Markup:
    """A QR code of it (ISO/IEC 18004), as SVG within a page; on white, as phones want it."""
    code = segno.make_qr(address, error="m")
    return Markup(code.svg_inline(scale=_SCALE, light="#fff", svgclass="qr", lineclass=None, title=_("QR code")))  # noqa: S704 - by segno, of an address that has no sign of HTML


def _prove(visit: Visit) -> None:
    """Return if whoever has the browser knows the password too, and the code if one is asked for.

    Raises:
        NotSignedIn: if not.
        Throttled: as at the sign-in.
    """
    password, code = text(visit.fields, "password"), visit.sent("code")
    check_person(visit.engine, visit.person.name, password, code, asked_from(visit.request))


def _begin(visit: Visit) -> Response:
    try:
        _prove(visit)
        return _account(visit, people.begin_second_factor(visit.engine, visit.person.name))
    except (NotSignedIn, ConfigurationError) as error:
        return _account(visit, error=error)


def _confirm(visit: Visit) -> Response:
    try:
        codes = people.confirm_second_factor(visit.engine, visit.person.name, visit.sent("code"))
    except ConfigurationError as error:
        return _account(visit, error=error)
    return _account(visit, codes=codes)


def _end(visit: Visit) -> Response:
    try:
        _prove(visit)
    except NotSignedIn as error:
        return _account(visit, error=error)
    people.remove_second_factor(visit.engine, visit.person.name)
    return see("/account")


def _change_password(visit: Visit) -> Response:
    try:
        check_password(new := typed_twice(visit.fields, "new"))
        _prove(visit)
        acting = as_shown(visit, visit.engine, people.secured, visit.person.name)
        secret = change_password(acting, visit.person.name, new)
    except (NotSignedIn, ConfigurationError, Changed) as error:
        return _account(visit, error=error)
    return signed_in(visit.engine, visit.request, secret, "/account")


PAGES = (
    Page("/account", Permission.READ, _account),
    Page("/account/password", Permission.READ, _change_password, "POST"),
    Page("/account/code", Permission.READ, _begin, "POST"),
    Page("/account/code/confirm", Permission.READ, _confirm, "POST"),
    Page("/account/code/end", Permission.READ, _end, "POST"),
)
