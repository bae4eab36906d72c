"""People & tokens: by which OpenID providers people sign in, and as what."""

from typing import Any

from pydantic import Field
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.engine.context import Engine
from certwright.engine.openid.params import ProviderParams, after_sign_out, redirect_uri
from certwright.engine.openid.providers import providers, put_provider, remove_provider, try_provider
from certwright.sdk.params import Params, read_params, secret_names
from certwright.web.forms import OWN, Maker
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, with_query
from certwright.web.people import ALL
from certwright.web.picking import stored
from certwright.web.removing import Removal, credential_name
from certwright.web.seen import credential_as_shown, credential_field

_PUT = "/people/providers/add"
_FIRST = ("administrators", "operators", "requesters", "auditors", "viewers", "role_claim")


class Name(Params):
    """What a provider is called."""

    name: str = Field(
        min_length=1, max_length=40, description=later("Part of addresses: small letters, digits and dashes.")
    )
    check_first: bool = Field(default=True, description=later("Ask the provider first whether it can work."))


def _makers(visit: Visit) -> tuple[Maker, Maker]:
    return Maker(Name), Maker(ProviderParams, stored(visit.engine), OWN, first=_FIRST)


def _adding(visit: Visit) -> Response:
    hidden = credential_field(visit, visit.asked("name"))
    name, here = visit.asked("name"), str(visit.request.base_url).rstrip("/")
    known = next((each for each in providers(visit.engine) if each.name == name), None)
    values: dict[str, Any] = {"name": name, **known.shown} if known else {"address": here}
    address = redirect_uri(name or "NAME", values["address"])
    about = [_("At the provider, register this as the redirect URI of a web application: %(uri)s") % {"uri": address}]
    about.append(_("And this as where it leads after a sign-out: %(uri)s") % {"uri": after_sign_out(values["address"])})
    if known:
        about.append(_("The secret is typed anew. Whoever came by this provider has to sign in again."))
    title = _("Replace the sign-in provider %(name)s") % {"name": name} if known else _("A new sign-in provider")
    return visit.fill_in(title, _makers(visit), ALL, later("Store it"), values, about=about, hidden=hidden)


def _add(visit: Visit) -> Response:
    own, maker = _makers(visit)

    def add(engine: Engine) -> str:
        named = read_params(Name, own.given(visit.fields), "the sign-in provider")
        acting = credential_as_shown(visit, engine, named.name)
        return put_provider(acting, named.name, maker.given(visit.fields), checked=named.check_first)

    secret = [f"{OWN}{name}" for name in secret_names(ProviderParams)]
    back = with_query(_PUT, name=visit.asked("name"))
    return visit.begin(later("Store the sign-in provider"), add, lambda _: ALL, back, secret=secret, refill=True)


def _test(visit: Visit) -> Response:
    name = visit.sent("name")
    return visit.begin(
        _("Test the sign-in provider %(name)s") % {"name": name}, lambda engine: try_provider(engine, name), None, ALL
    )


_REMOVAL = Removal(
    path="/people/providers/remove",
    permission=Permission.ADMINISTER,
    title=later("Remove the sign-in provider %(name)s?"),
    follows=(later("Whoever came by it is signed out at once, and comes in no more without another way."),),
    button=later("Remove it"),
    back=ALL,
    called=credential_name,
    remove=remove_provider,
)
PAGES = (
    Page(_PUT, Permission.ADMINISTER, _adding),
    Page(_PUT, Permission.ADMINISTER, _add, "POST"),
    Page("/people/providers/test", Permission.ADMINISTER, _test, "POST"),
    *_REMOVAL.pages,
)
