"""Solvers answer challenges (RFC 8555 section 8)."""

import hashlib
from abc import abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from certwright.domain.identifiers import Identifier
from certwright.sdk.context import SolverContext
from certwright.sdk.params import P
from certwright.sdk.plugin import Plugin


@dataclass(frozen=True, slots=True)
class Challenge:
    """One question of the authority: prove control of `identifier` by answering `token` with `key_authorization`.

    A wildcard is proved at its base name. dns-persist-01 has no token: it wants a record that names the authority by
    one of `issuer_domain_names` and the account by one of `account_uris`, of which the authority prefers the first.
    """

    identifier: Identifier
    type: str
    token: str = ""
    key_authorization: str = field(default="", repr=False)
    issuer_domain_names: tuple[str, ...] = ()
    account_uris: tuple[str, ...] = ()

    @property
    def txt_value(self) -> str:
        """The value of dns-01's TXT record (RFC 8555 section 8.4)."""
        digest = hashlib.sha256(self.key_authorization.encode()).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


class Solver(Plugin[P, SolverContext]):
    """Answers challenges of its `types`. All challenges of an order come at once."""

    types: ClassVar[frozenset[str]]

    @property
    def by_hand(self) -> bool:
        """Whether a person makes the answers, anew for each request: nothing of it can be tried out before."""
        return False

    @property
    def looks(self) -> bool:
        """Whether `check` looks at the answers, or believes in them."""
        return True

    def preflight(self) -> str:
        """Sign in where that is needed, and read only; what was seen in one sentence, empty if there is nothing to see.

        Raises:
            SolverError, Unreachable: if that fails.
        """
        return ""

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

    def close(self) -> None:
        """Let go of what this process holds, such as ports: before `clean_up`, and also where another run goes on."""

    @abstractmethod
    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Take all answers away, also when `present` failed half-way; never raises for what is gone already."""
