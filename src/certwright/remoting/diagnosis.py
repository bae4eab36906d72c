"""Everything that can go wrong in PowerShell remoting, as errors of ours: one mapper for all libraries below.

Nothing secret can get into these sentences: they are built from the kind of failure, the endpoint's address, the user
name and what the server said of itself, cleaned of control characters.
"""

from collections.abc import Iterator
from enum import IntEnum

from certwright.domain.errors import CertwrightError, ConfigurationError, Unreachable
from certwright.remoting import kerberos
from certwright.remoting.endpoint import Endpoint
from certwright.remoting.failures import NETWORK, OutcomeUnknown, ShellLost, SignInRefused, clean
from certwright.remoting.transport import Answer, Endless, HttpRefusal, NotEncrypted, StaleContext, TooMuch

_ACCESS_DENIED = 5
_WRONG_RESOURCE = 2150858811
_SHELL_LOST = 2150858843
_TOO_MANY_SHELLS = 2150859173
_MINDS_CLOCKS = {"current", "kerberos", "negotiate"}
_SPEAKS = {
    "basic": {"basic"},
    "ntlm": {"ntlm", "negotiate"},
    "negotiate": {"ntlm", "negotiate", "kerberos"},
    "kerberos": {"negotiate", "kerberos"},
    "current": {"negotiate", "kerberos"},
}
_CHOICES = {"kerberos": "current or kerberos", "negotiate": "current or kerberos", "ntlm": "ntlm"}


class Reached(IntEnum):
    """How far a command had come when something failed."""

    NOTHING = 0
    SENDING = 1
    RUNNING = 2


def diagnose(error: Exception, endpoint: Endpoint, answer: Answer | None, reached: Reached) -> CertwrightError:
    """`error` of any library as one of ours; `answer` is the last that came from the endpoint."""
    if isinstance(error, CertwrightError):
        return error
    if isinstance(error, ImportError) or type(error).__name__ == "FeatureMissingError":
        return _missing(error)
    if isinstance(error, StaleContext):
        return ShellLost(f"{endpoint.url} closed the connection and does not take a new one for the same session.")
    skew = answer.skew if answer else None
    refused = kerberos.explain(error, endpoint, skew) or _http(error, endpoint, answer) or _fault(error, endpoint)
    if reached is Reached.RUNNING or (reached is Reached.SENDING and _may_have_arrived(error, answer)):
        return OutcomeUnknown(endpoint.url, refused.message if refused else _describe(error))
    return refused or _transport(error, endpoint, sent=reached is Reached.SENDING)


def _may_have_arrived(error: Exception, answer: Answer | None) -> bool:
    """Whether a message that was answered like this may have been passed on all the same, by whatever is in between."""
    if not isinstance(error, HttpRefusal | NotEncrypted) or answer is None:
        return False
    return answer.status < 300 or answer.status in {500, 502, 504}  # noqa: PLR2004 - HTTP


def _missing(error: Exception) -> ConfigurationError:
    if "gssapi" in str(error).lower():
        return ConfigurationError(
            "Kerberos needs two libraries that are not installed: gssapi and krb5.",
            hint="Install them with: pip install 'certwright[kerberos]'. They are compiled on the way: on Debian first "
            "apt install gcc python3-dev libkrb5-dev, elsewhere a C compiler and both headers.",
        )
    return ConfigurationError(
        f"A library for PowerShell remoting is missing: {getattr(error, 'name', None) or error}.",
        hint="Install it with: pip install pypsrp",
    )


# --- the web server in front, and whatever is in between --------------------------------------------------------------


def _http(error: Exception, endpoint: Endpoint, answer: Answer | None) -> CertwrightError | None:
    """What an HTTP answer said that was no message of PowerShell remoting."""
    from pypsrp.exceptions import AuthenticationError  # noqa: PLC0415 - only who connects pays for the library
    from spnego.exceptions import SpnegoError  # noqa: PLC0415 - as above

    if isinstance(error, NotEncrypted):
        return Unreachable(
            f"{endpoint.url} answered unencrypted, although the message to it was encrypted. Nothing of it was used.",
            hint=f"{_BETWEEN.format(host=endpoint.host)} Or use https.",
            retryable=False,
        )
    if answer is None or not isinstance(error, HttpRefusal | AuthenticationError | SpnegoError | ValueError):
        return None
    if answer.status == 401:  # noqa: PLR2004 - RFC 9110 section 15.5.2
        return _sign_in(endpoint, answer)
    if not isinstance(error, HttpRefusal):
        return None
    if answer.status < 300:  # noqa: PLR2004 - HTTP
        return _page(endpoint, answer)
    return _redirect(endpoint, answer) if answer.status < 400 else _status(endpoint, answer)  # noqa: PLR2004 - HTTP


_BETWEEN = (
    "A proxy or web gateway in between answers instead of the server: let it pass what this machine sends to {host}, "
    "or give another way (proxy)."
)


def _page(endpoint: Endpoint, answer: Answer) -> Unreachable:
    return Unreachable(
        f"{endpoint.url} answered with a web page{_through(answer)} where PowerShell should be.",
        hint=f"Check host, port and path. {_BETWEEN.format(host=endpoint.host)}",
        retryable=False,
    )


def _redirect(endpoint: Endpoint, answer: Answer) -> Unreachable:
    where = answer.location or "elsewhere"
    to_tls = where.lower().startswith("https:") and not endpoint.is_tls
    return Unreachable(
        f"{endpoint.url} redirects to {where}{_through(answer)}, which is not followed.",
        hint="Use https in the address." if to_tls else _BETWEEN.format(host=endpoint.host),
        retryable=False,
    )


_STATUS = {
    400: ("", "Check that the port speaks the scheme of the address: https on 443 and 5986, http on 80 and 5985."),
    403: (
        ": {who} may not use remote PowerShell, or this address takes https only",
        "On Exchange run: Set-User {who} -RemotePowerShellEnabled $true. If the directory requires SSL, use https.",
    ),
    404: (
        ": there is no PowerShell virtual directory at this address",
        "Check host, port and path; Exchange answers at http(s)://SERVER/PowerShell/.",
    ),
    407: (": a proxy in between asks for a sign-in of its own", _BETWEEN),
    502: (": a proxy or load balancer in between does not reach the server behind it", _BETWEEN),
    503: (
        ": the web server runs, but Exchange's PowerShell behind it does not",
        "Look at the application pools whose names begin with MSExchangePowerShell; the next run tries again.",
    ),
    504: (": a proxy or load balancer in between waited in vain for the server behind it", _BETWEEN),
}
_OTHER_STATUS = ("", "Open the address in a browser on this machine and see what answers.")


def _status(endpoint: Endpoint, answer: Answer) -> Unreachable:
    meaning, hint = _STATUS.get(answer.status, _OTHER_STATUS)
    if answer.via and hint != _BETWEEN:
        meaning, hint = "", _BETWEEN
    names = {"who": clean(endpoint.identity.username or "ACCOUNT"), "host": endpoint.host}
    return Unreachable(
        f"{endpoint.url} answered HTTP {answer.status}{_through(answer)}{meaning.format(**names)}.",
        hint=hint.format(**names),
        retryable=answer.status not in {403, 404, 407},
    )


def _through(answer: Answer) -> str:
    return f" (it came through a proxy, Via: {answer.via})" if answer.via else ""


def _sign_in(endpoint: Endpoint, answer: Answer) -> SignInRefused:
    auth, who = endpoint.identity.auth, endpoint.identity
    offered = {scheme.lower() for scheme in answer.offered}
    if offered and not offered & _SPEAKS[auth]:
        return SignInRefused(
            f"{endpoint.url} does not take auth={auth}; it offers {', '.join(answer.offered)}.",
            hint=_choose(endpoint, offered),
        )
    if kerberos.is_far(answer.skew) and auth in _MINDS_CLOCKS:
        return SignInRefused(
            f"{endpoint.url} refused the sign-in of {who}, and its clock is {kerberos.apart(answer.skew)}.",
            hint="Set both by the domain's time server: timedatectl, or w32tm /query /status.",
        )
    right = who.right(who.username or "USER")
    why, hint = (words.format(service=endpoint.service, right=right) for words in _REFUSED[auth])
    return SignInRefused(f"{endpoint.url} refused the sign-in of {who}{why}.", hint=hint)


_WRONG = (": the user name or the password is wrong, or the account is locked", "{right}")
_TICKET_REFUSED = (
    " although the domain gave a ticket for {service}",
    "Look whether the server holds that name: setspn -Q {service} (service_host gives another), and may sign you in.",
)
_REFUSED = {
    "basic": _WRONG,
    "ntlm": (f"{_WRONG[0]}, or it does not take NTLM", "{right}\nOr choose kerberos."),
    "negotiate": (
        f"{_WRONG[0]}, or it takes Kerberos only, which did not come about",
        "{right}\nIf it is right: choose kerberos instead of negotiate, to be told why there is no ticket.",
    ),
    "kerberos": _TICKET_REFUSED,
    "current": _TICKET_REFUSED,
}


def _choose(endpoint: Endpoint, offered: set[str]) -> str:
    choices = dict.fromkeys(_CHOICES[scheme] for scheme in _CHOICES if scheme in offered)
    if choices:
        return f"Choose auth={' or '.join(choices)}."
    if "basic" in offered and endpoint.is_tls:
        return "Choose auth=basic."
    if "basic" in offered:
        return "Choose auth=basic and an https address; or allow Kerberos: Set-PowerShellVirtualDirectory."
    return "Allow Kerberos: Set-PowerShellVirtualDirectory 'SERVER\\PowerShell (Default Web Site)'."


# --- the WS-Management service ----------------------------------------------------------------------------------------


def _fault(error: Exception, endpoint: Endpoint) -> CertwrightError | None:
    from pypsrp.exceptions import WSManFaultError  # noqa: PLC0415 - as above

    if not isinstance(error, WSManFaultError):
        return None
    said = clean(error.provider_fault or error.reason or "no details")
    url = endpoint.url
    if error.code == _WRONG_RESOURCE:
        return Unreachable(
            f"{url} reached Windows Remote Management instead of Exchange, or a server without the session "
            f"configuration {clean(endpoint.configuration)} (fault {_WRONG_RESOURCE}): {said}",
            hint="Use the address of Exchange's PowerShell directory: http(s)://SERVER/PowerShell/, port 80 or 443.",
            retryable=False,
        )
    if error.code == _SHELL_LOST:
        return ShellLost(f"{url} closed the PowerShell session (fault {_SHELL_LOST}): {said}")
    if error.code == _ACCESS_DENIED:
        return Unreachable(
            f"{url} knows {endpoint.identity}, but does not let it use PowerShell (fault {_ACCESS_DENIED}): {said}",
            hint="Exchange wants a role group and RemotePowerShellEnabled; Windows the group Remote Management Users.",
            retryable=False,
        )
    if error.code == _TOO_MANY_SHELLS:
        return Unreachable(
            f"{url} opens no further session for {endpoint.identity} (fault {_TOO_MANY_SHELLS}): {said}",
            hint="Runs that were killed leave sessions open, which the server ends once they have been idle for some "
            "minutes: wait, then run this again. Until then close other sessions of this account, such as management "
            "shells: Get-PSSession | Remove-PSSession in each.",
        )
    return Unreachable(f"{url} refused (fault {error.code}): {said}", hint="The next run tries again.")


# --- the network ------------------------------------------------------------------------------------------------------


def _transport(error: Exception, endpoint: Endpoint, *, sent: bool) -> CertwrightError:
    import requests  # noqa: PLC0415 - as above

    if isinstance(error, requests.exceptions.ProxyError):
        return _proxy(error, endpoint)
    if isinstance(error, requests.exceptions.SSLError):
        return _tls(error, endpoint)
    if unsent := _never_sent(error, endpoint):
        return unsent
    if sent:
        return OutcomeUnknown(endpoint.url, _describe(error))
    answered = not isinstance(error, requests.exceptions.RequestException | OSError | TooMuch | Endless)
    hint = NETWORK
    if answered:
        hint = "This is a web server, but not Exchange's PowerShell: check the address and its path."
    elif not endpoint.is_tls and not isinstance(error, requests.exceptions.Timeout):
        hint = f"If this port speaks https, write https. {NETWORK}"
    return Unreachable(f"{endpoint.url} did not answer as PowerShell remoting ({_describe(error)}).", hint=hint)


def _never_sent(error: Exception, endpoint: Endpoint) -> Unreachable | None:
    import requests  # noqa: PLC0415 - as above

    url, text = endpoint.url, str(error)
    if "NameResolutionError" in text:
        return Unreachable(
            f"The name {clean(endpoint.host)} of {url} is not known to this machine's DNS: {_why(error)}",
            hint="Check how it is written; use the full name, and the domain's DNS server on this machine.",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout) or "ConnectTimeoutError" in text:
        return Unreachable(f"{url} cannot be reached: no answer from the port in time.", hint=NETWORK)
    if "NewConnectionError" in text:
        return Unreachable(f"{url} cannot be reached: {_why(error)}", hint=NETWORK)
    return None


def _proxy(error: Exception, endpoint: Endpoint) -> Unreachable:
    why = _why(error)
    status = why.partition("Tunnel connection failed: ")[2]
    if status:
        return Unreachable(
            f"The proxy {endpoint.proxy} refuses the way to {endpoint.url}: {status}.",
            hint=f"Let it pass what this machine sends to {endpoint.host} without a sign-in, or leave the proxy out.",
            retryable=False,
        )
    return Unreachable(
        f"The proxy {endpoint.proxy} for {endpoint.url} cannot be reached: {why}",
        hint="Check the address of the proxy, or leave it out: without one the server is reached directly.",
    )


def _tls(error: Exception, endpoint: Endpoint) -> Unreachable:
    text, url = str(error), endpoint.url
    if "Hostname mismatch" in text or "IP address mismatch" in text or "doesn't match" in text:
        return Unreachable(
            f"The certificate of {url} is not for this host name.",
            hint="Use in the address a name that the server's certificate covers, in most cases its full name.",
            retryable=False,
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = clean(text.partition("certificate verify failed: ")[2].partition("(_ssl")[0].strip(" )"))
        hint = next((hint for words, hint in _UNTRUSTED if words in reason), _UNTRUSTED[-1][1])
        return Unreachable(
            f"The certificate of {url} is not trusted: {reason or 'it is unknown'}.", hint=hint, retryable=False
        )
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return Unreachable(
            f"No TLS connection to {url}: {_why(error)}. What answers there speaks no https.",
            hint="Use http in the address, where Kerberos and NTLM encrypt by themselves, or the port for https (443).",
            retryable=False,
        )
    return Unreachable(f"No TLS connection to {url}: {_why(error)}", hint="Check that this port speaks https.")


_CA_FILE = "Give the authority that issued it as ca_file."
_UNTRUSTED = (
    ("has expired", "Renew it. Until then http with auth=current or kerberos needs no certificate."),
    ("not yet valid", "Compare the clock of this machine with the server's."),
    ("self-signed certificate in certificate chain", f"{_CA_FILE} If a gateway inspects TLS, except this server."),
    ("self signed certificate in certificate chain", f"{_CA_FILE} If a gateway inspects TLS, except this server."),
    ("self", "The server made it itself: give this certificate as ca_file, or use http with auth=current or kerberos."),
    ("", _CA_FILE),
)


# --- words ------------------------------------------------------------------------------------------------------------


def _describe(error: Exception) -> str:
    """The kind of failure in words; libraries below a broken answer fail in as many ways as there are."""
    import requests  # noqa: PLC0415 - as above

    match error:
        case requests.exceptions.Timeout():
            return "no answer in time"
        case TooMuch():
            return "the answer is larger than allowed"
        case Endless():
            return "a sign-in that the server lets come to no end"
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
