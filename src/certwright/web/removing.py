"""The question before something is forgotten: what follows from it, and that it is meant."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.engine.context import Engine
from certwright.store import UnitOfWork
from certwright.web.language import _
from certwright.web.pages import Page, Visit, attempt, with_query


def credential_name(unit: UnitOfWork, name: str) -> str:
    """The name, if something is kept under it among the credentials.

    Raises:
        NotFound: if there is nothing.
    """
    unit.credentials.sealed(name)
    return name


@dataclass(frozen=True, slots=True)
class Removal:
    """How things of one kind are removed.

    Attributes:
        path: of the question; the parameter `by` in its query says of what.
        permission: what it takes.
        title: the question, with `%(name)s` in it, as `language.later` marks it.
        follows: what follows from it, sentence by sentence, marked so too.
        button: what is pressed, marked so too.
        back: the page that shows all.
        called: what people call it, by what the address says; raises NotFound if there is none.
        remove: forgets it, by what the address says; refuses with the users of what is in use.
        by: see `path`.
        beside: what is done, as people wait for it, marked so too, where it may take longer than a page may.
    """

    path: str
    permission: Permission
    title: str
    follows: tuple[str, ...]
    button: str
    back: str
    called: Callable[[UnitOfWork, str], str]
    remove: Callable[[Engine, str], object]
    by: str = "name"
    beside: str = ""

    @property
    def pages(self) -> tuple[Page, ...]:
        """The question, and where its answer is sent."""
        return (
            Page(self.path, self.permission, self._question),
            Page(self.path, self.permission, self._remove, "POST"),
        )

    def _question(self, visit: Visit, error: CertwrightError | None = None) -> Response:
        with visit.engine.store.read() as unit:
            name = self.called(unit, visit.asked(self.by))
        again = visit.again()
        return visit.page(
            "removal.html",
            error=again.error if again else error,
            title=_(self.title) % {"name": name},
            follows=self.follows,
            button=self.button,
            back=self.back,
        )

    def _remove(self, visit: Visit) -> Response:
        which = visit.asked(self.by)
        if not self.beside:
            return attempt(visit, lambda: self.remove(visit.engine, which), self._question, self.back)
        here = with_query(self.path, **{self.by: which})
        return visit.begin(
            self.beside, lambda engine: self.remove(engine, which), lambda _: self.back, here, refill=True
        )
