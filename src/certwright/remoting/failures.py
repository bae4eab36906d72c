"""Everything that can go wrong in PowerShell remoting, as errors of ours: one mapper for all libraries below.

Nothing secret can get into these sentences: they are built from the kind of failure, the endpoint's URL, the user name
and what the server said of itself, cleaned of control characters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from certwright.domain.errors import CertwrightError, ConfigurationError, DeploymentError, Unreachable

WRONG_RESOURCE = 2150858811
SHELL_LOST = 2150858843
_MAX_WORDS = 600
_NETWORK = "Check that the server is up and that a firewall lets this machine reach the port; the next run tries again."
_NEVER_SENT = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


class OutcomeUnknown(Unreachable):
    """A command was sent and no result came: it may have been carried out. Read the state back.

    `what` is what happened instead, in words.
    """

    def __init__(self, url: str, what: str) -> None:
        super().__init__(
            f"No result came from {url} for a command that was sent ({what}); whether it was carried out has to be "
            "read back.",
            hint=_NETWORK,
        )
        self.what = what


class ShellLost(Unreachable):
    """The server no longer knows this session; the command was not carried out."""


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One error that a cmdlet reported. `error_id` is its FullyQualifiedErrorId, `kind` the class of its exception."""

    message: str
    error_id: str
    kind: str


class CommandFailed(DeploymentError):
    """A cmdlet reported errors, terminating or not; `records` keeps them all."""

    def __init__(self, command: str, place: str, records: Sequence[ErrorRecord], warnings: Sequence[str] = ()) -> None:
        first = records[0]
        super().__init__(
            f"{command} failed on {place}: {first.message}",
            causes=[*_details(records), *(f"warning: {w}" for w in warnings)],
            hint=_hint(command, first),
        )
        self.records = tuple(records)

    @property
    def is_missing_command(self) -> bool:
        """Whether the session has no such cmdlet, or the account may not use it."""
        return any("CommandNotFound" in record.error_id for record in self.records)


class HttpRefusal(Exception):
    """An HTTP answer that is no SOAP message. `offered` are the schemes of WWW-Authenticate."""

    def __init__(self, status: int, offered: Sequence[str] = ()) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.offered = tuple(offered)


class TooMuch(Exception):
    """The server sent more than was allowed for."""


def clean(words: object) -> str:
    """What a peer said, on one line, without control characters, and not endless."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())
    return text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]} ..."


class Reached(IntEnum):
    """How far a command had come when something failed."""

    NOTHING = 0
    SENDING = 1
    RUNNING = 2


def as_error(error: Exception, url: str, username: str, reached: Reached) -> CertwrightError:
    """`error` of any library as one of ours."""
    if isinstance(error, CertwrightError):
        return error
    if isinstance(error, ImportError):
        return ConfigurationError(
            f"A library for PowerShell remoting is missing: {error.name or error}.",
            hint="Install it with: pip install pypsrp",
        )
    refused = _http(error, url, username) or _fault(error, url)
    if reached is Reached.RUNNING:
        return OutcomeUnknown(url, refused.message if refused else _describe(error))
    return refused or _transport(error, url, sent=reached is Reached.SENDING)


def _http(error: Exception, url: str, username: str) -> CertwrightError | None:
    """What the web server in front said, if it was that which refused."""
    from pypsrp.exceptions import AuthenticationError  # noqa: PLC0415 - only who connects pays for the library

    if isinstance(error, AuthenticationError):
        return _sign_in(url, username, ())
    if not isinstance(error, HttpRefusal):
        return None
    if error.status == 401:  # noqa: PLR2004 - RFC 9110 section 15.5.2
        return _sign_in(url, username, error.offered)
    meaning, hint = _STATUS.get(
        error.status, ("", "Open the address in a browser on this machine and see what answers.")
    )
    return Unreachable(f"{url} answered HTTP {error.status}{meaning}.", hint=hint)


_STATUS = {
    403: (
        ": this account may not use remote PowerShell",
        "On Exchange run: Set-User ACCOUNT -RemotePowerShellEnabled $true.",
    ),
    404: (
        ": there is no PowerShell virtual directory at this address",
        "Check host, port and path; Exchange answers at https://SERVER/PowerShell/.",
    ),
    503: (
        ": the web server runs, but Exchange's PowerShell behind it does not",
        "Look at the application pools whose names begin with MSExchangePowerShell; the next run tries again.",
    ),
}


def _sign_in(url: str, username: str, offered: Sequence[str]) -> Unreachable:
    if offered and not any(scheme.lower() == "basic" for scheme in offered):
        return Unreachable(
            f"{url} does not accept basic authentication; it offers {', '.join(map(clean, offered))}.",
            hint="Allow it: Set-PowerShellVirtualDirectory 'SERVER\\PowerShell (Default Web Site)' "
            "-BasicAuthentication $true.",
            retryable=False,
        )
    return Unreachable(
        f"{url} refused the sign-in of {username!r}: the user name or the password is wrong.",
        hint="Store the right one with: certwright credential add exchange NAME --username USER",
        retryable=False,
    )


def _fault(error: Exception, url: str) -> CertwrightError | None:
    from pypsrp.exceptions import WSManFaultError  # noqa: PLC0415 - as above

    if not isinstance(error, WSManFaultError):
        return None
    said = clean(error.provider_fault or error.reason or "no details")
    if error.code == WRONG_RESOURCE:
        return Unreachable(
            f"{url} reached Windows Remote Management instead of Exchange (fault {WRONG_RESOURCE}): {said}",
            hint="Use the address of Exchange's PowerShell directory: https://SERVER/PowerShell/, port 443.",
            retryable=False,
        )
    if error.code == SHELL_LOST:
        return ShellLost(f"{url} closed the PowerShell session (fault {SHELL_LOST}): {said}")
    return Unreachable(f"{url} refused (fault {error.code}): {said}", hint="The next run tries again.")


def _transport(error: Exception, url: str, *, sent: bool) -> CertwrightError:
    import requests  # noqa: PLC0415 - as above

    if isinstance(error, requests.exceptions.SSLError):
        return _tls(error, url)
    text = str(error)
    if isinstance(error, requests.exceptions.ConnectTimeout) or any(name in text for name in _NEVER_SENT):
        return Unreachable(f"{url} cannot be reached: {_why(error)}", hint=_NETWORK)
    if sent:
        return OutcomeUnknown(url, _describe(error))
    answered = not isinstance(error, requests.exceptions.RequestException | OSError | TooMuch)
    hint = (
        "This is a web server, but not Exchange's PowerShell: check the address and its path." if answered else _NETWORK
    )
    return Unreachable(f"{url} did not answer as PowerShell remoting ({_describe(error)}).", hint=hint)


def _tls(error: Exception, url: str) -> Unreachable:
    text = str(error)
    if "Hostname mismatch" in text or "IP address mismatch" in text or "doesn't match" in text:
        return Unreachable(
            f"The certificate of {url} is not for this host name.",
            hint="Use in the endpoint a name that the server's certificate covers.",
            retryable=False,
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.partition("certificate verify failed: ")[2].partition("(_ssl")[0].strip(" )") or "it is unknown"
        return Unreachable(
            f"The certificate of {url} is not trusted: {clean(reason)}.",
            hint="Give the authority that issued it as ca_file.",
            retryable=False,
        )
    return Unreachable(f"No TLS connection to {url}: {_why(error)}", hint="Check that this port speaks https.")


def _describe(error: Exception) -> str:
    """The kind of failure in words; libraries below a broken answer fail in as many ways as there are."""
    import requests  # noqa: PLC0415 - as above

    match error:
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.TooManyRedirects():
            return "the server redirects elsewhere, which is not followed"
        case TooMuch():
            return "the answer is larger than allowed"
        case requests.exceptions.RequestException():
            return _why(error)
        case _:
            return f"an answer that cannot be understood: {type(error).__name__}"


def _why(error: BaseException) -> str:
    """The innermost reason of a chain of wrapped exceptions, which alone says what happened."""
    reason = error
    while inner := next(iter(_inner(reason)), None):
        reason = inner
    words = getattr(reason, "strerror", None) or str(reason).rpartition(">: ")[2] or type(reason).__name__
    return clean(words)


def _inner(error: BaseException) -> Iterator[BaseException]:
    candidates = (getattr(error, "reason", None), error.__cause__, *error.args)
    return (c for c in candidates if isinstance(c, BaseException) and c is not error)


def _details(records: Sequence[ErrorRecord]) -> Iterator[str]:
    for number, record in enumerate(records):
        if number:
            yield record.message
        yield f"{record.kind or 'error'} [{record.error_id}]"


def _hint(command: str, record: ErrorRecord) -> str:
    if "CommandNotFound" in record.error_id:
        return (
            f"The account may not use {command}: it needs the role group Server Management or Organization Management."
        )
    if "ParameterBinding" in record.kind:
        return f"The account may not use a parameter of {command}, or this version of Exchange does not know it."
    return ""
