"""Everything that this package raises.

::

    AcmeError
    ├── TransportError            no complete answer came
    │   ├── ConnectionFailed      refused, reset, closed, or the name has no address
    │   ├── TimedOut
    │   ├── ProxyFailed           the proxy could not be reached, or opened no way
    │   │   └── ProxyDenied       the proxy wants a credential, or another one
    │   ├── TLSFailed             no handshake: perhaps the port does not speak TLS
    │   │   └── NotTrusted        the server's certificate is not trusted here
    │   ├── AnswerTooLarge
    │   └── URLRefused            no usable URL, or not https and not this machine; nothing was sent
    ├── UnexpectedAnswer          an answer that RFC 8555 does not allow
    ├── ServerProblem             the server's refusal, with its problem document
    │   └── RateLimited
    ├── DeadlineExceeded          the operation's own time is over; an order can be resumed
    ├── NoAccount                 the client has no account URL yet
    ├── ProfileNotOffered         the CA's directory does not list the profile
    ├── ChallengeNotAnswered      the caller chose none of an identifier's challenges
    ├── OrderInvalid              validation or issuance failed; with the CA's words per identifier
    └── CertificateMismatch       the certificate is for another key than the CSR's
"""

from collections.abc import Sequence
from dataclasses import dataclass

from certwright.acme.identifier import Identifier
from certwright.acme.problem import Problem
from certwright.acme.text import printable


class AcmeError(Exception):
    """The root of this package's errors; a peer's words in ``message`` are made safe to show."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class TransportError(AcmeError):
    """No complete answer came from ``url``; ``proxy`` is the address of the proxy on the way there, if there is one."""

    def __init__(self, url: str, reason: str, proxy: str = "") -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url
        self.reason = printable(reason)
        self.proxy = proxy


class ConnectionFailed(TransportError):
    """The connection was refused or broke, or the name has no address."""


class TimedOut(TransportError):
    """The answer was not complete in time."""


class ProxyFailed(TransportError):
    """The proxy could not be reached, or opened no way to the server."""


class ProxyDenied(ProxyFailed):
    """The proxy wants a credential, or another one."""


class TLSFailed(TransportError):
    """The handshake failed: the port does not speak TLS, or not in a way that both sides accept."""


class NotTrusted(TLSFailed):
    """The server's certificate is not trusted here; ``signer`` is who signed it, if that was seen."""

    def __init__(self, url: str, reason: str, proxy: str = "", signer: str = "") -> None:
        super().__init__(url, f"{reason}; it was signed by {signer}" if signer else reason, proxy)
        self.signer = signer


class AnswerTooLarge(TransportError):
    """The answer is larger than any ACME answer should be; it was not read."""


class URLRefused(TransportError):
    """The URL is unusable, or is not https and does not lead to this machine; nothing was sent."""


class UnexpectedAnswer(AcmeError):
    """The server answered, but not as RFC 8555 or RFC 9773 demands."""


class ServerProblem(AcmeError):
    """The server refused a request.

    Attributes:
        url: What was asked.
        problem: Its words.
        retry_after: The seconds after which it may be asked again, if it says.
        links: Pages it points to: ``help`` and ``terms-of-service`` links, and the problem's instance.
    """

    def __init__(self, url: str, problem: Problem, retry_after: float | None, links: Sequence[str] = ()) -> None:
        super().__init__(str(problem))
        self.url = url
        self.problem = problem
        self.retry_after = retry_after
        self.links = tuple(links)


class RateLimited(ServerProblem):
    """The server will not do this now: a rate limit (RFC 8555 section 6.6)."""


class DeadlineExceeded(AcmeError):
    """The time given to the operation is over, or shorter than the pause that the server asks for."""


class NoAccount(AcmeError):
    """The client knows no account URL: register, or find the account by its key, first."""


class ProfileNotOffered(AcmeError):
    """The CA's directory does not list this profile; nothing was ordered."""

    def __init__(self, profile: str, offered: Sequence[str]) -> None:
        listed = ", ".join(offered) or "none"
        super().__init__(f"the CA does not offer the profile {profile!r}; it offers: {listed}")
        self.profile = profile
        self.offered = tuple(offered)


class ChallengeNotAnswered(AcmeError):
    """The caller answered none of the challenges that the CA offers for this identifier."""

    def __init__(self, identifier: Identifier, offered: Sequence[str]) -> None:
        listed = ", ".join(offered) or "none"
        super().__init__(f"none of the CA's challenges for {identifier} was answered; it offers: {listed}")
        self.identifier = identifier
        self.offered = tuple(offered)


@dataclass(frozen=True, slots=True)
class ValidationFailure:
    """Why the CA did not accept one identifier."""

    identifier: Identifier
    challenge: str
    """The challenge type that failed; empty if the authorization failed without one."""
    problem: Problem
    wildcard: bool = False
    """Whether it was to be proved for the wildcard; the identifier has no ``*.``."""

    def __str__(self) -> str:
        name = f"*.{self.identifier}" if self.wildcard else self.identifier
        return f"{name}{f' ({self.challenge})' if self.challenge else ''}: {self.problem}"


class OrderInvalid(AcmeError):
    """The order has failed for good.

    Attributes:
        order_url: The order.
        problem: The order's own error, if the CA gave one.
        failures: The CA's words for each identifier that failed.
    """

    def __init__(self, order_url: str, problem: Problem | None, failures: Sequence[ValidationFailure]) -> None:
        told = [str(failure) for failure in failures]
        if problem is not None and not told:
            told = [str(problem)]
        super().__init__("; ".join(told) or "the CA marked the order invalid and gave no reason")
        self.order_url = order_url
        self.problem = problem
        self.failures = tuple(failures)


class CertificateMismatch(AcmeError):
    """The order's certificate is for another key: it was finalized with another CSR."""
