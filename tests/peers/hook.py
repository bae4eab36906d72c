"""A web hook's receiver on loopback: it verifies each signature, and knows a message that it had before."""

import hashlib
import hmac
import json
import time
from collections import deque
from typing import Any

from peers.dns_peer import Fault
from peers.vendor import Front, Reply, Request

SECRET = "a-key-of-ours-0815"
PATH = "/hooks/T0P5ECRET/in/"
MINUTES = 5 * 60


class Receiver(Front):
    """Takes messages, and has no records of DNS."""

    def read(self, name: str) -> list[str]:
        raise NotImplementedError

    def put(self, name: str, value: str) -> None:
        raise NotImplementedError

    def everything(self) -> object:
        return None

    def refusal(self, fault: Fault) -> Reply:
        """Without a word."""
        return Reply({Fault.RATE_LIMITED: 429, Fault.UNAVAILABLE: 503, Fault.FORBIDDEN: 403}[fault])


class Hook(Receiver):
    """Takes POST at `PATH`; `messages` are those it had not seen. Statuses in `statuses` come first."""

    def __init__(self, *, signed: bool = True) -> None:
        super().__init__()
        self.signed = signed
        self.messages: dict[str, Any] = {}
        self.statuses: deque[int] = deque()

    def answer(self, request: Request) -> Reply:
        if request.method not in {"POST", "GET"} or request.target != f"{PATH}?room=7":
            self.complain(f"{request.method} {request.target}")
            return Reply(404)
        if self.statuses:
            return Reply(self.statuses.popleft(), b"not now")
        if request.method == "GET":
            return Reply(200)
        if self.signed and not self._is_ours(request):
            return Reply(401, {"error": "the signature is wrong"})
        self.messages[request.headers["idempotency-key"]] = json.loads(request.body)
        return Reply(202, {})

    def _is_ours(self, request: Request) -> bool:
        stamp = request.headers.get("x-certwright-timestamp", "")
        expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
        fresh = abs(time.time() - int(stamp or 0)) < MINUTES
        return fresh and hmac.compare_digest(request.headers.get("x-certwright-signature", ""), f"v1={expected}")
