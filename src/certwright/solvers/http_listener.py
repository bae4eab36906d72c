"""Answers http-01 with a small web server of Certwright's own.

It listens only while challenges are pending, answers only `/.well-known/acme-challenge/`, and serves the answers of
every Certwright process that uses the same store. Choose it where port 80 of the machine is free, or where a firewall
or proxy leads port 80 of the names to the port chosen here. Where a web server holds port 80, choose `webroot`.
"""

from pydantic import Field

from certwright.listener.listening import Listening, ListeningSolver
from certwright.probe.http01 import CHALLENGE_PATH, look
from certwright.sdk.solver import Challenge


class Params(Listening):
    """Where to listen."""

    port: int = Field(default=80, ge=1, le=65535, description="Port to listen on.")


class HttpListener(ListeningSolver[Params]):
    """A small web server."""

    Params = Params
    types = frozenset({"http-01"})
    name = "http_listener"
    look = staticmethod(look)
    instead = (
        "If it is a web server, let it serve the answers (certwright validation set CERT webroot --path FOLDER), or "
        f"let it forward {CHALLENGE_PATH} to another port. If it is none, end it, or have a firewall lead port 80 to "
        "another.\nTo listen at that one: certwright validation set CERT http_listener --port PORT"
    )

    def key(self, challenge: Challenge) -> str:
        """Its token, which the path names."""
        return challenge.token
