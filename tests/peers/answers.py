"""What a solver works with, in memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from certwright.domain.errors import NotFound
from certwright.domain.identifiers import Identifier
from certwright.sdk.context import SolverContext
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.journal import Journal, SilentJournal
from certwright.sdk.places import Places
from certwright.sdk.solver import Challenge


class MemoryAnswers:
    """A store of answers that lives as long as the test."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def put(self, token: str, key_authorization: str) -> None:
        self.held[token] = key_authorization

    def claim(self, token: str, key_authorization: str) -> bool:
        return self.held.setdefault(token, key_authorization) == key_authorization

    def get(self, token: str) -> str | None:
        return self.held.get(token)

    def remove(self, token: str) -> None:
        self.held.pop(token, None)


class KeptInMemory:
    """What is remembered, for the length of a test."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.held.get(key, default)

    def put(self, key: str, value: Any) -> None:
        self.held[key] = value


class NoRecords:
    """No DNS provider, no records."""

    def add(self, credential: str, zones: Mapping[str, Sequence[TxtRecord]]) -> None:
        _none(credential)

    def remove(self, credential: str, zones: Mapping[str, Sequence[TxtRecord]]) -> None:
        _none(credential)


class OutstandingInMemory:
    """What stands, for the length of a test."""

    def __init__(self) -> None:
        self.held: list[Challenge] = []

    def remember(self, challenges: Sequence[Challenge]) -> None:
        self.held += challenges

    def forget(self, challenges: Sequence[Challenge]) -> None:
        self.held = [challenge for challenge in self.held if challenge not in challenges]


def solver_context(
    answers: MemoryAnswers | None = None,
    journal: Journal | None = None,
    outstanding: OutstandingInMemory | None = None,
    files: Path = Path("/"),
) -> SolverContext:
    """For solvers that need no DNS provider; they write below `files`."""
    return SolverContext(
        answers or MemoryAnswers(),
        journal or SilentJournal(),
        _none,
        NoRecords(),
        outstanding or OutstandingInMemory(),
        places=Places(files=(files,)),
    )


def _none(name: str) -> DnsProvider[Any]:
    raise NotFound(f"There is no credential {name!r}.")


def tls_alpn01(name: str, token: str = "tok-EN_1") -> Challenge:
    return Challenge(Identifier.parse(name), "tls-alpn-01", token, f"{token}.thumbprint-of-{name.replace('.', '-')}")


def http01(name: str, token: str = "tok-EN_1") -> Challenge:
    return Challenge(Identifier.parse(name), "http-01", token, f"{token}.thumbprint-of-{name.replace('.', '-')}")
