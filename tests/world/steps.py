"""Every change of a whole deployment to `world.contoso`: the places that a fault can strike."""

from collections.abc import Iterable
from dataclasses import dataclass

from certwright.exchange_simulator import Call

_PER_SERVER = (
    ("Import-ExchangeCertificate", 1),
    ("Enable-ExchangeCertificate", 1),  # the web site
    ("Enable-ExchangeCertificate", 2),  # SMTP, IMAP and POP
    ("Enable-ExchangeCertificate", 3),  # the certificate that servers use among themselves is put back
    ("Set-ReceiveConnector", 1),
    ("Restart-Service", 1),
    ("Restart-Service", 2),
)
_ORGANISATION = (("Set-SendConnector", 1), ("Set-HybridConfiguration", 1))


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """The `nth` call of a cmdlet that changes `server`."""

    server: str
    cmdlet: str
    nth: int

    @property
    def id(self) -> str:
        """Its name among the tests."""
        return f"{self.server} {self.cmdlet} {self.nth}"

    @property
    def serves(self) -> bool:
        """Whether it changes what is served, or named: all but the import."""
        return self.cmdlet != "Import-ExchangeCertificate"


def steps(servers: Iterable[str]) -> tuple[Step, ...]:
    """All of them, in no order; what belongs to the organisation is changed through the first server."""
    names = tuple(servers)
    own = (Step(server, cmdlet, nth) for server in names for cmdlet, nth in _PER_SERVER)
    return (*own, *(Step(names[0], cmdlet, nth) for cmdlet, nth in _ORGANISATION))


def steps_of(calls: Iterable[Call]) -> tuple[Step, ...]:
    """The steps that these changes were."""
    found: list[Step] = []
    for call in calls:
        nth = sum((step.server, step.cmdlet) == (call.server, call.cmdlet) for step in found) + 1
        found.append(Step(call.server, call.cmdlet, nth))
    return tuple(found)
