"""Answers http-01 with a small web server of Certwright's own.

It listens only while challenges are pending, answers only `/.well-known/acme-challenge/`, and serves the answers of
every Certwright process that uses the same store. Choose it where port 80 of the machine is free, or where a firewall
or proxy leads port 80 of the names to the port chosen here. Where a web server holds port 80, choose `webroot`.
"""

import errno
import os
import sys
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, field_validator

from certwright.domain.errors import SolverError
from certwright.listener import server, shared_port
from certwright.probe.http01 import CHALLENGE_PATH, Precheck, WrongAnswer, wrong_answers
from certwright.probe.observation import Endpoint, FailureKind
from certwright.sdk.solver import Challenge, Solver

_RETRY_SECONDS = 0.01  # the longest that nobody listens when one process succeeds another that cannot share
_ASK_SECONDS = 5.0
_HANDOVER_SECONDS = 2.0
_GONE = (FailureKind.REFUSED, FailureKind.CLOSED)
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound


class Params(Precheck):
    """Where to listen."""

    address: str = Field(default="", description="Address to listen on; empty for all, IPv4 and IPv6.")
    port: int = Field(default=80, ge=1, le=65535, description="Port to listen on.")

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return str(ip_address(value)) if value else value


class HttpListener(Solver[Params]):
    """Serves the answers itself, if need be together with, or after, another process that has the same store."""

    Params = Params
    types = frozenset({"http-01"})

    _listens = False
    _successor: threading.Thread | None = None
    _over: threading.Event

    def present(self, challenges: Sequence[Challenge]) -> None:
        """Put the answers into the store and see to it that somebody serves them."""
        for challenge in challenges:
            self.context.answers.put(challenge.token, challenge.key_authorization)
        give_up = time.monotonic() + _HANDOVER_SECONDS
        while (refusal := self._listen(shared_port.take)) and challenges:
            if not _is_taken(refusal):
                raise _cannot_listen(self.params, refusal)
            wrong = wrong_answers(challenges[:1], _nearest(self.params), _ASK_SECONDS)
            if not wrong:
                # Only a listener with the same store is joined: it answers for us, and we shall for it.
                if not self._listen(shared_port.join):
                    return
                self._over = threading.Event()
                self._successor = threading.Thread(target=self._take_over, name="http-01 successor", daemon=True)
                self._successor.start()
                return
            # Another listener may have let the port go since we asked for it; any other program stays.
            if wrong[0].kind not in _GONE or time.monotonic() > give_up:
                raise _port_taken(self.params, wrong[0])
            time.sleep(_RETRY_SECONDS)

    def check(self, challenges: Sequence[Challenge]) -> None:
        """Fetch each answer as the authority will."""
        self.params.look(challenges, self.context.journal)

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Remove the answers; stop listening unless another run of this process still needs it."""
        if self._successor:
            self._over.set()
            self._successor.join()
        if self._listens:
            self._listens = False
            server.release(self.params.address, self.params.port, self.context.answers)
        for challenge in challenges:
            self.context.answers.remove(challenge.token)

    def _listen(self, opened: server.Open) -> OSError | None:
        """Listen; the system's refusal if it does not let us."""
        try:
            server.serve(self.params.address, self.params.port, self.context.answers, opened)
        except OSError as refusal:
            return refusal
        self._listens = True
        return None

    def _take_over(self) -> None:
        """Wait until the process that holds the port lets it go, and continue in its place."""
        while self._listen(shared_port.take) and not self._over.wait(_RETRY_SECONDS):
            pass


def _is_taken(refusal: OSError) -> bool:
    # Windows calls a port that another program holds for itself forbidden.
    return refusal.errno == errno.EADDRINUSE or (os.name == "nt" and refusal.errno == errno.EACCES)


def _nearest(params: Params) -> Endpoint:
    """Where another listener on the same port is reached from here."""
    return Endpoint(_LOOPBACK.get(params.address, params.address), params.port)


def _cannot_listen(params: Params, refusal: OSError) -> SolverError:
    where = f"port {params.port}" + (f" of {params.address}" if params.address else "")
    if refusal.errno == errno.EACCES:
        return SolverError(
            f"This user may not listen on {where}: ports under 1024 need root or CAP_NET_BIND_SERVICE.",
            hint=f"Run 'setcap cap_net_bind_service=+ep {Path(sys.executable).resolve()}', or "
            f"'sysctl net.ipv4.ip_unprivileged_port_start={params.port}', or give --http-address "
            f"ADDRESS:PORT with a higher port and let a web server or firewall lead port 80 of the names to it.",
        )
    return SolverError(
        f"Cannot listen on {where}: {refusal.strerror or refusal}.",
        hint="Give --http-address one of this machine's own addresses, or leave it out for all of them.",
    )


def _port_taken(params: Params, found: WrongAnswer) -> SolverError:
    return SolverError(
        f"Port {params.port} is held by another program{f': {found.server}' if found.server else ''}.",
        causes=[found.sentence],
        hint=f"Let that web server serve the answers (--webroot FOLDER), or let it forward {CHALLENGE_PATH} to another "
        "port and give that one with --http-address ADDRESS:PORT.",
    )
