"""What operations that change something have in common: which certificate, at which revision, and what may go wrong."""

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

from fastapi import Depends, Header, HTTPException, Path, Request, Response
from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from certwright.api.access import Calls, UsesEngine
from certwright.api.problems import answers
from certwright.domain.errors import ConfigurationError, InvalidMaterial, Taken
from certwright.domain.keys import is_pem
from certwright.domain.managed import Value
from certwright.domain.plain_text import odd_in
from certwright.engine.context import Engine
from certwright.engine.seen import as_new, as_seen, credential_taken, digest, stored
from certwright.store import UnitOfWork

PREFIX = "/api/v1"
T = TypeVar("T", bound=Value)
Id = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the managed certificate.")]
_LINE = r"^[^\x00-\x1f\x7f]+$"


def _is_plain(text: str) -> str:
    if odd := odd_in(text):
        raise ValueError(odd)
    return text


Line = Annotated[str, Field(min_length=1, max_length=200, pattern=_LINE), AfterValidator(_is_plain)]
"""Text without line breaks, other control characters, and what has it shown in another direction."""
Name = Annotated[str, Path(min_length=1, max_length=200, pattern=_LINE, description="What it is called.")]
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _written(value: Any) -> Any:
    """A moment is written as such: a number could mean seconds or milliseconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and "T" in value.upper()):
        return value
    raise ValueError("write a moment as 2026-11-29T12:00:00Z")


def _in_utc(value: datetime) -> datetime:
    if not _EARLIEST <= value < _LATEST:
        raise ValueError("it is before 1970, or after 9998")
    return value.astimezone(UTC)


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_utc)]
"""A moment that people can mean, in UTC."""


def _check_text(value: Any) -> None:
    """Return if all text in it can be stored.

    Raises:
        ValueError: if there is half a character (a lone surrogate) in it: JSON can say that, UTF-8 cannot.
    """
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_text(name)
            _check_text(each)
    elif isinstance(value, list):
        for each in value:
            _check_text(each)


class Body(BaseModel):
    """What a client sends: a field that there is not is an error, and so is text that is none."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check(cls, sent: Any) -> Any:
        try:
            _check_text(sent)
        except UnicodeEncodeError:
            raise ValueError("there is half a character in it, a lone surrogate") from None
        return sent


def pem_or_base64(text: str, what: str) -> bytes:
    """A file as JSON carries it: PEM as it stands, or anything in base64.

    Raises:
        InvalidMaterial: if it is neither.
    """
    if is_pem(data := text.encode()):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise InvalidMaterial(f"The {what} is neither PEM nor base64.", hint="Send it in one of the two.") from None


def _seen(
    if_match: Annotated[
        str | None, Header(pattern='^"[0-9]{1,18}"$', description="The ETag with which it was read.", examples=['"3"'])
    ] = None,
) -> int | None:
    return None if if_match is None else int(if_match.strip('"'))


SeenRevision = Annotated[int | None, Depends(_seen)]
"""The revision that the caller has seen, if they say so; without one the last word counts."""


def _revision(seen: SeenRevision) -> int:
    """That which the caller has seen.

    Raises:
        HTTPException: without one.
    """
    if seen is None:
        raise HTTPException(
            HTTPStatus.PRECONDITION_REQUIRED,
            "A change takes the ETag of what was read as If-Match, so that nobody's change is lost: read it first.",
        )
    return seen


Revision = Annotated[int, Depends(_revision)]


def show_tag(response: Response, value: Value) -> None:
    """Give the ETag of what has no revision: a digest of it."""
    response.headers.update({"ETag": f'"{digest(value)}"', "Cache-Control": "no-store"})


def show_place(response: Response, *path: str) -> None:
    """Tell where that is which was made."""
    response.headers["Location"] = "/".join((PREFIX, *(quote(part, safe="") for part in path)))


def _headers(dependant: Dependant) -> Iterator[str]:
    """The headers that an operation takes."""
    yield from (each.alias for each in dependant.header_params)
    for one in dependant.dependencies:
        yield from _headers(one)


def _all_heeded(request: Request, _: Calls) -> None:
    """Return if the operation heeds each condition that is sent, or only tells something.

    Raises:
        ConfigurationError: if it would do its work in spite of one.
    """
    sent = {"if-match", "if-none-match"} & set(request.headers)
    if request.method != "GET" and sent.difference(_headers(request.scope["route"].dependant)):
        raise ConfigurationError(
            "This operation does not heed that condition, so nothing was done.",
            hint="Leave out If-Match and If-None-Match; the description of the API says where they are heeded.",
        )


HEEDS_CONDITIONS = Depends(_all_heeded)


IfMatch = Annotated[
    str | None,
    Header(
        pattern='^"[0-9a-f]{32}"$',
        description="The ETag with which it was read; without one the last word counts.",
        examples=[f'"{"0" * 32}"'],
    ),
]


class Unchanged(Generic[T]):
    """Gives the engine, with which nothing is written if what was seen under a name is another meanwhile.

    Args:
        read: gives what is kept under that name now.
    """

    def __init__(self, read: Callable[[UnitOfWork, str], T]) -> None:
        self._read = read

    def __call__(self, engine: UsesEngine, name: Name, if_match: IfMatch = None) -> Engine:
        """The engine for this request."""
        return engine if if_match is None else as_seen(engine, self._read, name, if_match.strip('"'))


class UnchangedOrNew(Unchanged[T]):
    """As `Unchanged`, and with If-None-Match nothing is written over what is kept under a name.

    Args:
        read: as for that.
        taken: tells of what is kept.
    """

    def __init__(self, read: Callable[[UnitOfWork, str], T], taken: Callable[[T], Taken]) -> None:
        super().__init__(read)
        self._taken = taken

    def __call__(
        self,
        engine: UsesEngine,
        name: Name,
        if_match: IfMatch = None,
        if_none_match: Annotated[
            str | None,
            Header(pattern=r"^\*$", description="That there must be none of this name yet.", examples=["*"]),
        ] = None,
    ) -> Engine:
        """The engine for this request."""
        if if_none_match is None:
            return super().__call__(engine, name, if_match)
        if if_match is not None:
            raise ConfigurationError(
                "If-Match and If-None-Match contradict each other: nothing was changed.", hint="Send one of them."
            )
        return as_new(engine, self._read, name, self._taken)


GuardedSecret = Annotated[Engine, Depends(Unchanged(stored))]
PutSecret = Annotated[Engine, Depends(UnchangedOrNew(stored, credential_taken))]
"""The engine, where what is changed is kept among the credentials: those, channels and sign-in providers."""


def show_secret_tag(engine: Engine, name: str, response: Response) -> None:
    """Give the ETag of what is kept among the credentials.

    It is read before what is shown, so that it is never newer than that.
    """
    with engine.store.read() as unit:
        if name in unit.credentials.names():
            show_tag(response, stored(unit, name))


CHANGES = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
GUARDED = answers(
    HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED
)
UNCHANGED = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
"""What may go wrong where an ETag can be sent along."""
READS_FILES = answers(HTTPStatus.TOO_MANY_REQUESTS)
"""What may go wrong besides where a key file or a certificate file is read, of which few are read at once."""
ASKS_PEERS = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.BAD_GATEWAY)
"""What may go wrong where an authority, a DNS service, a target or a channel is asked."""
GUARDED_PEERS = answers(
    HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.BAD_GATEWAY, HTTPStatus.PRECONDITION_FAILED
)
"""As `ASKS_PEERS`, where an ETag can be sent along."""
