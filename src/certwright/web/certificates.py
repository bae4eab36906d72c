"""The managed certificates: page by page, filtered by what the address says."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.health_rules import Health
from certwright.engine.status import judge_stale
from certwright.web.filters import EXPIRY, Chosen
from certwright.web.language import later
from certwright.web.pages import Page, Visit

_ROWS = 50


def _certificates(visit: Visit) -> Response:
    chosen, after = Chosen.of(visit.request.query_params), visit.request.query_params.get("after", "")
    judge_stale(visit.engine)
    wanted = chosen.filter(visit.engine.now(), after)
    with visit.engine.store.read() as unit:
        issuers = [each.name for each in unit.issuers.list()]
        tags, targets = unit.listing.tags(), unit.listing.targets()
        rows = unit.listing.page(after, _ROWS, wanted)
    is_more = len(rows) == _ROWS
    return visit.page(
        "certificates.html",
        rows=rows,
        issuers=issuers,
        tags=tags,
        targets=targets,
        healths=list(Health),
        expiries=EXPIRY,
        filters=chosen,
        is_whole=not after and not is_more,
        first=chosen.address() if after else "",
        following=chosen.address(after=wanted.place(rows[-1])) if is_more else "",
    )


PAGES = (Page("/certificates", Permission.READ, _certificates, label=later("Certificates")),)
