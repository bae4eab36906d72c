"""One run's stand at a port: it listens there, together with another process that has the same store, or after it."""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from certwright.domain.errors import SolverError
from certwright.listener import server, shared_port
from certwright.listener.holder import held_addresses, holder_of
from certwright.listener.shared_port import Place
from certwright.probe.observation import Endpoint, FailureKind
from certwright.probe.precheck import WrongAnswer
from certwright.sdk.context import Answers

_RETRY_SECONDS = 0.01  # the longest that nobody listens when one process succeeds another that cannot share
_HANDOVER_SECONDS = 2.0
_GONE = (FailureKind.REFUSED, FailureKind.CLOSED)
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - compared with, not bound
_EVERY = {"", "0.0.0.0", "::"}  # noqa: S104 - as above

Look = Callable[[Endpoint], Sequence[WrongAnswer]]
"""What is wrong with the answers that are served at an endpoint of this machine; nothing if they are ours."""


class Stand:
    """Has `answers` served at `place` from `open` to `close`.

    Args:
        place: where.
        answers: the store's.
        solver: which one it is for, as the command line calls it.
        instead: what else can be done if another program holds the port, as one sentence.
    """

    def __init__(self, place: Place, answers: Answers, solver: str, instead: str) -> None:
        self._place = place
        self._answers = answers
        self._set = f"certwright validation set CERT {solver}"
        self._instead = instead
        self._listens = False
        self._over = threading.Event()
        self._successor: threading.Thread | None = None

    def open(self, look: Look) -> None:
        """See to it that somebody serves the answers.

        Raises:
            SolverError: if the system or another program does not let us.
        """
        give_up = time.monotonic() + _HANDOVER_SECONDS
        while refusal := self._listen(shared_port.take):
            if not _is_taken(refusal):
                raise self._cannot_listen(refusal)
            wrong = look(self._nearest)
            if not wrong:
                # Only a listener with the same store is joined: it answers for us, and we shall for it.
                if self._listen(shared_port.join):
                    self._successor = threading.Thread(
                        target=self._take_over, name=f"{self._place} successor", daemon=True
                    )
                    self._successor.start()
                return
            # Another listener may have let the port go since we asked for it; any other program stays.
            if wrong[0].kind not in _GONE or time.monotonic() > give_up:
                raise self._taken(wrong[0])
            time.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """Stop listening, unless another run of this process still needs it."""
        self._over.set()
        if self._successor:
            self._successor.join()
        if self._listens:
            self._listens = False
            server.release(self._place, self._answers)

    @property
    def _nearest(self) -> Endpoint:
        """Where another listener at the same place is reached from here."""
        return Endpoint(_LOOPBACK.get(self._place.address, self._place.address), self._place.port)

    def _listen(self, opened: server.Open) -> OSError | None:
        """Listen; the system's refusal if it does not let us."""
        try:
            server.serve(self._place, self._answers, opened)
        except OSError as refusal:
            return refusal
        self._listens = True
        return None

    def _take_over(self) -> None:
        """Wait until the process that holds the port lets it go, and continue in its place."""
        while self._listen(shared_port.take) and not self._over.wait(_RETRY_SECONDS):
            pass

    def _cannot_listen(self, refusal: OSError) -> SolverError:
        port, address = self._place.port, self._place.address
        where = f"port {port}" + (f" of {address}" if address else "")
        if refusal.errno == errno.EACCES:
            return SolverError(
                f"This user may not listen on {where}: ports under 1024 need root or CAP_NET_BIND_SERVICE.",
                hint=f"Run 'setcap cap_net_bind_service=+ep {Path(sys.executable).resolve()}', or "
                f"'sysctl net.ipv4.ip_unprivileged_port_start={port}', or listen on a higher port ('{self._set} "
                "--port PORT') and let a web server or firewall lead the authority's port to it.",
            )
        return SolverError(
            f"Cannot listen on {where}: {refusal.strerror or refusal}.",
            hint=f"Listen on one of this machine's own addresses ('{self._set} --address ADDRESS'), or on all of them: "
            "leave --address out.",
        )

    def _taken(self, found: WrongAnswer) -> SolverError:
        port = self._place.port
        holder = ", ".join(filter(None, (found.server, holder_of(port))))
        look = f"'Get-NetTCPConnection -LocalPort {port}'" if os.name == "nt" else f"'ss -ltnp sport = :{port}'"
        steps = [] if holder else [f"See with {look} which one."]
        held = held_addresses(port)
        refuses = found.kind is FailureKind.REFUSED
        elsewhere = self._place.address in _EVERY and (refuses or (held and _EVERY.isdisjoint(held)))
        if elsewhere:
            steps.append(
                "If the names lead to other addresses of this machine, listen there alone: "
                f"{self._set} --address ADDRESS (several with commas between them)."
            )
        at = f" of {', '.join(held)}" if elsewhere and held else ""
        silent = (
            "listens at another address, and so not all are free" if elsewhere else "has the port without listening"
        )
        return SolverError(
            f"Port {port}{at} is held by another program{f': {holder}' if holder else ''}.",
            causes=[f"Nothing answers at {self._nearest}: it {silent}." if refuses else found.sentence],
            hint=" ".join([*steps, self._instead]),
        )


def _is_taken(refusal: OSError) -> bool:
    # Windows calls a port that another program holds for itself forbidden.
    return refusal.errno == errno.EADDRINUSE or (os.name == "nt" and refusal.errno == errno.EACCES)
