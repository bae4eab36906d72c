"""Lists of what goes by its name, of which there are few: page by page, as the long ones are."""

from collections.abc import Iterable
from typing import Annotated, Generic, Protocol, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from certwright.domain.errors import NotFound


class HasName(Protocol):
    """What goes by its name."""

    @property
    def name(self) -> str:
        """What it is called."""


T = TypeVar("T")
N = TypeVar("N", bound=HasName)


class Place(BaseModel):
    """Which page of a list is wanted."""

    after: str = Field(default="", description="The last name of the page before.")
    limit: int = Field(default=50, ge=1, le=200)


Asked = Annotated[Place, Query()]


class Named(BaseModel, Generic[T]):
    """A page of a list, by name; `next` is the `after` of the page after it."""

    items: list[T]
    next: str | None


def page(found: Iterable[N], asked: Place) -> "Named[N]":
    """That page of what was found, in whatever order."""
    following = (each for each in found if each.name > asked.after)
    items = sorted(following, key=lambda each: each.name)[: asked.limit]
    return Named(items=items, next=items[-1].name if len(items) == asked.limit else None)


def one(found: Iterable[N], name: str, what: str, path: str) -> N:
    """The one of this name.

    Raises:
        NotFound: if there is none, saying what that is, and at which path they are listed.
    """
    for each in found:
        if each.name == name:
            return each
    raise NotFound(f"There is no {what} {name!r}.", hint=f"GET {path} lists them.")
