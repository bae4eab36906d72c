"""Exchange's web services as a stranger sees them: which there are, and whether signing in works."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from certwright.probe.http import REDIRECTS, Reply, as_ascii
from certwright.probe.observation import Endpoint, ProbeError, Target
from certwright.probe.web import HTTPS, Health, converse, web_host
from certwright.probe.wire import Deadline, harmless, quoted, resolve

WEB_PATHS = (
    "/autodiscover/autodiscover.xml",
    "/EWS/Exchange.asmx",
    "/owa/",
    "/owa/healthcheck.htm",
    "/ecp/",
    "/mapi/emsmdb/",
    "/Microsoft-Server-ActiveSync",
)
"""What Exchange's clients use; asked for without a credential, a healthy server answers 200, 302 or 401."""

NO_SUCH_USER = "certwright-probe-no-such-user"
"""Longer than the 20 characters that an account name can have in Active Directory, so there is no such account."""

_SIGN_IN = "/owa/auth.owa"
_SIGN_IN_PAGE = "/owa/auth/logon.aspx"
_WRONG_PASSWORD = "2"  # noqa: S105 - what OWA calls it in its URL, and no password
_OK = 200
_LOGIN_TIMEOUT = 440
_SERVER_ERROR = 500
_MAX_REDIRECTS = 10
_MAX_COOKIES = 50
_COOKIE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256})=([\x21-\x7e]{0,4096})")


@dataclass(frozen=True, slots=True)
class SignIn:
    """What became of an attempt to sign in; `evidence` is one sentence, `way` the paths asked for one after another."""

    health: Health
    evidence: str
    way: tuple[str, ...] = ()
    address: Endpoint | None = None


def attempt_sign_in(target: Target, timeout: float = 20) -> SignIn:
    """Try once to sign in to OWA at `target` as a user who does not exist, and tell whether OWA says so.

    It is an assumption, not seen on a real Exchange, that a healthy server with forms-based sign-in ends at its page
    for a wrong password (`reason=2`), and that one whose certificate OWA cannot use (a key in a key-storage provider)
    does not. Good: that page. Fault: redirects in a circle, a status of 5xx or 440, no answer in time. Unknown: all
    else, for instance another way of signing in.

    Nobody can be locked out: an account of this name cannot exist, and one attempt is made. The server's security log
    notes a failed sign-in.

    Args:
        target: OWA with TLS from the first byte; redirects are followed on this host alone.
        timeout: seconds in all.
    """
    attempt = _Attempt(target, Deadline(timeout))
    try:
        health, evidence = attempt.judge()
    except ProbeError as error:
        health, evidence = Health.FAULT, error.message
    address = attempt.addresses[0] if len(attempt.addresses) == 1 else None
    return SignIn(health, evidence, tuple(map(_shown, attempt.urls)), address)


class _Refused(Exception):
    """A redirect that is not followed."""


@dataclass(slots=True)
class _Attempt:
    target: Target
    deadline: Deadline
    addresses: list[Endpoint] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=lambda: {"PBack": "0"})  # as the page's script sets it

    def judge(self) -> tuple[Health, str]:
        """The verdict, with evidence."""
        base = f"https://{web_host(self.target)}"
        self.addresses = resolve(self.target.endpoint, self.deadline)
        self.urls.append(f"{base}{_SIGN_IN}")
        reply = self._ask(_form(f"{base}/owa/"))
        while reply.status in REDIRECTS:
            try:
                url = self._next(reply.headers.get("Location"))
            except _Refused as error:
                return Health.UNKNOWN, f"Signing in is not the usual one: it {error}."
            if url in self.urls or len(self.urls) > _MAX_REDIRECTS:
                return Health.FAULT, f"Signing in to OWA goes round in circles: {' -> '.join(map(_shown, self.urls))}."
            self.urls.append(url)
            reply = self._ask()
        return self._end(reply)

    def _end(self, reply: Reply) -> tuple[Health, str]:
        url = _shown(self.urls[-1])
        status = f"{reply.status} {reply.reason}".strip()
        if reply.status >= _SERVER_ERROR or reply.status == _LOGIN_TIMEOUT:
            return Health.FAULT, f"Signing in to OWA ends with {status} at {url}."
        if reply.status != _OK or _path(self.urls[-1]) != _SIGN_IN_PAGE:
            return Health.UNKNOWN, f"Signing in does not end at OWA's sign-in page but with {status} at {url}."
        if _reason(self.urls[-1]) != _WRONG_PASSWORD:
            return (
                Health.UNKNOWN,
                f"OWA shows its sign-in page again, and does not say that it knows no such user: {url}.",
            )
        return Health.GOOD, f"OWA takes a user who does not exist to its page for a wrong password, {url}."

    def _ask(self, form: bytes = b"") -> Reply:
        """The answer at the last URL; a form is posted. All requests go to the address that took the first one."""
        parts = urlsplit(self.urls[-1])
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        method = "POST" if form else "GET"
        address, reply = converse(self.target, self.addresses, self.deadline, path, method, headers, form)
        self.addresses = [address]
        self._keep(reply.headers.get_all("Set-Cookie", []))
        return reply

    def _keep(self, lines: Iterable[str]) -> None:
        """Keep cookies as a browser would; OWA takes one back by emptying it."""
        for line in lines:
            cookie = _COOKIE.fullmatch(line.partition(";")[0].strip())
            if cookie and not cookie[2]:
                self.cookies.pop(cookie[1], None)
            elif cookie and len(self.cookies) < _MAX_COOKIES:
                self.cookies[cookie[1]] = cookie[2]

    def _next(self, location: str | None) -> str:
        if not location:
            raise _Refused("redirects without saying where to")
        try:
            parts = urlsplit(as_ascii(urljoin(self.urls[-1], location)))
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _Refused(f"redirects to {quoted(location)}, which is no URL") from None
        here = host in {self.target.name.lower(), self.target.host.lower()} and port in {None, HTTPS, self.target.port}
        if parts.scheme != "https" or not here:
            raise _Refused(f"leads elsewhere, to {quoted(f'{parts.scheme}://{host}' + (f':{port}' if port else ''))}")
        return parts._replace(path=parts.path or "/", fragment="").geturl()


def _form(destination: str) -> bytes:
    """What the sign-in page of Exchange 2013 and later posts."""
    return urlencode(
        {
            "destination": destination,
            "flags": "4",
            "forcedownlevel": "0",
            "username": NO_SUCH_USER,
            "password": secrets.token_urlsafe(),
            "passwordText": "",
            "isUtf8": "1",
        }
    ).encode("ascii")


def _path(url: str) -> str:
    return urlsplit(url).path.lower()


def _reason(url: str) -> str | None:
    try:
        return next(iter(parse_qs(urlsplit(url).query, max_num_fields=_MAX_COOKIES).get("reason", [])), None)
    except ValueError:
        return None


def _shown(url: str) -> str:
    """The path, with the one part of the query that tells something."""
    reason = _reason(url)
    return harmless(urlsplit(url).path + (f"?reason={reason}" if reason else ""), 120)
