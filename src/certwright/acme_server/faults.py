"""Faults on demand, so that clients can be shown to survive them."""

import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from threading import Lock

from certwright.acme_server.messages import Endpoint, Response
from certwright.acme_server.problem import ErrorType, Problem

Handle = Callable[[], Response]
Fault = Callable[[Handle], Response | None]


class Faults:
    """Faults that wait for the next requests to an endpoint, one for each request, in the order given."""

    def __init__(self) -> None:
        self._waiting: dict[Endpoint, deque[Fault]] = {}
        self._lock = Lock()

    def drop_next(self, endpoint: Endpoint | str, count: int = 1) -> None:
        """Handle the next ``count`` requests, then close the connection without an answer."""

        def drop(handle: Handle) -> None:
            handle()

        self._add(endpoint, drop, count)

    def delay_next(self, endpoint: Endpoint | str, seconds: float, count: int = 1) -> None:
        """Let the next ``count`` requests wait before they are handled."""

        def delay(handle: Handle) -> Response:
            time.sleep(seconds)
            return handle()

        self._add(endpoint, delay, count)

    def http_error_next(
        self, endpoint: Endpoint | str, status: int, retry_after: int | str | None = None, count: int = 1
    ) -> None:
        """Answer the next ``count`` requests as a proxy in front of a broken server would: no ACME in it."""
        text = f"{status} {HTTPStatus(status).phrase}\n".encode()

        def fail(_handle: Handle) -> Response:
            return Response(status, text, "text/plain", _retry_after(retry_after))

        self._add(endpoint, fail, count)

    def problem_next(
        self,
        endpoint: Endpoint | str,
        error: ErrorType | str = ErrorType.RATE_LIMITED,
        detail: str = "Too many requests.",
        retry_after: int | str | None = None,
        count: int = 1,
    ) -> None:
        """Refuse the next ``count`` requests with a problem document; by default a rate limit."""

        def refuse(_handle: Handle) -> Response:
            raise Problem(ErrorType(error), detail, headers=_retry_after(retry_after))

        self._add(endpoint, refuse, count)

    def clear(self) -> None:
        """Forget all faults that wait."""
        with self._lock:
            self._waiting.clear()

    def apply(self, endpoint: Endpoint, handle: Handle) -> Response | None:
        """The answer of ``handle``, or what the next fault makes of it; None is no answer at all."""
        with self._lock:
            waiting = self._waiting.get(endpoint)
            fault = waiting.popleft() if waiting else None
        return fault(handle) if fault else handle()

    def _add(self, endpoint: Endpoint | str, fault: Fault, count: int) -> None:
        with self._lock:
            self._waiting.setdefault(Endpoint(endpoint), deque()).extend([fault] * count)


def _retry_after(value: int | str | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else (("Retry-After", str(value)),)
