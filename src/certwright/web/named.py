"""What goes by a name and is put in place of the one of that name: one form for a new one, and for a change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError, NotFound, Taken
from certwright.domain.managed import Value
from certwright.engine.context import Engine
from certwright.sdk.params import Params, read_params
from certwright.store import UnitOfWork
from certwright.web.forms import Filled, Maker, filled
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, attempt
from certwright.web.removing import Removal
from certwright.web.seen import as_shown_or_new, seen_field

T = TypeVar("T", bound=Value)
_GONE = later("It was removed meanwhile. What you typed is still here: send it again to have it as a new one.")


@dataclass(frozen=True, slots=True)
class Named(Generic[T]):
    """Things of one kind.

    Attributes:
        path: of the page that shows all.
        edit: of the form; `name` in its query says which.
        form: what is filled in.
        kind: what comes of it.
        new: the title of the form of a new one, and `button` what is pressed, both as `language.later` marks them.
        button: see there.
        taken: tells that one is there already.
        kept: one, by its name.
        known: what stands in its form.
        put: keeps one.
        removal: how one is removed.
    """

    path: str
    edit: str
    form: type[Params]
    kind: type[T]
    new: str
    button: str
    taken: Callable[[T], Taken]
    kept: Callable[[UnitOfWork, str], T]
    known: Callable[[T], Mapping[str, Any]]
    put: Callable[[Engine, T], None]
    removal: Removal

    @property
    def pages(self) -> tuple[Page, ...]:
        """Its form, and what is sent by it."""
        return (
            Page(self.edit, Permission.MANAGE, self._editing),
            Page(self.edit, Permission.MANAGE, self._put, "POST"),
            *self.removal.pages,
        )

    def _editing(self, visit: Visit, error: CertwrightError | None = None) -> Response:
        maker, name = Maker(self.form), visit.asked("name")
        kept = self._kept(visit, name, error) if name else None
        known = self.known(kept) if kept else {}
        shown = filled([maker], visit.fields, error) if error else Filled((maker.empty(known),))
        hidden = seen_field(visit, kept, error) if kept else {}
        is_gone = bool(name and not kept)
        return visit.form(
            name if kept else _(self.new),
            shown,
            self.path,
            self.button,
            error,
            hidden=hidden,
            is_gone=is_gone,
            about=[_GONE] if is_gone else [],
        )

    def _kept(self, visit: Visit, name: str, error: CertwrightError | None) -> T | None:
        """The one of that name; None if it was removed while its form was filled in."""
        try:
            with visit.engine.store.read() as unit:
                return self.kept(unit, name)
        except NotFound:
            if error is None:
                raise
            return None

    def _put(self, visit: Visit) -> Response:
        def put() -> None:
            typed = read_params(self.form, Maker(self.form).given(visit.fields), "the form")
            wanted, name = read_params(self.kind, dict(typed), "what was filled in"), visit.sent("name")
            guarded = as_shown_or_new(visit, visit.engine, self.kept, name, self.taken)
            self.put(guarded, wanted)

        return attempt(visit, put, self._editing, self.path)
