"""Channels that speak HTTPS, through a proxy: one that opens TLS, and one that lets nobody through."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from certwright.domain.errors import CertwrightError, Unreachable
from certwright.domain.proxy import Proxy
from certwright.rest import Api
from certwright.sdk.notifier import NotifierContext
from peers.tunnel import tunnelling
from unit.acme.tcp_server import Server, read_request, serve
from world.channels import channel, problem

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
NAME = "hooks.contoso.test"
URLS = {
    "webhook": f"https://{NAME}/in",
    "heartbeat": f"https://{NAME}/beat",
    "apprise": f"jsons://{NAME}/in?verify=yes",
}


@pytest.fixture
def seen() -> list[bytes]:
    return []


@pytest.fixture
def server(seen: list[bytes]) -> Iterator[Server]:
    """A web service whose certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(NAME).configure_cert(context)

    def handle(connection: socket.socket) -> None:
        while request := read_request(connection):
            seen.append(request)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            break
        connection.close()

    with serve(handle, context) as made:
        yield made


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "pauses", ())


def through(port: int, roots: Path | None = None) -> NotifierContext:
    return NotifierContext("alerts", proxy=Proxy("127.0.0.1", port, "svc-certs", "c4n@ry: x", roots=roots))


@pytest.mark.parametrize("kind", URLS)
def test_a_message_goes_through_a_proxy_that_opens_tls(
    kind: str, server: Server, seen: list[bytes], tmp_path: Path
) -> None:
    inspector = trustme.CA()
    inspector.cert_pem.write_to_path(tmp_path / "roots.pem")
    with tunnelling({NAME: server.port}, "svc-certs:c4n@ry: x", inspector) as proxy:
        channel(kind, through(proxy.port, tmp_path / "roots.pem"), url=URLS[kind]).send(problem())
    assert seen
    assert all(head.startswith(f"CONNECT {NAME}:443 ") for head in proxy.asked)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the tunnel is broken off half-way
@pytest.mark.parametrize("kind", URLS)
def test_without_its_root_nothing_is_sent(kind: str, server: Server, seen: list[bytes]) -> None:
    with tunnelling({NAME: server.port}, inspects=trustme.CA()) as proxy, pytest.raises(CertwrightError) as caught:
        channel(kind, through(proxy.port), url=URLS[kind]).send(problem())
    assert not seen
    if kind != "apprise":
        assert "signed by " in caught.value.message
        assert "O=trustme" in caught.value.message
        assert "is not trusted" in caught.value.message
        assert "CERTWRIGHT_PROXY_CA_FILE" in caught.value.hint
        assert "--proxy-ca-file" in caught.value.hint


@pytest.mark.parametrize("kind", URLS)
def test_a_proxy_that_wants_another_credential_is_told_without_it(kind: str) -> None:
    with tunnelling({NAME: 1}, "someone:else") as proxy, pytest.raises(CertwrightError) as caught:
        channel(kind, through(proxy.port), url=URLS[kind]).send(problem())
    told = "\n".join(caught.value.explain())
    assert proxy.asked
    assert "c4n" not in told
    assert "dmMtY2VydHM6" not in told
    if kind != "apprise":
        assert isinstance(caught.value, Unreachable)
        assert "wants a credential, or another one" in caught.value.message
        assert "CERTWRIGHT_PROXY_CREDENTIAL" in caught.value.hint
