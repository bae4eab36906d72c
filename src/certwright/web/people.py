"""People & tokens: who signs in, and as what."""

from pydantic import Field, SecretStr
from starlette.responses import Response

from certwright.domain.access import Permission, PersonName, Role
from certwright.domain.errors import CertwrightError
from certwright.engine import people
from certwright.engine.openid.providers import providers
from certwright.sdk.params import Params, read_params
from certwright.web.forms import Filled, Maker, filled
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, attempt
from certwright.web.received import typed_twice
from certwright.web.removing import Removal
from certwright.web.seen import as_shown, seen_field
from certwright.web.words import PERMISSIONS

ALL = "/people"
LIMIT = later("One on each line: with some, only for the certificates that have one of them.")
_ADD, _ROLE, _PASSWORD = "/people/add", "/people/role", "/people/password"


class NewRole(Params):
    """What somebody is here."""

    role: Role = Field(default=Role.VIEWER, description=later("What this person may do: see the guide."))
    tags: tuple[str, ...] = Field(default=(), description=LIMIT)


class NewPassword(Params):
    """A password, typed twice so that it is the one that was meant."""

    password: SecretStr = Field(description=later("A few words that do not belong together."))
    again: SecretStr = Field(description=later("The same again."))


class NewPerson(NewRole):
    """Somebody new."""

    name: PersonName = Field(description=later("With which this person signs in: letters a to z, digits and . _ @ -"))


_FIRST = (Maker(NewPerson, without=("role", "tags")), Maker(NewRole), Maker(NewPassword))


def everybody(visit: Visit, error: CertwrightError | None = None) -> Response:
    """All people, the providers by which they come, and all tokens."""
    with visit.engine.store.read() as unit:
        found, tokens = unit.people.list(), unit.tokens.list()
    return visit.page(
        "people.html",
        error=error,
        people=found,
        providers=providers(visit.engine),
        tokens=tokens,
        permissions=PERMISSIONS,
    )


def _adding(visit: Visit, error: CertwrightError | None = None) -> Response:
    shown = filled(_FIRST, visit.fields, error) if error else Filled(tuple(each.empty() for each in _FIRST))
    return visit.form(_("Somebody new"), shown, ALL, later("Let this person sign in"), error)


def _add(visit: Visit) -> Response:
    def add() -> None:
        typed = read_params(NewPerson, Maker(NewPerson).given(visit.fields), "the person")
        people.add_person(visit.engine, typed.name, typed.role, typed_twice(visit.fields), typed.tags)

    return attempt(visit, add, _adding, ALL)


def _asked(visit: Visit) -> people.Secured:
    with visit.engine.store.read() as unit:
        return people.secured(unit, visit.asked("name"))


def _changing(visit: Visit, error: CertwrightError | None = None) -> Response:
    person, maker = _asked(visit).person, Maker(NewRole)
    shown = filled([maker], visit.fields, error) if error else Filled((maker.empty(dict(person)),))
    title = _("The role of %(name)s") % {"name": person.name}
    return visit.form(title, shown, ALL, later("Change it at once"), error, hidden=seen_field(visit, person, error))


def _change(visit: Visit) -> Response:
    def change() -> None:
        typed = read_params(NewRole, Maker(NewRole).given(visit.fields), "the role")
        name = visit.asked("name")
        people.set_role(as_shown(visit, visit.engine, people.lasting, name), name, typed.role, typed.tags)

    return attempt(visit, change, _changing, ALL)


def _setting(visit: Visit, error: CertwrightError | None = None) -> Response:
    kept, maker = _asked(visit), Maker(NewPassword)
    shown = filled([maker], visit.fields, error) if error else Filled((maker.empty(),))
    about = [_("It ends a lock, and wherever %(name)s is signed in, that ends too.") % {"name": kept.person.name}]
    title, hidden = _("A new password for %(name)s") % {"name": kept.person.name}, seen_field(visit, kept, error)
    return visit.form(title, shown, ALL, later("Set the password"), error, about=about, hidden=hidden)


def _set(visit: Visit) -> Response:
    def set_it() -> None:
        name, password = visit.asked("name"), typed_twice(visit.fields)
        people.set_password(as_shown(visit, visit.engine, people.secured, name), name, password)

    return attempt(visit, set_it, _setting, ALL)


def _end_code(visit: Visit) -> Response:
    return attempt(visit, lambda: people.remove_second_factor(visit.engine, visit.sent("name")), everybody, ALL)


def _admit(visit: Visit) -> Response:
    return attempt(visit, lambda: people.admit_person(visit.engine, visit.sent("name")), everybody, ALL)


_REMOVAL = Removal(
    path="/people/remove",
    permission=Permission.ADMINISTER,
    title=later("Let %(name)s in no more?"),
    follows=(
        later("This person is signed out everywhere at once. What was done stays, with who did it."),
        later("Tokens stay: remove those that this person knows, too."),
    ),
    button=later("Let this person in no more"),
    back=ALL,
    called=lambda unit, name: unit.people.get(name).name,
    remove=people.remove_person,
)
PAGES = (
    Page(ALL, Permission.ADMINISTER, everybody, label=later("People & tokens")),
    Page(_ADD, Permission.ADMINISTER, _adding),
    Page(_ADD, Permission.ADMINISTER, _add, "POST"),
    Page(_ROLE, Permission.ADMINISTER, _changing),
    Page(_ROLE, Permission.ADMINISTER, _change, "POST"),
    Page(_PASSWORD, Permission.ADMINISTER, _setting),
    Page(_PASSWORD, Permission.ADMINISTER, _set, "POST"),
    Page("/people/code/end", Permission.ADMINISTER, _end_code, "POST"),
    *_REMOVAL.pages,
    Page("/people/admit", Permission.ADMINISTER, _admit, "POST"),
)
