"""Answers tls-alpn-01 with a small TLS server of Certwright's own.

It listens only while challenges are pending, and presents, to those who ask for it by the protocol `acme-tls/1`, a
certificate that is the answer; everybody else gets a TLS alert. It serves the answers of every Certwright process that
uses the same store. Choose it where only port 443 of the names can be reached, and nothing else holds it while
certificates are requested; or where a balancer can lead connections with the ALPN `acme-tls/1` to the port chosen here.
Wildcards cannot be proved by it.
"""

import time

from pydantic import Field

from certwright.listener.listening import Listening, ListeningSolver
from certwright.probe.tls_alpn01 import answer_key, look, server_name
from certwright.sdk.solver import Challenge

_TURN_SECONDS = 120.0  # no authority takes as long; what is there after it was left by a run that died
_PAUSE_SECONDS = 0.1


class Params(Listening):
    """Where to listen."""

    port: int = Field(default=443, ge=1, le=65535, description="Port to listen on.")


class TlsAlpn(ListeningSolver[Params]):
    """A small TLS server."""

    Params = Params
    types = frozenset({"tls-alpn-01"})
    name = "tls_alpn"
    look = staticmethod(look)
    instead = (
        "Prove the names by http-01 or dns-01 (certwright validation set CERT SOLVER ...), or let a balancer in front "
        "lead connections with the ALPN acme-tls/1 to another port.\n"
        "To listen at that one: certwright validation set CERT tls_alpn --port PORT"
    )

    def key(self, challenge: Challenge) -> str:
        """Its name, as the handshake asks for it."""
        return answer_key(server_name(challenge.identifier))

    def put(self, challenge: Challenge) -> None:
        """Put one answer; a name has one at a time, so another run that proves it is let finish first."""
        answers, key, answer = self.context.answers, self.key(challenge), challenge.key_authorization
        if answers.claim(key, answer):
            return
        self.context.journal.note(f"Another run proves {challenge.identifier} just now; it is waited for.")
        give_up = time.monotonic() + _TURN_SECONDS
        while not answers.claim(key, answer):
            if time.monotonic() > give_up:
                answers.put(key, answer)
                return
            time.sleep(_PAUSE_SECONDS)
