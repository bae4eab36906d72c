"""The TLS ports of one server: each shows the certificate that the state selects at that moment."""

import secrets
import socket
import ssl
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from certwright.exchange_simulator.certificates import StoredCertificate
from certwright.exchange_simulator.http import serve_web_site
from certwright.exchange_simulator.mail import Line, serve_imap, serve_pop, serve_smtp
from certwright.exchange_simulator.sockets import Listener
from certwright.exchange_simulator.state import ServerState

_DIALOGUES = {
    25: serve_smtp,
    587: serve_smtp,
    143: serve_imap,
    993: serve_imap,
    110: serve_pop,
    995: serve_pop,
}
_IMPLICIT_TLS = {993, 995}
PORTS = (443, 444, *_DIALOGUES)
"""The standard numbers; 443 is the Default Web Site, 444 the Exchange Back End."""


def server_context(chain_pem: bytes, key_pem: bytes, password: str | None = None) -> ssl.SSLContext:
    """A TLS server context; ssl reads files only, so the material passes through a private one for a moment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="exchange-simulator-") as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        chain.write_bytes(chain_pem)
        key.touch(mode=0o600)
        key.write_bytes(key_pem)
        context.load_cert_chain(chain, key, password)
    return context


class ServerPorts:
    """The listeners of one server.

    Args:
        state: Selects certificates and says which services run.
        host: The loopback address to listen on.
    """

    def __init__(self, state: ServerState, host: str) -> None:
        self._state = state
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._listeners = {port: Listener(host, partial(self._serve, port), f"{state.name}-{port}") for port in PORTS}
        self.addresses: Mapping[int, tuple[str, int]] = {p: li.address for p, li in self._listeners.items()}

    def refresh(self) -> None:
        """Open the ports of running services; those of stopped ones refuse."""
        for port, listener in self._listeners.items():
            if self._state.is_served(port):
                listener.open()
            else:
                listener.refuse()

    def stop(self) -> None:
        """Close all ports."""
        for listener in self._listeners.values():
            listener.stop()

    def _serve(self, port: int, connection: socket.socket) -> None:
        stored = self._state.served(port)
        if stored is None or stored.key is None:
            return  # nothing usable is bound: Windows resets such connections
        context = self._context(stored)
        if port not in _DIALOGUES:
            serve_web_site(connection, context)
            return
        with Line(connection, context) as line:
            if port in _IMPLICIT_TLS:
                line.start_tls()
            _DIALOGUES[port](line, self._state.fqdn)

    def _context(self, stored: StoredCertificate) -> ssl.SSLContext:
        with self._lock:
            if stored.thumbprint not in self._contexts:
                self._contexts[stored.thumbprint] = self._made_context(stored)
            return self._contexts[stored.thumbprint]

    def _made_context(self, stored: StoredCertificate) -> ssl.SSLContext:
        chain = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self._state.chain(stored))
        if stored.key is None:
            raise ValueError("a certificate without a key cannot be served")
        password = secrets.token_urlsafe()
        key = stored.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
        return server_context(chain, key, password)
