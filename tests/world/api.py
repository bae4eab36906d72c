"""An engine with its API, and programs that use it over real sockets."""

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from certwright.domain.identifiers import Identifier
from certwright.domain.managed import ManagedCertificate
from certwright.engine.context import Engine
from certwright.engine.jobs import Jobs
from certwright.engine.schedule import health, reschedule
from certwright.engine.tokens import create_token
from certwright.probe import Endpoint

PREFIX = "/api/v1"
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def data(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks with this token, or without one."""

    at: Endpoint
    token: str = ""

    def ask(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """Ask for something below the prefix; `If_Match` stands for the header If-Match."""
        connection = http.client.HTTPConnection(self.at.host, self.at.port, timeout=_SECONDS)
        try:
            connection.request(method, PREFIX + path, *self._sent(data, headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, status: int = 200) -> Any:
        """What is there, if it answers so."""
        answer = self.ask("GET", path)
        assert answer.status == status, answer.body
        return answer.data

    def ended(self, begun: Answer) -> Any:
        """The job that an answer says was begun, with its result, once it has ended."""
        assert begun.status == 202, begun.body
        path = begun.headers["Location"].removeprefix(PREFIX)
        ends = time.monotonic() + _SECONDS
        while (found := self.get(path))["job"]["ended_at"] is None:
            assert time.monotonic() < ends, found
            time.sleep(0.05)
        return found

    @contextmanager
    def events(self, path: str, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
        """Server-sent events as they come, each by its fields."""
        connection = http.client.HTTPConnection(self.at.host, self.at.port, timeout=_SECONDS)
        try:
            connection.request("GET", PREFIX + path, *self._sent(None, headers))
            answer = connection.getresponse()
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            yield read_events(answer)
        finally:
            connection.close()

    def _sent(self, data: Any, headers: Mapping[str, str]) -> tuple[bytes | None, dict[str, str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if data is None:
            return None, sent
        return json.dumps(data).encode(), {"Content-Type": "application/json", **sent}


@dataclass
class Clock:
    """What time it is."""

    now: datetime = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Service:
    """An engine, its clock, where its API is, the jobs, and the folder in which its data and keys are."""

    engine: Engine
    clock: Clock
    at: Endpoint
    jobs: Jobs
    folder: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, *permissions: str, tags: Sequence[str] = ()) -> Client:
        """One with a token that has these, for certificates with one of these tags; without one if there is none."""
        name = " ".join((*permissions, *tags))
        if permissions and name not in self.tokens:
            self.tokens[name] = create_token(self.engine, name, permissions, timedelta(days=1), tags)[1]
        return Client(self.at, self.tokens.get(name, ""))

    def managed(self, *names: str, title: str = "", tags: tuple[str, ...] = ()) -> ManagedCertificate:
        """A managed certificate that was never issued."""
        identifiers = tuple(map(Identifier.parse, names))
        made = ManagedCertificate(title=title or names[0], identifiers=identifiers, issuer="le", tags=tags)
        with self.engine.store.write() as unit:
            unit.managed.add(made)
            reschedule(self.engine, unit, made)
            unit.healths.put(made.id, health(self.engine, unit, made))
        return made


def read_events(answer: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """Server-sent events as they come, each by its fields."""
    event: dict[str, str] = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\n").partition(":")
        if line == b"\n" and event:
            yield event
            event = {}
        elif name:
            event[name] = value.removeprefix(" ")
