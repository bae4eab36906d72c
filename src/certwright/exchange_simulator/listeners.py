"""The TLS ports of one server: each shows the certificate that the state selects at that moment."""

import http.server
import secrets
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives import serialization

from certwright.exchange_simulator.certificates import StoredCertificate
from certwright.exchange_simulator.configuration import Role
from certwright.exchange_simulator.http import serve_https
from certwright.exchange_simulator.mail import Line, serve_imap, serve_ldaps, serve_pop, serve_smtp
from certwright.exchange_simulator.sockets import Listener
from certwright.exchange_simulator.state import ServerState
from certwright.exchange_simulator.web_site import WebSite
from certwright.exchange_simulator.wsman import Reply

_DIALOGUES = {
    **dict.fromkeys((25, 465, 475, 587, 717, 2525), serve_smtp),
    143: serve_imap,
    993: serve_imap,
    110: serve_pop,
    995: serve_pop,
    50636: serve_ldaps,
}
_WEB = {443, 444}
_IMPLICIT_TLS = {993, 995, 50636}
_FRONT_END = (443, 25, 587, 717, 143, 993, 110, 995)
_BACK_END = (444, 2525, 465, 475)
PORTS: Mapping[Role, tuple[int, ...]] = {
    Role.COMBINED: (*_FRONT_END, *_BACK_END),
    Role.CLIENT_ACCESS: _FRONT_END,
    Role.MAILBOX: _BACK_END,
    Role.EDGE: (25, 50636),
}
"""The standard numbers; 443 is the Default Web Site, 444 the Exchange Back End, 465 speaks STARTTLS."""


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
        newest_tls: The newest version of TLS that it speaks.
    """

    def __init__(self, state: ServerState, host: str, newest_tls: ssl.TLSVersion) -> None:
        self._newest_tls = newest_tls
        self._state = state
        self._contexts: dict[tuple[str, int], ssl.SSLContext] = {}
        self._web_contexts: dict[tuple[str, int, int, str | None], ssl.SSLContext] = {}
        self._presented: dict[ssl.SSLContext, StoredCertificate] = {}
        self._lock = threading.Lock()
        self._listeners = {
            port: Listener(host, partial(self._serve, port), f"{state.name}-{port}") for port in PORTS[state.role]
        }
        self._further: dict[str, Listener] = {}
        self.addresses: Mapping[int, tuple[str, int]] = {p: li.address for p, li in self._listeners.items()}

    def refresh(self) -> None:
        """Open the ports of running services; those of stopped ones refuse."""
        for port, listener in (*self._listeners.items(), *((443, further) for further in self._further.values())):
            if self._state.is_served(port):
                listener.open()
            else:
                listener.refuse()

    def refuse(self) -> None:
        """Drop every connection and refuse new ones until `refresh`."""
        for listener in (*self._listeners.values(), *self._further.values()):
            listener.refuse()

    def stop(self) -> None:
        """Close all ports."""
        for listener in (*self._listeners.values(), *self._further.values()):
            listener.stop()

    def listen_on(self, address: str) -> tuple[str, int]:
        """Give the web server a further loopback address; returns where its port 443 really is."""
        if address not in self._further:
            listener = Listener(address, partial(self._serve_web, 443, address), f"{self._state.name}-{address}")
            self._further[address] = listener
            self.refresh()
        return self._further[address].address

    def drop_web_connections(self) -> None:
        """End every connection to a web site; new ones are accepted."""
        for listener in (*(li for port, li in self._listeners.items() if port in _WEB), *self._further.values()):
            listener.drop_connections()

    def _serve_web(self, port: int, address: str | None, connection: socket.socket) -> None:
        chosen = self._state.web_certificate(port, address, None)
        if chosen is None or chosen.key is None:
            return  # nothing usable is bound: Windows resets such connections
        serve_https(connection, self._web_context(chosen, port, address), self._web_answer)

    def _web_context(self, stored: StoredCertificate, port: int, address: str | None) -> ssl.SSLContext:
        """A context that changes to another certificate when the client's name has a binding of its own."""
        key = (stored.thumbprint, len(self._state.chain(stored)), port, address)
        with self._lock:
            if key not in self._web_contexts:
                self._web_contexts[key] = self._made_context(stored)
                self._presented[self._web_contexts[key]] = stored
            context = self._web_contexts[key]

        def by_name(tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            named = self._state.web_certificate(port, address, name)
            if named is not None and named.key is not None:
                tls.context = self._web_context(named, port, address)

        context.sni_callback = by_name
        return context

    def _web_answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[Reply, dict[str, str]]:
        tls = cast("ssl.SSLSocket", request.connection)
        return WebSite(self._state, self._presented[tls.context]).answer(request, body)

    def _serve(self, port: int, connection: socket.socket) -> None:
        if port in _WEB:
            self._serve_web(port, None, connection)
            return
        client = connection.getpeername()[0]
        stored = self._state.served(port, client)
        context = self._context(stored) if stored is not None and stored.key is not None else None
        connector = self._state.receive_connector(port, client)
        with Line(connection, context) as line:
            if port in _IMPLICIT_TLS:
                line.start_tls()
            _DIALOGUES[port](line, connector.fqdn if connector else self._state.fqdn)

    def _context(self, stored: StoredCertificate) -> ssl.SSLContext:
        key = (stored.thumbprint, len(self._state.chain(stored)))
        with self._lock:
            if key not in self._contexts:
                self._contexts[key] = self._made_context(stored)
            return self._contexts[key]

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
        context = server_context(chain, key, password)
        if self._newest_tls < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a server may be older than what ssl recommends
            context.maximum_version = self._newest_tls
        return context
