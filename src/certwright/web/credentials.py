"""Credentials: what signs in to targets and services; stored encrypted, shown never."""

from pydantic import Field, SecretStr
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.credentials import SignIn
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.credentials import (
    DNS,
    credentials,
    kinds,
    remove_credential,
    store_credential,
    store_sign_in,
    try_credential,
)
from certwright.sdk.context import Credential
from certwright.sdk.params import Params, read_params, secret_names
from certwright.web.forms import OWN, Maker
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, with_query
from certwright.web.picking import stored
from certwright.web.removing import Removal, credential_name
from certwright.web.seen import credential_as_shown, credential_field
from certwright.web.waiting import Waited

_ALL, _ADD = "/credentials", "/credentials/add/{kind}"


class Account(Params):
    """A user name and a password."""

    name: str = Field(min_length=1, max_length=100, description="What you call it.")
    username: str | None = Field(default=None, max_length=256, description="The user name, if there is one.")
    password: SecretStr = Field(min_length=1, description="The password.")


class Name(Params):
    """What a credential of a DNS provider is called."""

    name: str = Field(min_length=1, max_length=100, description="What you call it.")
    check_first: bool = Field(default=True, description="Sign in with it before it is stored.")


def _all_credentials(visit: Visit) -> Response:
    """All, with who uses each, and the kinds that can be added."""
    return visit.page(
        "credentials.html",
        credentials=credentials(visit.engine),
        kinds=[(each.name, each.sentence) for each in kinds() if not each.unavailable],
        dns=DNS,
    )


def _makers(visit: Visit, kind: str) -> list[Maker]:
    if kind in set(SignIn):
        return [Maker(Account)]
    found = catalog.plugin("dns", kind.removeprefix(DNS))
    return [Maker(Name), Maker(found.params, stored(visit.engine), OWN)]


def _adding(visit: Visit) -> Response:
    kind, name = visit.request.path_params["kind"], visit.asked("name")
    hidden = credential_field(visit, name)
    with visit.engine.store.read() as unit:
        known = unit.credentials.sealed(name) if name in unit.credentials.of_kind(kind) else None
    values = {"name": name, **(known.shown if known else {})}
    title = _("Replace the credential %(name)s") if known else _("A new credential: %(kind)s")
    about = (
        [later("It takes the place of the one before wherever that is used. Secrets are typed anew.")] if known else []
    )
    words = {"name": name, "kind": kind}
    makers, button = _makers(visit, kind), later("Store it")
    return visit.fill_in(title % words, makers, _ALL, button, values, about=about, hidden=hidden if known else {})


def _add(visit: Visit) -> Response:
    kind = visit.request.path_params["kind"]
    makers = _makers(visit, kind)
    own = makers[0].given(visit.fields)

    def add(engine: Engine) -> None:
        if kind in set(SignIn):
            account = read_params(Account, own, "the credential")
            acting = credential_as_shown(visit, engine, account.name)
            secret = account.password.get_secret_value()
            store_sign_in(acting, SignIn(kind), Credential(account.name, account.username or "", secret))
            return
        named = read_params(Name, own, "the credential")
        acting, given = credential_as_shown(visit, engine, named.name), makers[1].given(visit.fields)
        store_credential(acting, kind.removeprefix(DNS), named.name, given, checked=named.check_first)

    def stored_at(_waited: Waited) -> str:
        visit.wake()
        return _ALL

    secret = [f"{each.prefix}{name}" for each in makers for name in secret_names(each.model)]
    back = with_query(_ADD.format(kind=kind), name=visit.asked("name"))
    return visit.begin(later("Store the credential"), add, stored_at, back, secret=secret, refill=True)


def _test(visit: Visit) -> Response:
    name, domain = visit.sent("name"), visit.sent("domain") or None
    return visit.begin(
        _("Try %(name)s") % {"name": name}, lambda engine: try_credential(engine, name, domain), None, _ALL
    )


_REMOVAL = Removal(
    path="/credentials/remove",
    permission=Permission.MANAGE,
    title=later("Remove the credential %(name)s?"),
    follows=(
        later("Its secret is deleted here, and shown to nobody: whoever needs it again types it anew."),
        later("It stays valid where it signs in: end it there if it is not to be used any more."),
    ),
    button=later("Remove it"),
    back=_ALL,
    called=credential_name,
    remove=remove_credential,
    beside=later("Remove the credential"),
)
PAGES = (
    Page(_ALL, Permission.READ, _all_credentials, label=later("Credentials")),
    Page(_ADD, Permission.MANAGE, _adding),
    Page(_ADD, Permission.MANAGE, _add, "POST"),
    Page("/credentials/test", Permission.MANAGE, _test, "POST"),
    *_REMOVAL.pages,
)
