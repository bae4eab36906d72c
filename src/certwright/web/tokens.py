"""People & tokens: with what programs use the API."""

from datetime import timedelta

from pydantic import Field
from starlette.responses import Response

from certwright.domain.access import LONGEST_LIFE, Permission
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.engine.tokens import create_token, remove_token
from certwright.sdk.params import Params, read_params
from certwright.web.forms import Filled, Maker, filled
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit
from certwright.web.people import ALL, LIMIT
from certwright.web.removing import Removal
from certwright.web.words import PERMISSIONS

_ADD = "/people/tokens/add"


class NewToken(Params):
    """A token for one program."""

    name: str = Field(min_length=1, max_length=80, description=later("What it is for, such as monitoring."))
    permissions: tuple[Permission, ...] = Field(
        min_length=1,
        description=later("No more than the program needs."),
        json_schema_extra={"called": PERMISSIONS},
    )
    tags: tuple[str, ...] = Field(default=(), description=LIMIT)
    days: int = Field(default=90, ge=1, le=LONGEST_LIFE.days, description=later("How long it is valid."))


def _adding(visit: Visit, error: CertwrightError | None = None) -> Response:
    maker = Maker(NewToken)
    shown = filled([maker], visit.fields, error) if error else Filled((maker.empty(),))
    return visit.form(_("A new token"), shown, ALL, later("Make the token"), error)


def _add(visit: Visit) -> Response:
    """The answer is the only place where the token is ever shown."""
    try:
        typed = read_params(NewToken, Maker(NewToken).given(visit.fields), "the token")
        life = timedelta(days=typed.days)
        token, secret = create_token(visit.engine, typed.name, typed.permissions, life, typed.tags)
    except ConfigurationError as error:
        return _adding(visit, error)
    return visit.page("token.html", token=token, secret=secret)


_REMOVAL = Removal(
    path="/people/tokens/remove",
    permission=Permission.ADMINISTER,
    title=later("Remove the token %(name)s?"),
    follows=(later("Every program that uses it is refused from now on. It does not come back: make a new one then."),),
    button=later("Remove it"),
    back=ALL,
    called=lambda unit, name: unit.tokens.get(name).name,
    remove=remove_token,
)
PAGES = (
    Page(_ADD, Permission.ADMINISTER, _adding),
    Page(_ADD, Permission.ADMINISTER, _add, "POST"),
    *_REMOVAL.pages,
)
