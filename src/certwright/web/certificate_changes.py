"""What of a managed certificate is changed on its page: names, proofs, issuer and key, and when it is renewed."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field
from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.domain.keys import KeySource, KeyType
from certwright.domain.managed import ManagedCertificate, RenewalPolicy
from certwright.domain.persist import proved_so
from certwright.domain.validation import Validation, choose, unused
from certwright.engine import catalog, hold, windows
from certwright.engine.change import change
from certwright.engine.commands import may_run
from certwright.engine.managed import KeyWish, details, set_tags
from certwright.engine.persist import WantedRecord, records
from certwright.engine.validations import put_validation, remove_validation
from certwright.sdk.params import Params, read_params
from certwright.web.certificate import RENEWAL, changed, id_of, names, renewal, revision, tab
from certwright.web.forms import OWN, Maker
from certwright.web.pages import Page, Visit
from certwright.web.picking import stored
from certwright.web.received import listed, texts


class For(Params):
    """For which names a validation is."""

    names: tuple[str, ...] = Field(
        default=(),
        description="Rules, one on each line: mail.contoso.com, *.contoso.com (one level) or .contoso.com (and all "
        "under it). Without one it is for all names that no other rule fits.",
    )


def _set_names(visit: Visit) -> Response:
    wanted = {"names": listed(visit.sent("names")), "title": visit.sent("title")}
    given: Any = {name: value for name, value in wanted.items() if value}
    return changed(visit, lambda: change(visit.engine, id_of(visit), given, revision(visit)), names)


def _set_tags(visit: Visit) -> Response:
    words = visit.sent("tags").replace(",", " ").split()
    return changed(visit, lambda: set_tags(visit.engine, id_of(visit), words, revision(visit)), names)


def _validation(visit: Visit, error: CertwrightError | None = None) -> Response:
    managed = details(visit.engine, id_of(visit)).managed
    chosen = [(each, choose(managed.validations, each)) for each in managed.identifiers]
    lasting, unknown = _lasting(visit, managed)
    solvers = [catalog.plugin("solvers", name) for name in sorted(catalog.names("solvers"))]
    able = [each for each in solvers if may_run(visit.engine, each.cls)]
    return tab(
        visit,
        "validation",
        error,
        chosen=chosen,
        lasting=lasting,
        unknown=unknown,
        idle=unused(managed.validations, managed.identifiers),
        solvers=[(each.name, each.sentence) for each in able],
    )


def _lasting(visit: Visit, managed: ManagedCertificate) -> tuple[Sequence[WantedRecord], str]:
    """The records that prove names once and for all, or why they cannot be told yet."""
    if not proved_so(managed):
        return (), ""
    try:
        return records(visit.engine, managed.id), ""
    except ConfigurationError as error:
        return (), "\n".join(error.explain())


def _solver_form(visit: Visit, error: CertwrightError | None = None) -> Response:
    own, maker = _makers(visit)
    managed = details(visit.engine, id_of(visit)).managed
    rules, solver = _rules(visit) or (), visit.request.path_params["solver"]
    known = next((v for v in managed.validations if v.names == rules and v.solver == solver), None)
    params = known.params if known else {}
    return tab(
        visit,
        "solver",
        error,
        solver=solver,
        folders=visit.engine.places.files if catalog.plugin("solvers", solver).cls.commands else None,
        own=own.again(visit.fields, error) if error else own.empty({"names": rules}),
        form=maker.again(visit.fields, error) if error else maker.empty(params),
    )


def _put_validation(visit: Visit) -> Response:
    own, maker = _makers(visit)

    def put() -> None:
        found = catalog.plugin("solvers", visit.request.path_params["solver"])
        rules = read_params(For, own.given(visit.fields), "the rules").names
        parts = {
            "challenge": min(found.cls.types),
            "solver": found.name,
            "params": maker.given(visit.fields),
            "names": rules,
        }
        wanted = read_params(Validation, parts, "the validation")
        put_validation(visit.engine, id_of(visit), wanted, revision(visit), was=_rules(visit))

    return changed(visit, put, _solver_form, "/validation")


def _rules(visit: Visit) -> tuple[str, ...] | None:
    """Those of the validation that is changed, as the address says; None if a new one is added."""
    asked = visit.request.query_params
    return tuple(filter(None, asked.getlist("for"))) if "for" in asked else None


def _makers(visit: Visit) -> tuple[Maker, Maker]:
    found = catalog.plugin("solvers", visit.request.path_params["solver"])
    return Maker(For), Maker(found.params, stored(visit.engine), OWN)


def _remove_validation(visit: Visit) -> Response:
    rules = texts(visit.fields, "rule")
    return changed(
        visit,
        lambda: remove_validation(visit.engine, id_of(visit), rules, revision(visit)),
        _validation,
        "/validation",
    )


def _issuer(visit: Visit, error: CertwrightError | None = None) -> Response:
    with visit.engine.store.read() as unit:
        issuers = unit.issuers.list()
        managed = unit.managed.get(id_of(visit))
    first = next((each for each in issuers if each.name == managed.issuer), None)
    offered = first.capabilities.profiles if first else {}
    return tab(
        visit,
        "issuer",
        error,
        issuers=[each.name for each in issuers],
        profiles=dict.fromkeys(filter(None, (*offered, managed.profile))),
        kinds=list(KeyType),
        own_key=managed.key.source in (KeySource.OWN_KEY, KeySource.OWN_CSR),
    )


def _set_issuer(visit: Visit) -> Response:
    def make() -> None:
        found = details(visit.engine, id_of(visit)).managed
        typed = (line.strip() for line in visit.sent("fallbacks").splitlines())
        others = [name for name in typed if name not in ("", visit.sent("issuer"))]
        wanted: Any = {
            "issuers": [visit.sent("issuer"), *others],
            "profile": visit.sent("profile") or None,
            "preferred_chain": visit.sent("chain") or None,
        }
        if found.key.source not in (KeySource.OWN_KEY, KeySource.OWN_CSR):
            if visit.sent("key") not in set(KeyType):
                raise ConfigurationError("There is no such kind of key.", hint=f"Choose among {', '.join(KeyType)}.")
            wanted["key"] = KeyWish(kind=KeyType(visit.sent("key")), is_reused=bool(visit.sent("reused")))
        change(visit.engine, found.id, wanted, revision(visit))

    return changed(visit, make, _issuer, "/issuer")


def _set_policy(visit: Visit) -> Response:
    def make() -> None:
        values = {name: visit.sent(name) for name in ("days_before", "lifetime_share") if visit.sent(name)}
        if len(values) > 1:
            raise ConfigurationError("Either days or a share is given, not both.", hint="Leave one of them empty.")
        policy = read_params(RenewalPolicy, dict(values), "the renewal")
        hold.set_policy(visit.engine, id_of(visit), policy, revision(visit))

    return changed(visit, make, renewal, "/renewal")


def _set_window(visit: Visit) -> Response:
    wanted = visit.sent("window") or None
    return changed(
        visit, lambda: windows.set_window(visit.engine, id_of(visit), wanted, revision(visit)), renewal, "/renewal"
    )


_SOLVER = "/certificates/{id}/validation/{solver}"
PAGES = (
    Page("/certificates/{id}/names", UseCase.DESCRIBE.permission, _set_names, "POST"),
    Page("/certificates/{id}/tags", UseCase.DESCRIBE.permission, _set_tags, "POST"),
    Page("/certificates/{id}/validation", Permission.READ, _validation),
    Page("/certificates/{id}/validation/remove", UseCase.DESCRIBE.permission, _remove_validation, "POST"),
    Page(_SOLVER, UseCase.DESCRIBE.permission, _solver_form),
    Page(_SOLVER, UseCase.DESCRIBE.permission, _put_validation, "POST"),
    Page("/certificates/{id}/issuer", Permission.READ, _issuer),
    Page("/certificates/{id}/issuer", UseCase.DESCRIBE.permission, _set_issuer, "POST"),
    Page("/certificates/{id}/policy", UseCase.DESCRIBE.permission, _set_policy, "POST", sent_from=RENEWAL),
    Page("/certificates/{id}/window", UseCase.DESCRIBE.permission, _set_window, "POST", sent_from=RENEWAL),
)
