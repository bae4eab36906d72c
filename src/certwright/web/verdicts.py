"""What is said of a field while somebody types into it: by the rules that judge it when it is sent; nothing is kept."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.errors import ConfigurationError
from certwright.domain.plain_text import check_line
from certwright.engine.managed import tags_of
from certwright.engine.proposals import takes_public_names_only
from certwright.engine.typed_names import TypedName, judge_names
from certwright.sdk.params import MailAddress, Params
from certwright.web.certificate import id_of
from certwright.web.forms import Maker, told
from certwright.web.new import WebServer
from certwright.web.new_exchange import Server
from certwright.web.pages import Page, Visit
from certwright.web.received import listed, texts

_MOST = 500
_SHOWN = 20


class Contact(Params):
    """Where an authority may write to."""

    email: MailAddress


def _new_names(visit: Visit) -> Response:
    with visit.engine.store.read() as unit:
        found = judge_names(unit, listed(visit.sent("names"))[:_MOST], public=takes_public_names_only(visit.engine))
    return _page(visit, names=found)


def _more_names(visit: Visit) -> Response:
    chosen = texts(visit.fields, "name")[:_MOST]
    typed = visit.sent("more").splitlines()[:_MOST]
    with visit.engine.store.read() as unit:
        found = judge_names(unit, [*chosen, *typed], public=takes_public_names_only(visit.engine))
    return _page(visit, names=found[len(chosen) :])


def _names(visit: Visit) -> Response:
    with visit.engine.store.read() as unit:
        managed = unit.managed.get(id_of(visit))
        public = not all(unit.issuers.get(name).capabilities.internal_names for name in managed.issuers)
        found = judge_names(unit, listed(visit.sent("names"))[:_MOST], public=public, but=managed.id)
    return _page(visit, names=found)


def _title(visit: Visit) -> Response:
    title = visit.sent("title")
    try:
        check_line(title, "The title")
        with visit.engine.store.read() as unit:
            unit.managed.check_title(title, visit.request.path_params.get("id", ""))
    except ConfigurationError as error:
        return _page(visit, told=told(error, ("title",))[1])
    return _page(visit)


def _tags(visit: Visit) -> Response:
    try:
        tags_of(listed(visit.sent("tags")))
    except ConfigurationError as error:
        return _page(visit, told=list(error.explain()))
    return _page(visit)


def _field(model: type[BaseModel], name: str) -> Callable[[Visit], Response]:
    """What the model of a form says of one of its fields, if something is typed into it."""

    def make(visit: Visit) -> Response:
        told = Maker(model).verdict(visit.fields, name) if visit.sent(name) else ""
        return _page(visit, told=[told] if told else [])

    return make


def _page(visit: Visit, *, names: Sequence[TypedName] = (), told: Sequence[str] = ()) -> Response:
    remarkable = [each for each in names if each.advice or each.is_repeated or each.holder or each.spelling]
    more = max(len(remarkable) - _SHOWN, 0)
    values: dict[str, Any] = {"names": remarkable[:_SHOWN], "more": more, "told": told}
    return visit.page("verdict.html", **values)


_NEW, _ONE = "/new/verdicts", "/certificates/{id}/verdicts"
PAGES = (
    Page(f"{_NEW}/names", UseCase.DESCRIBE.permission, _new_names, "POST"),
    Page(f"{_NEW}/more", UseCase.DESCRIBE.permission, _more_names, "POST"),
    Page(f"{_NEW}/title", UseCase.DESCRIBE.permission, _title, "POST"),
    Page(f"{_NEW}/tags", UseCase.DESCRIBE.permission, _tags, "POST"),
    Page(f"{_NEW}/email", UseCase.DESCRIBE.permission, _field(Contact, "email"), "POST"),
    Page(f"{_NEW}/host", Permission.MANAGE, _field(WebServer, "host"), "POST"),
    Page(f"{_NEW}/server", Permission.MANAGE, _field(Server, "server"), "POST"),
    Page(f"{_ONE}/names", UseCase.DESCRIBE.permission, _names, "POST"),
    Page(f"{_ONE}/title", UseCase.DESCRIBE.permission, _title, "POST"),
)
