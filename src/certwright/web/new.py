"""A new certificate, from what one has: an Exchange server, a web server, names, a file, or a service to watch."""

from collections.abc import Callable
from urllib.parse import quote

from pydantic import Field, SecretStr
from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.managed import ManagedCertificate
from certwright.engine import catalog
from certwright.engine.accounts import coming_issuer, ready_issuer
from certwright.engine.context import Engine
from certwright.engine.exchange.reach import KIND
from certwright.engine.managed import Wish, check_wish, create
from certwright.engine.proposals import Proposal, propose_from_file, propose_from_server, propose_names, watch_present
from certwright.engine.typed_names import TypedName
from certwright.probe import Endpoint
from certwright.sdk.params import HostName, Params, read_params
from certwright.web import describing, proving
from certwright.web.forms import Filled, Maker, filled
from certwright.web.language import later
from certwright.web.pages import Page, Visit, with_query
from certwright.web.received import listed, text, uploaded
from certwright.web.waiting import Waited

_NAMES, _SERVER, _FILE = "/new/names", "/new/server", "/new/file"
_LONGEST_TYPED = 4000  # addresses may have about twice that
_RESOLVES = {
    True: later("It has an address in DNS."),
    False: later("It has no address in DNS, or none that can be seen from here."),
}


class WebServer(Params):
    """A web server."""

    host: HostName = Field(description="Its name, such as www.contoso.com.")
    port: int = Field(default=443, ge=1, le=65535, description="443, unless it is reached at another one.")


class ExistingFile(Params):
    """A file with a certificate, and perhaps its private key."""

    password: SecretStr | None = Field(default=None, description="That of the file, if it has one.")
    keep_private_key: bool = Field(
        default=False,
        description="Seldom wanted: the new certificate gets the private key of the file, which is stored encrypted. "
        "Else a new key of the same kind is made, and the one in the file is not kept.",
    )


def _new(visit: Visit) -> Response:
    return visit.page("new.html")


def _names(visit: Visit) -> Response:
    again = visit.again()
    return visit.page(
        "new-names.html",
        422 if again else 200,
        typed=text(again.sent, "names") if again else visit.asked("names"),
        told=again.told if again else [],
    )


def _look(visit: Visit) -> Response:
    texts = listed(visit.sent("names"))
    return _propose(visit, later("Look at the names"), lambda engine: propose_names(engine, texts))


def _server(visit: Visit) -> Response:
    return _begin_with(visit, "new-server.html", Maker(WebServer))


def _look_at_server(visit: Visit) -> Response:
    sent = visit.fields

    def look(engine: Engine) -> Proposal:
        typed = read_params(WebServer, Maker(WebServer).given(sent), "the web server")
        return propose_from_server(engine, Endpoint(typed.host, typed.port))

    return _propose(visit, later("Look at the web server"), look)


def _file(visit: Visit) -> Response:
    return _begin_with(visit, "new-file.html", Maker(ExistingFile))


def _look_at_file(visit: Visit) -> Response:
    sent = visit.fields

    def look(engine: Engine) -> Proposal:
        typed = read_params(ExistingFile, Maker(ExistingFile).given(sent), "the file")
        password = typed.password.get_secret_value().encode() if typed.password else None
        return propose_from_file(engine, uploaded(sent), password, keeps_key=typed.keep_private_key)

    return _propose(visit, later("Look at the file"), look)


def _begin_with(visit: Visit, template: str, maker: Maker) -> Response:
    """The form of what there is, or what was sent by it, and why nothing came of that."""
    again = visit.again()
    shown = filled([maker], again.sent, again.error) if again else Filled((maker.empty(),))
    return visit.page(template, 422 if again else 200, form=shown.forms[0], told=shown.problem)


def _propose(visit: Visit, title: str, look: Callable[[Engine], Proposal]) -> Response:
    back = visit.request.url.path
    return visit.begin(title, look, lambda job: f"{_NAMES}/{job.id}", back, secret=("file", "password"), refill=True)


def _rows(found: tuple[TypedName, ...]) -> list[describing.Row]:
    return [
        describing.Row(
            name=each.identifier.unicode if each.identifier else each.text,
            chosen=each.is_usable,
            stands=_RESOLVES.get(each.resolves, "") if each.resolves is not None else "",
            advice=each.advice,
            holder=each.holder,
        )
        for each in found
    ]


def _proofs(visit: Visit) -> Response:
    job, found = visit.waited(), visit.came_of(Proposal)
    typed = text(job.sent, "names")
    return describing.page(
        visit,
        "new-names-proofs.html",
        _rows(found.names),
        visit.again(),
        found=found,
        back=with_query(job.back, names=typed if len(typed) <= _LONGEST_TYPED else ""),
        kinds=_kinds(),
    )


def _kinds() -> list[catalog.Plugin]:
    """The kinds of tasks that can put it to use; Exchange has a way of its own to begin."""
    return [catalog.plugin("tasks", name) for name in sorted(catalog.names("tasks")) if name != KIND]


def _made_at(visit: Visit, job: Waited) -> str:
    """The page of the certificate that was described, or where the task is that was chosen for it."""
    kind, at = visit.sent("task"), describing.made_at(visit, job)
    return f"{at}/tasks/add/{quote(kind, safe='')}" if kind else at


def _make(visit: Visit) -> Response:
    job, found = visit.waited(), visit.came_of(Proposal)

    def make(engine: Engine) -> ManagedCertificate:
        names = describing.chosen_names(visit)
        account = describing.account_of(visit, visit.sent("issuer"), visit.sent("email"))
        first, *others = proving.chosen(engine, visit.fields, names)
        wish = Wish(
            names=names,
            issuer=coming_issuer(engine, account).name,
            validation=first,
            others=tuple(others),
            title=visit.sent("title") or None,
            key_type=None if found.own_key else found.key_type,
            own_key=found.own_key,
            window=visit.sent("window") or None,
            tags=describing.chosen_tags(visit),
            waits=True,
        )
        check_wish(engine, wish, coming_issuer(engine, account))
        if visit.sent("watch"):
            visit.person.caller.require(Permission.MANAGE)
            watch_present(engine, found)
        ready_issuer(engine, account)
        return create(engine, wish)

    return visit.begin(
        later("Describe the certificate"),
        make,
        lambda done: _made_at(visit, done),
        f"{_NAMES}/{job.id}",
        refill=True,
    )


PAGES = (
    Page("/new", UseCase.DESCRIBE.permission, _new),
    Page(_SERVER, Permission.MANAGE, _server),
    Page(_SERVER, Permission.MANAGE, _look_at_server, "POST"),
    Page(_NAMES, UseCase.DESCRIBE.permission, _names),
    Page(_NAMES, UseCase.DESCRIBE.permission, _look, "POST"),
    Page(_FILE, Permission.MANAGE, _file),
    Page(_FILE, Permission.MANAGE, _look_at_file, "POST"),
    Page(f"{_NAMES}/{{id}}", UseCase.DESCRIBE.permission, _proofs),
    Page(f"{_NAMES}/{{id}}", UseCase.DESCRIBE.permission, _make, "POST"),
)
