"""What is watched and not renewed: certificates given as files, and what services serve."""

from pydantic import Field, SecretStr
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.domain.watching import Place, StartTls
from certwright.engine.context import Engine
from certwright.engine.watch import look_at, replace_file, unwatch, watch_endpoint, watch_file
from certwright.probe import Endpoint
from certwright.sdk.params import Params, read_params
from certwright.web.forms import Filled, Maker, filled
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, attempt
from certwright.web.received import uploaded
from certwright.web.removing import Removal

_ALL, _FILE, _SERVICE, _REPLACE = "/watched", "/watched/add/file", "/watched/add/service", "/watched/replace"
_UPLOAD = later("The file: PFX, PEM or DER; a key in it is not kept")


class File(Params):
    """A file."""

    password: SecretStr | None = Field(default=None, description="Its password, if it is a PFX file.")
    title: str | None = Field(
        default=None, max_length=200, description="What you call it; its name, if you leave it empty."
    )


class Password(Params):
    """The password of a file."""

    password: SecretStr | None = Field(default=None, description="Its password, if it is a PFX file.")


class Service(Params):
    """A service."""

    endpoint: str = Field(max_length=300, description="Host and port, such as mail.contoso.com:443.")
    starttls: StartTls | None = Field(
        default=None, description="Where TLS begins later; else it is TLS from the start."
    )
    server_name: str | None = Field(
        default=None, max_length=253, description="The name to ask for and to expect, where it is not the host."
    )
    title: str | None = Field(
        default=None, max_length=200, description="What you call it; host and port, if you leave it empty."
    )


def _watched(visit: Visit) -> Response:
    """All, as it was seen last; what ends first comes first."""
    with visit.engine.store.read() as unit:
        found = sorted(unit.watches.list(), key=lambda each: each.seen.not_after)
    return visit.page("watched.html", watched=found)


def _file(visit: Visit, error: CertwrightError | None = None) -> Response:
    maker = Maker(File)
    shown = filled([maker], visit.fields, error) if error else Filled((maker.empty(),))
    return visit.form(_("Watch a certificate from a file"), shown, _ALL, later("Watch it"), error, upload=_UPLOAD)


def _add_file(visit: Visit) -> Response:
    def add() -> None:
        typed = read_params(File, Maker(File).given(visit.fields), "the file")
        watch_file(visit.engine, uploaded(visit.fields), typed.title, _password(typed.password))

    return attempt(visit, add, _file, _ALL)


def _replacing(visit: Visit, error: CertwrightError | None = None) -> Response:
    with visit.engine.store.read() as unit:
        item = unit.watches.get(visit.asked("id"))
    maker = Maker(Password)
    shown = filled([maker], visit.fields, error) if error else Filled((maker.empty(),))
    return visit.form(
        _("Another file for %(title)s") % {"title": item.title}, shown, _ALL, later("Watch it"), error, upload=_UPLOAD
    )


def _replace(visit: Visit) -> Response:
    def replace() -> None:
        typed = read_params(Password, Maker(Password).given(visit.fields), "the file")
        replace_file(visit.engine, visit.asked("id"), uploaded(visit.fields), _password(typed.password))

    return attempt(visit, replace, _replacing, _ALL)


def _password(typed: SecretStr | None) -> bytes | None:
    return typed.get_secret_value().encode() if typed else None


def _service(visit: Visit) -> Response:
    return visit.fill_in(_("Watch what a service serves"), [Maker(Service)], _ALL, later("Watch it"))


def _add_service(visit: Visit) -> Response:
    def add(engine: Engine) -> None:
        typed = read_params(Service, Maker(Service).given(visit.fields), "the service")
        where = Endpoint.parse(typed.endpoint)
        place = Place(host=where.host, port=where.port, starttls=typed.starttls, name=typed.server_name)
        watch_endpoint(engine, place, typed.title)

    return visit.begin(later("Look at the service"), add, lambda _: _ALL, _SERVICE, refill=True)


def _look(visit: Visit) -> Response:
    with visit.engine.store.read() as unit:
        item = unit.watches.get(visit.sent("id"))

    def look(engine: Engine) -> None:
        look_at(engine, [item])

    return visit.begin(_("Look at %(title)s") % {"title": item.title}, look, lambda _: _ALL, _ALL)


_REMOVAL = Removal(
    path="/watched/remove",
    permission=Permission.MANAGE,
    title=later("Watch %(name)s no more?"),
    follows=(later("Nobody is told any more when it ends, or when something else is served. It stays where it is."),),
    button=later("Watch it no more"),
    back=_ALL,
    called=lambda unit, reference: unit.watches.get(reference).title,
    remove=unwatch,
    by="id",
)
PAGES = (
    Page(_ALL, Permission.READ, _watched, label=later("Watched")),
    Page(_FILE, Permission.MANAGE, _file),
    Page(_FILE, Permission.MANAGE, _add_file, "POST"),
    Page(_SERVICE, Permission.MANAGE, _service),
    Page(_SERVICE, Permission.MANAGE, _add_service, "POST"),
    Page(_REPLACE, Permission.MANAGE, _replacing),
    Page(_REPLACE, Permission.MANAGE, _replace, "POST"),
    Page("/watched/look", Permission.MANAGE, _look, "POST"),
    *_REMOVAL.pages,
)
