"""A web server in front of a folder: the site that several machines write their answers to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """Serve the files of ``folder`` on ``port`` of loopback until the block ends."""
    with _Server(("127.0.0.1", port), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
