"""What each field of a parameters model takes, and how text that people give becomes its value.

The options of commands and the fields of forms are made from this.
"""

import types
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo


def kinds(annotation: Any) -> set[type[Any]]:
    """The plain types that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kinds(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return set().union(*(kinds(part) for part in get_args(annotation)))
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin is not None:
        return {dict if origin is Mapping else origin}
    return {annotation} if isinstance(annotation, type) else set()


def choices(annotation: Any) -> tuple[str, ...]:
    """The words among which an annotation lets choose, or lets choose several; none if it takes any text."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    parts = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return tuple(dict.fromkeys(word for part in parts for word in choices(part)))


def said(field: FieldInfo, name: str) -> Any:
    """What a model says of a field beside its type, such as the kind of credential that it names."""
    return field.json_schema_extra.get(name) if isinstance(field.json_schema_extra, dict) else None


def is_list(field: FieldInfo) -> bool:
    """Whether it takes more than one value."""
    return bool(kinds(field.annotation) & {list, tuple, dict, frozenset})


def shaped(field: FieldInfo, given: Sequence[str]) -> Any:
    """The value of a field that takes several: of what was `given`, each may hold more of them, with commas between."""
    if said(field, "whole"):
        return list(given)
    allowed = kinds(field.annotation)
    pieces = [piece.strip() for text in given for piece in text.split(",") if piece.strip()]
    if dict in allowed and all("=" in piece and "/" not in piece.partition("=")[0] for piece in pieces):
        return dict(piece.split("=", 1) for piece in pieces)
    return pieces if allowed & {list, tuple, frozenset} else ",".join(pieces)


def lines(value: Any) -> tuple[str, ...]:
    """A value of a field that takes several, as `shaped` reads it."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={each}" for name, each in value.items())
    if isinstance(value, str):
        return (value,)
    return tuple(map(str, value)) if isinstance(value, Iterable) else ()


def in_line(value: Any) -> str:
    """A value of any field, as people read it in one line."""
    return ", ".join(lines(value)) if isinstance(value, Iterable) else str(value)
