"""After the first administrator: to which authority, under which e-mail address; it may be left for later."""

from collections.abc import Mapping

from starlette.responses import Response

from certwright.domain import authorities
from certwright.domain.access import Permission
from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.issuers import add_issuer, asked_of
from certwright.sdk.issuer import Asked
from certwright.web.forms import told
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit
from certwright.web.received import NOTHING

PATH = "/first-start/authority"
_KIND = "acme"
_USUAL = "letsencrypt"
_CHOICE = ("email", "authority", "directory", "ca_file")


def _chosen(fields: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the issuer; what was left empty is not given."""
    filled = {name: fields.get(name, "").strip() for name in _CHOICE}
    if filled["directory"] and filled["authority"] == _USUAL:  # which was proposed, and has a directory of its own
        filled["authority"] = authorities.CUSTOM.name
    return {name: value for name, value in filled.items() if value}


def _show(visit: Visit) -> Response:
    again = visit.again()
    wrong, problem = told(again.error if again else None, _CHOICE)
    with visit.engine.store.read() as unit:
        there = [issuer.name for issuer in unit.issuers.list() if issuer.account]
    return visit.page(
        "first-account.html",
        422 if again else 200,
        authorities=authorities.CATALOGUE,
        shown=again.sent if again else {"authority": _USUAL},
        there=there,
        wrong=wrong,
        told=problem,
    )


def _ask(visit: Visit) -> Response:
    """Read what the authority wants from its directory; where it does not say, another can be chosen."""
    chosen = _chosen(visit.fields)
    return visit.begin(
        later("Ask the authority what it wants"),
        lambda engine: asked_of(engine, _KIND, chosen),
        lambda job: f"{PATH}/{job.id}",
        PATH,
        refill=True,
    )


def _agreeing(visit: Visit) -> Response:
    asked, again = visit.came_of(Asked), visit.again()
    chosen, sent = _chosen(visit.waited().sent), again.sent if again else NOTHING
    return visit.page(
        "first-account-terms.html",
        422 if again else 200,
        authority=authorities.of(chosen),
        chosen=chosen,
        asked=asked,
        is_linked=asked.terms.startswith(("https://", "http://")),
        agreed="agree_tos" in sent,
        key_id=sent.get("eab_kid", ""),
        told=again.told if again else [],
    )


def _register(visit: Visit) -> Response:
    visit.came_of(Asked)
    job = visit.waited()
    chosen, agreed = _chosen(job.sent), "agree_tos" in visit.fields
    known, key_id, key = authorities.of(chosen), visit.sent("eab_kid"), visit.sent("eab_key")

    def register(engine: Engine) -> None:
        values = {**chosen, "agree_tos": agreed}
        in_house = "ca_file" in chosen or not known.is_public
        add_issuer(engine, _KIND, known.name, values, internal_names=in_house, eab=_binding(key_id, key))

    return visit.begin(
        later("Register the account"), register, lambda _: "/", f"{PATH}/{job.id}", secret=("eab_key",), refill=True
    )


def _binding(key_id: str, key: str) -> tuple[str, bytes] | None:
    if bool(key_id) != bool(key):
        raise ConfigurationError(
            _("Key id and MAC key belong together."), hint=_("Fill in both, as the authority shows them.")
        )
    return (key_id, key.encode()) if key else None


PAGES = (
    Page(PATH, Permission.MANAGE, _show),
    Page(PATH, Permission.MANAGE, _ask, "POST"),
    Page(f"{PATH}/{{id}}", Permission.MANAGE, _agreeing),
    Page(f"{PATH}/{{id}}", Permission.MANAGE, _register, "POST"),
)
