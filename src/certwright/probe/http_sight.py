"""What was seen of an http-01 answer, and what may be the cause if it is wrong: plain values."""

import http.client
from dataclasses import dataclass, field, replace
from datetime import datetime

from certwright.probe.http import Visit
from certwright.probe.observation import Endpoint, FailureKind, ProbeFailure


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one address of the name answered, each time it was asked.

    `is_own`: it is an address of this machine. `speaks_tls`: it closed on http, and shook hands by TLS.
    """

    address: Endpoint
    visits: tuple[Visit, ...]
    is_own: bool
    speaks_tls: bool = False

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is one of IPv6."""
        return ":" in self.address.host


@dataclass(frozen=True, slots=True)
class Sight:
    """All that was seen of one answer. `mapped`: at a place of ours instead of the addresses of the name."""

    url: str
    token: str
    expected: str = field(repr=False)
    at: datetime
    mapped: bool = False
    sightings: tuple[Sighting, ...] = ()
    unresolved: ProbeFailure | None = None

    def having(self, sighting: Sighting) -> "Sight":
        """With one more."""
        return replace(self, sightings=(*self.sightings, sighting))

    def unresolvable(self, failure: ProbeFailure) -> "Sight":
        """With the reason why there is nothing to look at."""
        return replace(self, unresolved=failure)

    def is_right(self, visit: Visit) -> bool:
        """Whether an authority would be content; it forgives white space at the end (RFC 8555 section 8.3)."""
        page = visit.page
        return page is not None and page.status == http.client.OK and page.body.rstrip() == self.expected.encode()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an authority does not find an answer.

    `evidence` and `explanation` are a sentence each, `remedy` says what to do. `failure` is set if there was no answer,
    `server` is who answered, as it names itself.
    """

    id: str
    evidence: str
    explanation: str
    remedy: str
    failure: FailureKind | None = None
    server: str = ""

    @property
    def sentence(self) -> str:
        """Evidence and explanation."""
        return f"{self.evidence} {self.explanation}"
