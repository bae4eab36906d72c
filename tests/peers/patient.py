"""A receiver of messages that answers when it is told to, and not before."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SECONDS = 120


@dataclass
class Patient:
    """Where it is; it answers from when `goes_on` is set."""

    url: str
    goes_on: threading.Event = field(default_factory=threading.Event)


@contextmanager
def patient() -> Iterator[Patient]:
    """One that has not answered yet."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.goes_on.wait(_SECONDS)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Patient(f"http://127.0.0.1:{server.server_port}/")
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield made
    finally:
        made.goes_on.set()
        server.shutdown()
        serving.join()
        server.server_close()
