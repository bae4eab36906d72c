"""What the solvers that listen have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from ipaddress import ip_address
from typing import ClassVar, TypeVar

from pydantic import Field, field_validator

from certwright.listener.shared_port import Place
from certwright.listener.stand import Stand
from certwright.probe.dns.resolver import as_outsider
from certwright.probe.observation import Endpoint
from certwright.probe.precheck import Precheck, WrongAnswer, wrong_answers
from certwright.probe.wire import Resolve, resolve
from certwright.sdk.solver import Challenge, Solver

_ASK_SECONDS = 5.0


class Listening(Precheck):
    """Where to listen; `port` is each solver's own."""

    address: tuple[str, ...] = Field(
        default=(),
        description="Addresses to listen on, IPv4 and IPv6, separated by commas; none for all of this machine.",
    )
    port: int = Field(ge=1, le=65535, description="Port to listen on.")

    @field_validator("address", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("address")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        addresses = tuple(dict.fromkeys(str(ip_address(address.strip())) for address in value))
        if {"0.0.0.0", "::"} <= set(addresses) or addresses == ("::",):  # noqa: S104 - compared with, not bound
            return ()
        for every, colon in (("0.0.0.0", False), ("::", True), ("::", False)):  # noqa: S104 - as above
            if every in addresses:
                within = [a for a in addresses if a != every and (":" in a) is colon]
                if within:
                    raise ValueError(f"{every} stands for {', '.join(within)} already")
        return addresses

    def places(self, challenge: str) -> list[Place]:
        """Where challenges of this type are answered."""
        return [Place(challenge, address, self.port) for address in self.address or ("",)]


L = TypeVar("L", bound=Listening)


class ListeningSolver(Solver[L]):
    """Serves its answers itself, if need be together with, or after, another process that has the same store.

    `name` is what the command line calls it, `instead` what else can be done where another program holds the port.
    """

    name: ClassVar[str]
    instead: ClassVar[str]

    @abstractmethod
    def key(self, challenge: Challenge) -> str:
        """Under which the store keeps the answer to `challenge`."""

    @staticmethod
    @abstractmethod
    def look(
        challenge: Challenge, via: Endpoint | None, timeout: float, resolver: Resolve = resolve
    ) -> Iterable[WrongAnswer]:
        """What is wrong with the answer to `challenge`; as `certwright.probe.precheck.Look`, names by `resolver`."""

    @property
    def looks(self) -> bool:
        """As was chosen."""
        return self.params.precheck

    def put(self, challenge: Challenge) -> None:
        """Put one answer into the store."""
        self.context.answers.put(self.key(challenge), challenge.key_authorization)

    def present(self, challenges: Sequence[Challenge]) -> None:
        """Put the answers into the store and see to it that somebody serves them."""
        for challenge in sorted(challenges, key=self.key):  # in one order, so that two runs never wait for each other
            self.put(challenge)
        if challenges:
            for stand in self._stands:
                stand.open(lambda here: wrong_answers(challenges[:1], self.look, here, _ASK_SECONDS))

    def check(self, challenges: Sequence[Challenge]) -> None:
        """Look at each answer as the authority will."""
        look = partial(self.look, resolver=as_outsider(self.context.resolvers))
        self.params.check(challenges, self.context.journal, look)

    def close(self) -> None:
        """Stop listening, unless another run of this process still needs it."""
        for stand in self._stands:
            stand.close()

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Remove the answers."""
        for challenge in challenges:
            if self.context.answers.get(self.key(challenge)) == challenge.key_authorization:
                self.context.answers.remove(self.key(challenge))

    @cached_property
    def _stands(self) -> list[Stand]:
        (challenge,) = self.types
        places = self.params.places(challenge)
        return [Stand(place, self.context.answers, self.name, self.instead) for place in places]
