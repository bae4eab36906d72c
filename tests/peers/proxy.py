"""An HTTP proxy that lets nobody through: it wants a password, or shows a page of its own."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        url: What a client is to be given as its proxy.
        asked: The first line of each request that reached it.
    """

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def refusing_proxy(
    status: int = 407, page: str = "<html><body>Sign in to the network</body></html>"
) -> Iterator[Proxy]:
    """A proxy that answers everything, CONNECT too, with ``status`` and ``page``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            proxy.asked.append(self.requestline)
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(status)
            if status == 407:
                self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(page.encode())

        do_GET = do_CONNECT = do_POST  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        proxy = Proxy(f"http://{HOST}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
