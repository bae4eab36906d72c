"""The managed certificates: page by page, filtered by what the address says."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import InvalidIdentifier
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import Identifier
from certwright.engine.status import judge_stale
from certwright.web.pages import Page, Visit

_ROWS = 50


def _certificates(visit: Visit) -> Response:
    asked = visit.request.query_params
    health = [Health(each) for each in asked.getlist("health") if each in set(Health)]
    issuer, typed, after = (asked.get(name, "") for name in ("issuer", "name", "after"))
    name, wrong = _name(typed)
    judge_stale(visit.engine)
    with visit.engine.store.read() as unit:
        issuers = [each.name for each in unit.issuers.list()]
        rows = unit.listing.page(after, _ROWS, health=health, issuer=issuer or None, name=name) if not wrong else []
    filters = {"health": health, "issuer": issuer, "name": typed}
    return visit.page(
        "certificates.html",
        rows=rows,
        issuers=issuers,
        healths=list(Health),
        filters=filters,
        following=_address(filters, rows[-1].managed.title) if len(rows) == _ROWS else "",
        wrong=wrong,
    )


def _name(typed: str) -> tuple[Identifier | None, str]:
    """The name that was typed, or what is wrong with it."""
    if not typed.strip():
        return None, ""
    try:
        return Identifier.parse(typed.strip()), ""
    except InvalidIdentifier as error:
        return None, " ".join(error.explain())


def _address(filters: Mapping[str, object], after: str) -> str:
    wanted = {name: value for name, value in filters.items() if value}
    return f"/certificates?{urlencode({**wanted, 'after': after}, doseq=True)}"


PAGES = (Page("/certificates", Permission.READ, _certificates),)
