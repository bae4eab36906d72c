"""What checks look at, and how they say what they found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, ServedRow, Severity
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.judgement.names import asks_public
from certwright.exchange.model import Certificate, Connector, ServerState
from certwright.exchange.references import certificates_of
from certwright.exchange.snapshot import Snapshot

SOON = timedelta(days=14)
LATER = timedelta(days=60)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the organisation itself.

    Attributes:
        acknowledged: identities of connectors that may present a certificate without client authentication.
        attended: whether a person looks on.
        proven: whether the organisation was found healthy, and a deployment succeeded there while a person looked on.
        public: whether the certificate comes from a public authority, as far as its names do not tell.
        chain: the certificates that are imported with it; None if only their number is known.
        certificate: the managed certificate, as commands take it.
        rows: what ports serve; those of the public name, or of a balancer, are no server's of the organisation.
    """

    acknowledged: frozenset[str] = frozenset()
    attended: bool = True
    proven: bool = True
    public: bool = True
    chain: tuple[CertificateFacts, ...] | None = None
    certificate: str = "CERT"
    rows: Sequence[ServedRow] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What a check looks at; `wish` is None if an organisation is looked at for its own sake."""

    snapshot: Snapshot
    wish: Wish | None
    now: datetime
    context: Context = field(default_factory=Context)

    @property
    def targets(self) -> tuple[ServerState, ...]:
        """The servers that the deployment is for."""
        chosen = self.wish.servers if self.wish else ()
        return tuple(state for state in self.snapshot.servers if not chosen or state.server in chosen)

    @property
    def is_public(self) -> bool:
        """Whether only names of the public internet can be on the certificate."""
        return self.context.public and asks_public(self.wish.facts if self.wish else None)

    @property
    def replaced(self) -> tuple[Certificate, ...]:
        """What the wanted certificate replaces, as the servers that hold it tell of it."""
        earlier = self.wish.predecessors if self.wish else ()
        return tuple(c for c in certificates_of(self.snapshot) if c.thumbprint in earlier)

    def follows(self, connector: Connector) -> bool:
        """Whether the connector is to name the wanted certificate: it was chosen, or names what is replaced."""
        return self.wish is not None and self.wish.leads(connector, self.replaced)


def _always(_: Case) -> bool:
    return True


def _nothing(_: Case) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its stable id, its name for people, what it means and what to do, and how it is made.

    `applies` tells whether there is anything that it is for. `unseen` names the servers, or the organisation, of which
    it does not know what it needs: nothing found there does not mean that all is in order.
    """

    id: str
    title: str
    explanation: str
    run: Callable[[Case], Iterable[Finding]]
    applies: Callable[[Case], bool] = _always
    unseen: Callable[[Case], Iterable[str]] = _nothing


def deploys(case: Case) -> bool:
    """Whether there is a certificate to be deployed."""
    return case.wish is not None


def stop(message: str, remedy: str = "", subject: str = "") -> Finding:
    """Nothing may be changed."""
    return Finding(check="", severity=Severity.STOP, subject=subject, message=message, remedy=remedy)


def ask(message: str, remedy: str = "", subject: str = "") -> Finding:
    """A person has to agree first."""
    return Finding(check="", severity=Severity.ASK, subject=subject, message=message, remedy=remedy)


def warn(message: str, remedy: str = "", subject: str = "") -> Finding:
    """A person should know."""
    return Finding(check="", severity=Severity.WARN, subject=subject, message=message, remedy=remedy)


def note(message: str, remedy: str = "", subject: str = "") -> Finding:
    """Told for completeness."""
    return Finding(check="", severity=Severity.NOTE, subject=subject, message=message, remedy=remedy)


def listed(words: Iterable[str]) -> str:
    """Some of `words`, and how many more there are."""
    found = tuple(words)
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def by_thumbprint(certificates: Iterable[Certificate]) -> Mapping[str, Certificate]:
    """Each certificate once, however many servers hold it."""
    return {certificate.thumbprint: certificate for certificate in certificates}


def ends(not_after: datetime, now: datetime) -> str:
    """When something ends, or ended, in words."""
    return f"expired on {not_after:%Y-%m-%d}" if not_after <= now else f"expires on {not_after:%Y-%m-%d}"


def connector_title(connector: Connector) -> str:
    """A connector in words, at the beginning of a sentence."""
    return f"The {connector.kind} connector {connector.identity or connector.name!r}"
