"""`/watched`: certificates from elsewhere, watched and not renewed."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, SecretStr, StrictInt

from certwright.api.access import MANAGES, READS, UsesEngine
from certwright.api.changes import ASKS_PEERS, CHANGES, READS_FILES, Body, Line, pem_or_base64, show_place
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.errors import ConfigurationError
from certwright.domain.watching import Place, StartTls, Watched
from certwright.engine import watch
from certwright.engine.context import Engine

router = APIRouter(tags=["watched"], route_class=RepeatableRoute)
Id = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Of the watched item.")]
_MOST_FILE = 512 * 1024


class Item(BaseModel):
    """What is watched, how many whole days are left, and how it is, in a few words."""

    watched: Watched
    days_left: int
    state: str

    @classmethod
    def of(cls, engine: Engine, watched: Watched) -> "Item":
        """As it is now."""
        now = engine.now()
        return cls(watched=watched, days_left=watched.days_left(now), state=watched.state(now))


class Items(BaseModel):
    """A page of what is watched, by title; `next` is the `after` of the page after it."""

    items: list[Item]
    next: str | None


class WantedFile(Body):
    """A certificate as a file; a key in it is not kept."""

    content: str = Field(min_length=1, max_length=_MOST_FILE, description="PEM, or DER or PFX in base64.")
    password: SecretStr | None = Field(default=None, max_length=1000, description="Of a PFX file.")

    def read(self) -> tuple[bytes, bytes | None]:
        """The file, and its password.

        Raises:
            InvalidMaterial: if it is neither PEM nor base64.
        """
        password = self.password.get_secret_value().encode() if self.password else None
        return pem_or_base64(self.content, "file"), password


class Service(Body):
    """A service that is looked at."""

    host: Line = Field(examples=["mail.contoso.test"])
    port: StrictInt = Field(ge=1, le=65535, examples=[443])
    starttls: StartTls | None = Field(default=None, description="TLS from the start if it is left out.")
    name: Line | None = Field(default=None, description="Name to send and to expect [default: the host].")


class NewItem(Body):
    """What is to be watched: a service, or a file."""

    title: Line | None = None
    service: Service | None = None
    file: WantedFile | None = None


@router.get("/watched", dependencies=[READS], responses=answers())
def list_watched(
    engine: UsesEngine,
    after: Annotated[str, Query(description="The last title of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Items:
    """What is watched, by title, as it was seen last."""
    with engine.store.read() as unit:
        found = unit.watches.page(after, limit)
    items = [Item.of(engine, watched) for watched in found]
    return Items(items=items, next=found[-1].title if len(found) == limit else None)


@router.get("/watched/{id}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_watched(engine: UsesEngine, id: Id) -> Item:  # noqa: A002 - the API's word
    """One watched item."""
    with engine.store.read() as unit:
        return Item.of(engine, unit.watches.get(id))


@router.post("/watched", dependencies=[MANAGES], status_code=HTTPStatus.CREATED, responses=ASKS_PEERS | READS_FILES)
def post_watched(engine: UsesEngine, wanted: NewItem, response: Response) -> Item:
    """Watch the certificate in a file, or what a service serves, which is looked at now."""
    if (wanted.service is None) == (wanted.file is None):
        raise ConfigurationError("Either a file or a service is watched.", hint="Send one of file and service.")
    if wanted.service:
        made = watch.watch_endpoint(engine, Place(**wanted.service.model_dump()), wanted.title)
    else:
        data, password = wanted.file.read() if wanted.file else (b"", None)
        made = watch.watch_file(engine, data, wanted.title, password)
    show_place(response, "watched", made.id)
    return Item.of(engine, made)


@router.put("/watched/{id}/file", dependencies=[MANAGES], responses=CHANGES | READS_FILES)
def put_file(engine: UsesEngine, id: Id, wanted: WantedFile) -> Item:  # noqa: A002 - the API's word
    """Watch a renewed certificate in place of the file that was given before; title and history stay."""
    data, password = wanted.read()
    return Item.of(engine, watch.replace_file(engine, id, data, password))


@router.post("/watched/{id}/look", dependencies=[MANAGES], responses=CHANGES)
def post_watched_look(engine: UsesEngine, id: Id) -> Item:  # noqa: A002 - the API's word
    """Look at it now."""
    with engine.store.read() as unit:
        wanted = unit.watches.get(id)
    watch.look_at(engine, [wanted])
    return get_watched(engine, id)


@router.delete("/watched/{id}", dependencies=[MANAGES], status_code=HTTPStatus.NO_CONTENT, responses=CHANGES)
def delete_watched(engine: UsesEngine, id: Id) -> None:  # noqa: A002 - the API's word
    """Watch it no more."""
    watch.unwatch(engine, id)
