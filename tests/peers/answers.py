"""What a solver works with, in memory."""

from certwright.domain.identifiers import Identifier
from certwright.sdk.context import SolverContext
from certwright.sdk.journal import SilentJournal
from certwright.sdk.solver import Challenge


class MemoryAnswers:
    """A store of answers that lives as long as the test."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def put(self, token: str, key_authorization: str) -> None:
        self.held[token] = key_authorization

    def get(self, token: str) -> str | None:
        return self.held.get(token)

    def remove(self, token: str) -> None:
        self.held.pop(token, None)


def solver_context(answers: MemoryAnswers | None = None) -> SolverContext:
    return SolverContext(answers or MemoryAnswers(), SilentJournal())


def http01(name: str, token: str = "tok-EN_1") -> Challenge:
    return Challenge(Identifier.parse(name), "http-01", token, f"{token}.thumbprint-of-{name.replace('.', '-')}")
