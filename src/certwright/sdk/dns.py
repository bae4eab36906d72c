"""DNS providers write and remove the TXT records that the dns-01 solver asks for (RFC 8555 section 8.4)."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from certwright.domain.proxy import Proxy
from certwright.sdk.context import Memory
from certwright.sdk.journal import Journal
from certwright.sdk.params import P
from certwright.sdk.places import NOWHERE, Places
from certwright.sdk.plugin import Plugin


@dataclass(frozen=True, slots=True)
class TxtRecord:
    """One TXT record: its full name in lower case without the final dot, and its value without quotes.

    Several records may stand at one name: an apex and its wildcard are proved there at the same time.
    """

    name: str
    value: str

    def relative_to(self, zone: str) -> str:
        """The name as zone files write it: without the zone; ``@`` for the zone itself."""
        return self.name.removesuffix(zone).removesuffix(".") or "@"


def by_name(records: Iterable[TxtRecord]) -> dict[str, list[str]]:
    """The values of `records` for each name: services that know sets of records change a name as a whole."""
    found: dict[str, list[str]] = {}
    for record in records:
        values = found.setdefault(record.name, [])
        if record.value not in values:
            values.append(record.value)
    return found


@dataclass(frozen=True, slots=True)
class DnsContext:
    """What a DNS provider works with.

    `credential` is the name under which its parameters are stored, for sentences that say what to mend. `memory` keeps
    small JSON values for it, encrypted, such as accounts that it registered. Programs are run, and files written, in
    `places` alone. In the block of `alone`, no other run does the same with the credential: the argument names what,
    such as a zone. `proxy` is the way to services outside.
    """

    credential: str
    journal: Journal
    memory: Memory
    now: Callable[[], datetime]
    places: Places = NOWHERE
    alone: Callable[[str], AbstractContextManager[None]] = lambda _what: nullcontext()
    proxy: Proxy | None = None


class DnsProvider(Plugin[P, DnsContext]):
    """One account at one DNS service, or one server. `params` are what the stored credential holds.

    `by_hand` tells that a person makes the changes, `in_one` that `add` writes all records of a zone in one change, so
    that one that is refused has written none. `in_turn` tells that new values at a name push out those that stand
    there: a run waits until the values of another are removed.
    """

    by_hand: ClassVar[bool] = False
    in_one: ClassVar[bool] = False
    in_turn: ClassVar[bool] = False

    @property
    def wait(self) -> float:
        """Seconds that a change takes at most until every server of the zone shows it, by the vendor's word."""
        return 180

    @property
    def per_second(self) -> float:
        """How often the service is asked in a second at most, by all runs of this process together."""
        return 4

    @abstractmethod
    def check(self) -> str:
        """Sign in and read, nothing else; one sentence that says what was seen, for example which zones.

        Raises:
            SolverError: if the credential is refused or lacks a right; the hint says how to mend it.
            Unreachable: if the service does not answer.
        """

    def delegate(self, name: str) -> str | None:  # noqa: ARG002 - for those that have names of their own
        """Where the records of `name` are written, if the service has a name of its own for them; registers it.

        A CNAME must lead from `name` to there. A person is asked for it if it is missing, before anything is written.

        Args:
            name: in lower case without the final dot, ``_acme-challenge`` included.

        Returns:
            The name that `add` is given; None if the records of all names are written where they belong.

        Raises:
            SolverError, Unreachable: as `add`.
        """
        return None

    @abstractmethod
    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add `records`, all of them in `zone`, to what stands at their names; one that is there already is fine.

        Args:
            zone: the zone's name as its SOA record shows it, in lower case without the final dot.
            records: what to add; what else stands at the same names stays.

        Raises:
            SolverError: with the service's words; what was added before the failure is left for `remove`.
            Unreachable: if the service does not answer.
        """

    @abstractmethod
    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Remove exactly these `records`; one that is gone already is fine, other values at the name stay.

        Raises:
            SolverError, Unreachable: as `add`.
        """
