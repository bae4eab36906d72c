"""Maintenance windows, by name."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, func, select

from certwright.domain.audit import SubjectKind, named
from certwright.domain.errors import InUse, NotFound
from certwright.domain.windows import MaintenanceWindow
from certwright.store import rows
from certwright.store.audit import Trail
from certwright.store.schema import managed, window_uses, windows
from certwright.store.scope import Scope
from certwright.store.uses import SHOWN, Users


@dataclass(frozen=True, slots=True)
class Windows:
    """The maintenance windows."""

    connection: Connection
    trail: Trail
    scope: Scope

    def put(self, window: MaintenanceWindow) -> None:
        """Keep a window, in place of the one of that name."""
        self.trail.change(named(SubjectKind.WINDOW, window.name), self._find(window.name), window)
        rows.put(self.connection, windows, {"name": window.name, "body": window})

    def get(self, name: str) -> MaintenanceWindow:
        """The window of this name.

        Raises:
            NotFound: with the names that there are.
        """
        found = self._find(name)
        if found is None:
            known = ", ".join(self.connection.scalars(select(windows.c.name).order_by(windows.c.name)))
            hint = f"Windows: {known}." if known else "Add it first: certwright window add"
            raise NotFound(f"There is no maintenance window {name!r}.", hint=hint)
        return found

    def list(self) -> list[MaintenanceWindow]:
        """All, by name."""
        return list(self.connection.scalars(select(windows.c.body).order_by(windows.c.name)))

    def users(self, name: str) -> Users:
        """The managed certificates that refer to it."""
        both = managed.join(window_uses, window_uses.c.managed_id == managed.c.id)
        mine = select(managed.c.title).select_from(both).where(window_uses.c.window == name)
        seen = self.scope.narrow(mine, managed.c.id)
        first = self.connection.scalars(seen.order_by(managed.c.title).limit(SHOWN)).all()
        count = self.connection.scalar(seen.with_only_columns(func.count())) or 0
        return Users(first, count - len(first))

    def remove(self, name: str) -> None:
        """Forget a window.

        Raises:
            NotFound: if there is none of that name.
            InUse: if something refers to it; the first of these are named.
        """
        window = self.get(name)
        users = self.users(name)
        if users.first:
            raise InUse(
                f"The maintenance window {name!r} is used by {replace(users, first=list(map(repr, users.first)))}.",
                hint="Give them another one, or none, first: certwright certificate window",
            )
        self.connection.execute(delete(windows).where(windows.c.name == name))
        self.trail.change(named(SubjectKind.WINDOW, name), window, None)

    def _find(self, name: str) -> MaintenanceWindow | None:
        return self.connection.scalar(select(windows.c.body).where(windows.c.name == name))
