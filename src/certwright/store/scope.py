"""What of the managed certificates there is for whoever reads: the rule of `Caller.sees`, as a condition."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Column, Select, false, select

from certwright.store.schema import tags

Q = TypeVar("Q", bound=Select[*tuple[object, ...]])


@dataclass(frozen=True, slots=True)
class Scope:
    """The certificates with one of these tags; all, if there are none."""

    tags: Collection[str] = ()

    def narrow(self, query: Q, managed_id: Column[str]) -> Q:
        """Of what `query` finds, what belongs to such a certificate, whose id is in that column."""
        if not self.tags:
            return query
        return query.where(managed_id.in_(select(tags.c.managed_id).where(tags.c.tag.in_(self.tags))))

    def of_all(self, query: Q) -> Q:
        """What `query` finds, if that is not limited: it belongs to no certificate."""
        return query.where(false()) if self.tags else query


EVERYTHING = Scope()
