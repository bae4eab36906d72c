"""Issuers: accounts at authorities, added, changed, tested and removed."""

from pydantic import Field, SecretStr
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Issuer
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.issuers import add_issuer, change_issuer, remove_issuer, test_issuer
from certwright.sdk.params import Params, read_params
from certwright.web.forms import OWN, Maker
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, with_query
from certwright.web.picking import stored
from certwright.web.removing import Removal
from certwright.web.seen import as_shown, seen_field

_ALL, _ADD, _CHANGE = "/issuers", "/issuers/add/{kind}", "/issuers/change"


class Account(Params):
    """What an issuer is called, and what an authority asks a newcomer for."""

    name: str = Field(min_length=1, max_length=100, description="What you call it, for example letsencrypt.")
    eab_kid: str | None = Field(
        default=None, max_length=1000, description="Key id of the external account binding, if the authority gives one."
    )
    eab_key: SecretStr | None = Field(default=None, description="Its MAC key, in base64url.")
    internal_names: bool | None = Field(
        default=None,
        description="Whether it issues for names that exist only inside networks; else if it has a root of its own.",
    )

    @property
    def binding(self) -> tuple[str, bytes] | None:
        """The external account binding.

        Raises:
            ConfigurationError: if half of it is missing.
        """
        if (self.eab_kid is None) != (self.eab_key is None):
            missing = "eab_key" if self.eab_key is None else "eab_kid"
            raise ConfigurationError(
                "The external account binding is not complete.",
                causes=[f"{missing}: is needed too: key id and MAC key belong together"],
            )
        return (self.eab_kid, self.eab_key.get_secret_value().encode()) if self.eab_kid and self.eab_key else None


def _issuers(visit: Visit) -> Response:
    """All, and the kinds that can be added."""
    with visit.engine.store.read() as unit:
        found = unit.issuers.list()
    kinds = [catalog.plugin("issuers", name) for name in sorted(catalog.names("issuers"))]
    return visit.page(
        "issuers.html",
        issuers=found,
        kinds=[(each.name, each.sentence) for each in kinds],
    )


def _makers(visit: Visit, kind: str) -> tuple[Maker, Maker]:
    params = catalog.plugin("issuers", kind).params
    first = ("authority", "email", "agree_tos")
    return Maker(Account), Maker(params, stored(visit.engine), OWN, first=first)


def _adding(visit: Visit) -> Response:
    makers = _makers(visit, visit.request.path_params["kind"])
    return visit.fill_in(_("A new issuer"), makers, _ALL, later("Register the account"))


def _add(visit: Visit) -> Response:
    kind = visit.request.path_params["kind"]
    own, maker = _makers(visit, kind)

    def add(engine: Engine) -> Issuer:
        account = read_params(Account, own.given(visit.fields), "the issuer")
        return add_issuer(
            engine,
            kind,
            account.name,
            maker.given(visit.fields),
            internal_names=account.internal_names,
            eab=account.binding,
        )

    return visit.begin(
        later("Register the account"), add, lambda _: _ALL, f"/issuers/add/{kind}", secret=("eab_key",), refill=True
    )


def _one(visit: Visit, name: str) -> tuple[Issuer, Maker]:
    with visit.engine.store.read() as unit:
        issuer = unit.issuers.get(name)
    found = catalog.plugin("issuers", issuer.kind)
    return issuer, Maker(found.params, stored(visit.engine), OWN, without=found.cls.account_params)


def _changing(visit: Visit) -> Response:
    issuer, maker = _one(visit, visit.asked("name"))
    button, hidden = later("Change the issuer"), {**seen_field(visit, issuer), "name": issuer.name}
    return visit.fill_in(issuer.name, [maker], _ALL, button, issuer.params, hidden=hidden)


def _change(visit: Visit) -> Response:
    issuer, maker = _one(visit, visit.sent("name"))
    given = maker.given(visit.fields)

    def change(engine: Engine) -> Issuer:
        acting = as_shown(visit, engine, lambda unit, name: unit.issuers.get(name), issuer.name)
        return change_issuer(acting, issuer.kind, issuer.name, given, maker.emptied(given))

    return visit.begin(
        later("Change the issuer"),
        change,
        lambda _: _ALL,
        with_query(_CHANGE, name=issuer.name),
        refill=True,
    )


def _test(visit: Visit) -> Response:
    name, told = visit.sent("name"), _("The authority answers, and knows the account.")

    def ask(engine: Engine) -> str:
        test_issuer(engine, name)
        return told

    return visit.begin(_("Ask the authority of %(name)s") % {"name": name}, ask, None, _ALL)


_REMOVAL = Removal(
    path="/issuers/remove",
    permission=Permission.MANAGE,
    title=later("Remove the issuer %(name)s?"),
    follows=(
        later("The key of its account is deleted here; the account stays at the authority."),
        later("What it issued stays valid until it ends."),
    ),
    button=later("Remove it"),
    back=_ALL,
    called=lambda unit, name: unit.issuers.get(name).name,
    remove=remove_issuer,
)
PAGES = (
    Page(_ALL, Permission.READ, _issuers, label=later("Issuers")),
    Page(_ADD, Permission.MANAGE, _adding),
    Page(_ADD, Permission.MANAGE, _add, "POST"),
    Page(_CHANGE, Permission.MANAGE, _changing),
    Page(_CHANGE, Permission.MANAGE, _change, "POST"),
    Page("/issuers/test", Permission.MANAGE, _test, "POST"),
    *_REMOVAL.pages,
)
