"""Column types: whole numbers, moments in UTC, and values of the domain as JSON."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator

from certwright.domain.errors import ConfigurationError, StoreError

T = TypeVar("T")

NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Every whole number: 64 bits; SQLite's own integers are, and count up by themselves under no other name."""


class Moment(TypeDecorator[datetime]):
    """An aware moment, kept in UTC: SQLite keeps no zones, and text in one zone sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the interface
        """To UTC."""
        if value is not None and value.tzinfo is None:
            raise TypeError("A moment needs a time zone.")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the interface
        """From UTC, or from the zone of the session where the database keeps moments."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Stored(TypeDecorator[T]):
    """A value of a type that pydantic knows, kept as JSON text.

    Fields that a process of a later version wrote are not heeded here, and are kept when the value is written again.
    """

    impl = String
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def process_bind_param(self, value: T | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the interface
        """To JSON."""
        if value is None:
            return None
        return to_json(_with_unknown(value, self._adapter.dump_python(value, mode="json"))).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> T | None:  # noqa: ARG002 - the interface
        """From JSON."""
        if value is None:
            return None
        try:
            return self._adapter.validate_json(value, extra="allow")
        except ValidationError as error:
            raise _unreadable(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()) from None
        except ConfigurationError as error:
            raise _unreadable([error]) from None


def _with_unknown(value: Any, known: Any) -> Any:
    """What is `known` of a value, as JSON, with the fields beside it that only a later version knows."""
    if isinstance(value, BaseModel):
        told = {name: _with_unknown(getattr(value, name), each) for name, each in known.items()}
        return told | (value.model_extra or {})
    if isinstance(value, tuple):
        return [_with_unknown(*both) for both in zip(value, known, strict=True)]
    return known


def _unreadable(causes: Iterable[Exception | str]) -> StoreError:
    return StoreError(
        "The store holds a value that this version of Certwright cannot read.",
        causes=list(causes),
        hint="Restore the data folder from a backup, or use the version of Certwright that wrote it.",
    )
