"""What Exchange's web sites answer to someone who has not signed in: redirects and 401s."""

import http.server
from dataclasses import dataclass
from urllib.parse import urlsplit

from certwright.exchange_simulator.certificates import StoredCertificate
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.wsman import Reply

_HTML = "text/html; charset=utf-8"
_SERVICES = ("/autodiscover", "/ews", "/mapi", "/oab", "/microsoft-server-activesync", "/rpc")
_FORMS = ("/owa", "/ecp")
_Answer = tuple[Reply, dict[str, str]]


@dataclass(frozen=True, slots=True)
class WebSite:
    """The web site of one connection.

    Attributes:
        state: Of the server.
        presented: The certificate that the connection began with.
    """

    state: ServerState
    presented: StoredCertificate

    def answer(self, request: http.server.BaseHTTPRequestHandler, _body: bytes) -> _Answer:
        """The reply to `request`, and its further headers."""
        path = urlsplit(request.path).path.rstrip("/").lower()
        fault = next((f for f in self.state.web_faults if f.strikes(path, self.presented.thumbprint)), None)
        if fault is not None:
            return Reply(fault.status, b"<html><body>Runtime Error</body></html>", _HTML), {}
        if path.startswith(_FORMS) and self.state.back_end_broken:
            return Reply(500, b"", _HTML), {}
        if request.command == "POST" and path == "/owa/auth.owa":
            # A sign-in that cannot read its own cookie begins again instead of saying that the password was wrong.
            reason = 0 if self.state.sign_in_loops(self.presented) else 2
            return Reply(302, b"", _HTML), {"Location": f"/owa/auth/logon.aspx?url=%2fowa%2f&reason={reason}"}
        return _page(path)


def _page(path: str) -> _Answer:
    if path in {"/owa/auth/logon.aspx", "/owa/healthcheck.htm"}:
        return Reply(200, b"<html><head><title>Outlook</title></head><body></body></html>", _HTML), {}
    if path in {"", "/owa", "/ecp"}:
        target = "/owa/" if not path else f"/owa/auth/logon.aspx?url=%2f{path[1:]}%2f&reason=0"
        return Reply(302, b"", _HTML), {"Location": target}
    if path.startswith(_SERVICES):
        return Reply(401, b"", _HTML), {"WWW-Authenticate": "Negotiate"}
    return Reply(404, b"<html><body>Not Found</body></html>", _HTML), {}
