"""Issuers turn a signing request into a certificate."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from cryptography import x509

from certwright.domain.advice import Window
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import IssuerCapabilities
from certwright.domain.proxy import Proxy
from certwright.sdk.journal import Journal
from certwright.sdk.params import P
from certwright.sdk.solver import Challenge

Solve = Callable[[Sequence[Challenge]], AbstractContextManager[Sequence[Challenge]]]
"""Given all challenges of an order (for each identifier every type that may prove it), a context that gives the chosen
ones, one for each identifier, answered and checked; the answers are taken away when it ends."""


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """What is asked of an issuer. `order_url` resumes an order that an earlier run began with the same `csr` (DER)."""

    identifiers: tuple[Identifier, ...]
    csr: bytes
    profile: str | None = None
    preferred_chain: str | None = None
    replaces: x509.Certificate | None = None
    order_url: str | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What the authority said to our registration: to be stored in `Issuer.account` and `Issuer.capabilities`."""

    account: dict[str, Any]
    capabilities: IssuerCapabilities


@dataclass(frozen=True, slots=True)
class Asked:
    """What an authority asks of whoever registers.

    `terms` is the address of its terms of service; empty if there are none to agree to. `external_account` says
    whether it wants an external account binding, and `where` where that comes from.
    """

    terms: str = ""
    external_account: bool = False
    where: str = ""


class IssuerPlugin(ABC, Generic[P]):
    """An account at an authority. `account_key` is PEM; `account` is what `register` gave; `proxy` is the way there."""

    Params: ClassVar[type]

    def __init__(
        self, params: P, account_key: bytes, account: dict[str, Any], journal: Journal, proxy: Proxy | None = None
    ) -> None:
        self.params = params
        self.account_key = account_key
        self.account = account
        self.journal = journal
        self.proxy = proxy

    account_params: ClassVar[frozenset[str]] = frozenset()
    """The parameters that an account is registered with: with other ones it is another account."""

    @classmethod
    @abstractmethod
    def new_account_key(cls) -> bytes:
        """A fresh account key in PEM; stored before it is registered."""

    @abstractmethod
    def register(self, eab: tuple[str, bytes] | None) -> Registration:
        """Make or find the account of this key. `eab` is key id and MAC key of an external account binding.

        Raises:
            IssuanceError, Unreachable: with the authority's words.
        """

    def asked(self) -> Asked:
        """What the authority asks of whoever registers; nothing, unless the plugin knows better.

        Raises:
            IssuanceError, Unreachable: with the authority's words.
        """
        return Asked()

    @abstractmethod
    def capabilities(self) -> IssuerCapabilities:
        """What the authority says of itself now.

        Raises:
            IssuanceError, Unreachable: with the authority's words.
        """

    @abstractmethod
    def find_account(self) -> None:
        """See that the authority answers and knows the account.

        Raises:
            IssuanceError, Unreachable: with the authority's words.
        """

    @abstractmethod
    def obtain(
        self, request: IssueRequest, solve: Solve, on_order: Callable[[str], None]
    ) -> tuple[x509.Certificate, ...]:
        """The chain, leaf first. `on_order` gets the order's URL before anything else is done with it.

        Raises:
            NotReplaced: if it is not taken for a renewal of `request.replaces`; nothing was ordered.
            Unfinished: if the authority has the order, and has not finished it in time.
            OrderDead: if the order of `order_url` cannot be resumed: a new one, with a new key, is needed.
            IssuanceError: with the authority's words, the identifier, and a hint.
            Unreachable: if the authority does not answer.
        """

    @abstractmethod
    def revoke(self, certificate: x509.Certificate, reason: int) -> None:
        """Revoke by the account; `reason` is a CRLReason of RFC 5280 section 5.3.1."""

    @abstractmethod
    def renewal_window(self, certificate: x509.Certificate) -> Window | None:
        """When the authority wishes the renewal, or None if it does not say."""
