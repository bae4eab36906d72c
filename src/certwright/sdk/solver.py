"""Solvers answer challenges (RFC 8555 section 8)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic

from certwright.domain.identifiers import Identifier
from certwright.sdk.context import SolverContext
from certwright.sdk.params import P


@dataclass(frozen=True, slots=True)
class Challenge:
    """One question of the authority: prove control of `identifier` by answering `token` with `key_authorization`."""

    identifier: Identifier
    type: str
    token: str
    key_authorization: str = field(repr=False)


class Solver(ABC, Generic[P]):
    """Answers challenges of its `types`. All challenges of an order come at once."""

    Params: ClassVar[type]
    types: ClassVar[frozenset[str]]

    def __init__(self, params: P, context: SolverContext) -> None:
        self.params = params
        self.context = context

    @abstractmethod
    def present(self, challenges: Sequence[Challenge]) -> None:
        """Make all answers available.

        Raises:
            SolverError: with one cause for each that could not be.
        """

    @abstractmethod
    def check(self, challenges: Sequence[Challenge]) -> None:
        """See each answer as the authority will see it, before it is asked: authorities count failures.

        Raises:
            SolverError: with what was found instead, one cause for each wrong answer.
        """

    @abstractmethod
    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Take all answers away, also when `present` failed half-way; never raises for what is gone already."""
