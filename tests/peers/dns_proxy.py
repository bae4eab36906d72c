"""What firewalls do to DNS: whichever server is asked, a resolver answers in its place."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.query

_SECONDS = 5


class _Proxy(socketserver.ThreadingUDPServer):
    resolver: str
    server: str


class _Question(socketserver.BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        wire, sock = self.request
        question = dns.message.from_wire(wire)
        asked = dns.message.from_wire(wire)
        to = self.server.server
        if self.client_address[0] != self.server.resolver:
            asked.flags |= dns.flags.RD
            to = self.server.resolver
        answer = dns.query.udp(asked, to, timeout=_SECONDS)
        answer.id = question.id
        sock.sendto(answer.to_wire(), self.client_address)


@contextmanager
def intercepting(address: str, server: str, resolver: str) -> Iterator[str]:
    """An address of the name server `server` (port 53, UDP) at which `resolver` (ADDRESS:PORT) answers in its place.

    Only the resolver itself gets through to the server.
    """
    with _Proxy((address, 53), _Question) as proxy:
        proxy.server, proxy.resolver = server, resolver.rpartition(":")[0]
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield address
        finally:
            proxy.shutdown()
            thread.join()
