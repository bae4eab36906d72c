"""One TCP connection that keeps a deadline and a budget, whatever the peer does."""

import errno
import functools
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from certwright.probe.observation import Endpoint, FailureKind, ProbeError

T = TypeVar("T")
_CHUNK = 16_384
_TLS_RECORDS = (21, 22)  # what a server begins with: an alert or a handshake message
_ALERT = re.compile(r"(sslv3|tlsv1|tlsv13)[ _](alert[ _])?")
_AROUND = re.compile(r"^\[ssl\] | \(_ssl\.c:\d+\)$")  # what Python sets around a reason that it has no name for
_NO_ADDRESS = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Error numbers by which nothing was sent: no way leads there from this machine."""


class Deadline:
    """A moment after which everything is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left; always more than 0.

        Raises:
            ProbeError: when none is.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise ProbeError(FailureKind.TIMEOUT, f"No answer within {self.seconds:g} s.")
        return left

    def share(self, parts: int) -> "Deadline":
        """An equal share of what is left, for the first of `parts` attempts."""
        return Deadline(self.remaining() / parts)


Resolve = Callable[[Endpoint, "Deadline"], list[Endpoint]]
"""Gives the addresses of an endpoint in time, or raises ProbeError."""


def resolve(endpoint: Endpoint, deadline: Deadline) -> list[Endpoint]:
    """The addresses of `endpoint`, in the system's order.

    The system's resolver has no time-out of its own; it is left behind when it takes too long.

    Raises:
        ProbeError: if there is no address.
    """
    results: queue.SimpleQueue[list[Endpoint] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            results.put(error)
        else:
            results.put(list(dict.fromkeys(Endpoint(str(where[0]), endpoint.port) for *_, where in found)))

    threading.Thread(target=look_up, name=f"resolve {endpoint.host}", daemon=True).start()
    try:
        result = results.get(timeout=deadline.remaining())
    except queue.Empty:
        raise ProbeError(FailureKind.LOOKUP, f"The name {endpoint.host} was not resolved in time.") from None
    if isinstance(result, list):
        return result
    if isinstance(result, socket.gaierror) and result.errno not in _NO_ADDRESS:
        raise ProbeError(FailureKind.LOOKUP, f"The name {endpoint.host} cannot be resolved: {result.strerror}.")
    raise ProbeError(FailureKind.DNS, f"The name {endpoint.host} has no address.")


def connect(addresses: Sequence[Endpoint], deadline: Deadline, budget: int) -> "Wire":
    """A connection to the first of `addresses` that answers; each gets its share of the time.

    Raises:
        ProbeError: if none does, with what happened at each.
    """
    errors: list[ProbeError] = []
    for index, address in enumerate(addresses):
        try:
            return Wire(address, _open(address, deadline.share(len(addresses) - index)), deadline, budget)
        except ProbeError as error:
            errors.append(error)
    raise ProbeError(errors[0].failure.kind, " ".join(error.message for error in errors))


def _open(address: Endpoint, deadline: Deadline) -> socket.socket:
    try:
        return socket.create_connection((address.host, address.port), timeout=deadline.remaining())
    except ConnectionRefusedError:
        raise ProbeError(FailureKind.REFUSED, f"{address} refuses the connection.") from None
    except TimeoutError:
        raise ProbeError(
            FailureKind.TIMEOUT, f"{address} does not answer: no connection within {deadline.seconds:.2g} s."
        ) from None
    except OSError as error:
        kind = FailureKind.NO_ROUTE if error.errno in NO_ROUTE else FailureKind.UNREACHABLE
        raise ProbeError(kind, f"{address} cannot be reached: {error.strerror or error}.") from None


class Wire:
    """A connection to `address`: clear at first, TLS after `start_tls`.

    Args:
        address: where `sock` is connected to.
        sock: an open socket; closed with the wire.
        deadline: for everything that is done with the wire, however slowly the peer drips.
        budget: how many bytes the peer may send in all, before decryption.
    """

    def __init__(self, address: Endpoint, sock: socket.socket, deadline: Deadline, budget: int) -> None:
        self.address = address
        self.deadline = deadline
        self._sock = sock
        self._budget = budget
        self.tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._first = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def local_host(self) -> str:
        """Our own address on this connection."""
        return str(self._sock.getsockname()[0])

    def recv(self) -> bytes:
        """Some bytes; none once the peer has ended.

        Raises:
            ProbeError: after the deadline, beyond the budget, or if the connection breaks.
        """
        if self.tls is None:
            return self._recv()
        try:
            return self._drive(functools.partial(self.tls.read, _CHUNK))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise ProbeError(FailureKind.HANDSHAKE, self._why_no_handshake(error)) from None

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        if self.tls is not None:
            self.tls.write(data)
            data = self._outgoing.read()
        self._send(data)

    def start_tls(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """Shake hands; `tls` then tells what was agreed, or how far it came if this raises.

        Raises:
            ProbeError: with the alert, or what else was wrong.
        """
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        try:
            self._drive(self.tls.do_handshake)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise ProbeError(FailureKind.CLOSED, f"{self.address} closed the connection in the handshake.") from None
        except ssl.SSLError as error:
            raise ProbeError(FailureKind.HANDSHAKE, self._why_no_handshake(error)) from None

    def close(self) -> None:
        """Take leave politely if that can be done at once, and close."""
        with suppress(ssl.SSLError, ProbeError):
            if self.tls is not None and self.tls.version():
                with suppress(ssl.SSLWantReadError):
                    self.tls.unwrap()
                self._send(self._outgoing.read())
        self._sock.close()

    def _drive(self, operation: Callable[[], T]) -> T:
        """Do a TLS operation, carrying records to and fro until it is done."""
        try:
            while True:
                try:
                    return operation()
                except ssl.SSLWantReadError:
                    self._send(self._outgoing.read())
                    records = self._recv()
                self._first = self._first or records
                if records:
                    self._incoming.write(records)
                else:
                    self._incoming.write_eof()
        finally:
            with suppress(ProbeError):
                self._send(self._outgoing.read())  # the last flight, or our alert

    def _recv(self) -> bytes:
        self._sock.settimeout(self.deadline.remaining())
        try:
            data = self._sock.recv(_CHUNK)
        except TimeoutError:
            raise self._timeout() from None
        except OSError as error:
            raise self._broken(error) from None
        self._budget -= len(data)
        if self._budget < 0:
            raise ProbeError(FailureKind.TOO_MUCH, f"{self.address} sends more than any such server would.")
        return data

    def _send(self, data: bytes) -> None:
        self._sock.settimeout(self.deadline.remaining())
        try:
            self._sock.sendall(data)
        except TimeoutError:
            raise self._timeout() from None
        except OSError as error:
            raise self._broken(error) from None

    def _timeout(self) -> ProbeError:
        return ProbeError(
            FailureKind.TIMEOUT,
            f"{self.address} accepted the connection but did not finish within {self.deadline.seconds:g} s.",
        )

    def _broken(self, error: OSError) -> ProbeError:
        return ProbeError(FailureKind.CLOSED, f"{self.address} broke the connection: {error.strerror or error}.")

    def _why_no_handshake(self, error: ssl.SSLError) -> str:
        if self._first and self._first[0] not in _TLS_RECORDS:
            return f"{self.address} answers {quoted(self._first)}, which is not TLS."
        reason = _AROUND.sub("", (error.reason or str(error)).lower())
        alert = _ALERT.sub("", reason).replace("_", " ")
        if _ALERT.match(reason):
            return f"{self.address} refuses the TLS handshake with the alert '{alert}'."
        return f"The TLS handshake with {self.address} failed: {alert}."


def harmless(data: bytes | str, limit: int = 60) -> str:
    """The first characters of what a stranger sent, fit for any terminal."""
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    shown = "".join(c if " " <= c <= "~" else "." for c in text[:limit])
    return shown + "..." if len(text) > limit else shown


def quoted(data: bytes | str, limit: int = 60) -> str:
    """`harmless`, in quotes."""
    return f"'{harmless(data, limit)}'"
