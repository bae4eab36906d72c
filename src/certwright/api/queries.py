"""What stands in an address behind the question mark: what an operation does not know is refused, not passed over."""

from collections.abc import Iterator

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from certwright.api.access import Calls


def _known(dependant: Dependant) -> Iterator[str]:
    for each in dependant.query_params:
        kind = each.field_info.annotation
        yield from kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else (each.alias,)
    for one in dependant.dependencies:
        yield from _known(one)


def _check(request: Request, _caller: Calls) -> None:
    unknown = request.query_params.keys() - set(_known(request.scope["route"].dependant))
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "There is no such parameter"} for name in sorted(unknown)]
        )


KNOWN_QUERY = Depends(_check)
"""Lets in who is known, and asks for nothing that there is not: a mistyped filter would find everything."""
