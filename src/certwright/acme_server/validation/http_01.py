"""http-01: the key authorization under a well-known path (RFC 8555 section 8.3)."""

import http.client
import io
import ipaddress
import socket
import ssl
from urllib.parse import SplitResult, urljoin, urlsplit

from certwright.acme_server.bounded import BoundedReader, Deadline
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.problem import ErrorType, Problem, unauthorized
from certwright.acme_server.validation.network import Network

MAX_REDIRECTS = 10
MAX_BODY = 128
MAX_ANSWER = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def validate(network: Network, deadline: Deadline, identifier: Identifier, token: str, key_authorization: str) -> None:
    """Return if the file is there; redirects are followed as public CAs follow them."""
    host = f"[{identifier.value}]" if ":" in identifier.value else identifier.value
    url = f"http://{host}/.well-known/acme-challenge/{token}"
    for _ in range(MAX_REDIRECTS + 1):
        status, location, body = _get(network, deadline, url)
        if status in _REDIRECTS:
            url = _redirected(network, url, location, identifier)
            continue
        if status != http.client.OK:
            raise unauthorized(f"Invalid response from {url}: HTTP status {status}.")
        if len(body) > MAX_BODY or body.rstrip() != key_authorization.encode():
            shown = ascii(body[:MAX_BODY].decode("latin-1"))
            raise unauthorized(
                f"The key authorization from {url} did not match this challenge. "
                f'Expected "{key_authorization}", got {shown}.'
            )
        return
    raise Problem(ErrorType.CONNECTION, f"More than {MAX_REDIRECTS} redirects, the last one to {url}.")


def _get(network: Network, deadline: Deadline, url: str) -> tuple[int, str | None, bytes]:
    """Status, Location and the beginning of the body."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    port = _ports(network).get(port, port)
    try:
        with _connect(network, deadline, host, port, secure=parts.scheme == "https") as connection:
            connection.settimeout(deadline.remaining)
            connection.sendall(_request(parts))
            answer = http.client.HTTPResponse(_Readable(connection, deadline), method="GET")  # type: ignore[arg-type]
            with answer:
                answer.begin()
                return answer.status, answer.headers.get("Location"), answer.read(MAX_BODY + 1)
    except ssl.SSLError as error:
        raise Problem(ErrorType.TLS, f"TLS failed while fetching {url}: {error.reason}.") from error
    except TimeoutError as error:
        raise Problem(ErrorType.CONNECTION, f"Timed out while fetching {url}.") from error
    except OSError as error:
        raise Problem(ErrorType.CONNECTION, f"The connection broke while fetching {url}: {error}.") from error
    except http.client.HTTPException as error:
        raise Problem(ErrorType.CONNECTION, f"The answer of {url} is not HTTP ({type(error).__name__}).") from error


def _connect(network: Network, deadline: Deadline, host: str, port: int, *, secure: bool) -> socket.socket:
    plain = network.connect(host, port, deadline)
    if not secure:
        return plain
    # Any certificate will do: there may be none to trust before this one is issued.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain.settimeout(deadline.remaining)
    return context.wrap_socket(plain, server_hostname=host)


def _request(parts: SplitResult) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "User-Agent: certwright-acme-server validation",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _redirected(network: Network, url: str, location: str | None, identifier: Identifier) -> str:
    """The URL a redirect leads to, if a public CA would go there; no address but the one that is to be proven."""
    refused = f"Invalid redirect from {url}:"
    try:
        target = urljoin(url, location or "")
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Problem(ErrorType.CONNECTION, f"{refused} its Location is not a URL.") from error
    if not location or not target.isascii() or not target.isprintable() or " " in target:
        raise Problem(ErrorType.CONNECTION, f"{refused} its Location is not a URL.")
    if parts.scheme not in _DEFAULT_PORTS or parts.username is not None:
        raise Problem(ErrorType.CONNECTION, f"{refused} only http and https are followed, got {target}.")
    if port not in (None, *_ports(network)) or not host or (_is_address(host) and host != identifier.value):
        raise Problem(ErrorType.CONNECTION, f"{refused} only names on the ports 80 and 443 are followed, got {target}.")
    return target


def _ports(network: Network) -> dict[int, int]:
    """Where the two ports a public CA connects to are in this world; the stand-ins may also be named outright."""
    config = network.config
    return {config.http_port: config.http_port, config.tls_port: config.tls_port} | {
        _DEFAULT_PORTS["http"]: config.http_port,
        _DEFAULT_PORTS["https"]: config.tls_port,
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Readable:
    """All that `http.client.HTTPResponse` wants of a socket."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._reader = BoundedReader(connection, deadline, MAX_ANSWER)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)
