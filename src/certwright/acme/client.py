"""The client: signed requests to one CA for one account, repeated where that helps.

The RFC's nouns (`account`, `order`, ...) say what to ask; this module knows how to ask: nonces, keys,
pauses, deadlines.
"""

import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice, repeat
from typing import TypeAlias

from certwright.acme import jws, nonce, problem
from certwright.acme.clock import Clock, Deadline, backoff
from certwright.acme.directory import LIFETIME, Directories, Directory
from certwright.acme.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    NoAccount,
    RateLimited,
    ServerProblem,
    TimedOut,
    TransportError,
    UnexpectedAnswer,
)
from certwright.acme.jws import Json, SigningKey
from certwright.acme.problem import Problem
from certwright.acme.transport import Response, Transport

OPERATION_SECONDS = 60.0
"""The deadline of an operation whose caller gives none."""

_REQUEST_SECONDS = 30.0
_NONCES_AT_ONCE = 50
_FIRST_RETRIES = 3
_NONCE_PAUSE = 0.1  # seconds; a CA that rejects every nonce is not to be flooded until the deadline
_BUSY = frozenset({500, 502, 503, 504})
_REDIRECTION, _CLIENT_ERROR, _TOO_MANY_REQUESTS = 300, 400, 429
_HELP = ("help", "terms-of-service")
_log = logging.getLogger(__name__)

_Sign: TypeAlias = Callable[[str], bytes]


class AcmeClient:
    """Asks one CA in the name of one account; safe to use from several threads.

    Requests are repeated until their deadline: at once with the nonce of a ``badNonce`` answer, after a
    pause when the CA asks for one by Retry-After, is out of order (HTTP 5xx) or cannot be reached. Every
    request of ACME may be repeated so: a newOrder whose answer was lost leaves an orphaned order, which
    does no harm; the others are idempotent, or are refused the second time by an error that the caller
    of this class looks through.

    Args:
        transport: Sends the requests.
        directory_url: The CA.
        account_key: Signs.
        account_url: The account of that key; `account.register` and `account.find` set it.
        clock: The time.
        on_pause: Gets a sentence before each retry: what failed, and when it is asked again.
        directories: What is known already, and is kept up; clients that come and go can share it.
    """

    def __init__(
        self,
        transport: Transport,
        directory_url: str,
        account_key: SigningKey,
        account_url: str | None = None,
        *,
        clock: Clock | None = None,
        on_pause: Callable[[str], None] = _log.info,
        directories: Directories | None = None,
    ) -> None:
        self.directory_url = directory_url
        self.account_key = account_key
        self.account_url = account_url
        self.clock = clock or Clock()
        self._transport = transport
        self._on_pause = on_pause
        self._nonces = nonce.NoncePool()
        self._directories = {} if directories is None else directories
        self._directory_lock = threading.Lock()

    def deadline(self, seconds: float = OPERATION_SECONDS) -> Deadline:
        """A deadline on this client's clock."""
        return Deadline(self.clock, seconds)

    def require_account(self) -> str:
        """The account's URL; NoAccount if it is not known."""
        if self.account_url is None:
            raise NoAccount("the account is not registered with this CA yet, or its URL is not known")
        return self.account_url

    def directory(self, deadline: Deadline | None = None) -> Directory:
        """The CA's directory, read anew when it is 12 hours old."""
        with self._directory_lock:
            known = self._directories.get(self.directory_url)
            if known is None or known[1] <= self.clock.monotonic():
                response = self.get(self.directory_url, deadline)
                known = Directory.parse(response), self.clock.monotonic() + LIFETIME
                self._directories[self.directory_url] = known
            return known[0]

    def get(self, url: str, deadline: Deadline | None = None) -> Response:
        """An unsigned request, for what anybody may read: the directory, renewal information."""
        deadline = deadline or self.deadline()
        return self._persist(lambda: self._get(url, deadline), deadline)

    def post(
        self, url: str, payload: Json | None, deadline: Deadline | None = None, *, key: SigningKey | None = None
    ) -> Response:
        """A signed request.

        Args:
            url: Where to.
            payload: None for POST-as-GET.
            deadline: Until when it is repeated; a minute if None.
            key: Signs with its public key enclosed; None: the account's key with the account's URL.

        Raises:
            ServerProblem: the CA refused; `RateLimited` among them.
            TransportError: no answer until the deadline.
            NoAccount: the account's URL is needed and not known.
        """
        kid = self.require_account() if key is None else None
        sign = partial(_signed, key or self.account_key, url, payload, kid)
        deadline = deadline or self.deadline()
        return self._persist(lambda: self._post(url, sign, deadline), deadline)

    def _persist(self, attempt: Callable[[], Response], deadline: Deadline) -> Response:
        """Repeat ``attempt`` after a pause for as long as that may help and ``deadline`` allows.

        Where no CA has answered yet, a wrong address is more likely than an outage: that is given up soon.
        """
        pauses = backoff(0.25, 2, 15)
        connects = (
            pauses
            if self.directory_url in self._directories
            else chain(islice(pauses, _FIRST_RETRIES), repeat(math.inf))
        )
        while True:
            failure: TransportError | ServerProblem
            try:
                return attempt()
            except (ConnectionFailed, TimedOut) as error:
                failure, pause = error, next(connects)
            except ServerProblem as error:
                failure, pause = error, _asked_pause(error, pauses)
            if not deadline.allows(pause):
                raise failure
            self._on_pause(f"{failure}; asking again in {pause:.2f} s")
            self.clock.sleep(pause)

    def _post(self, url: str, sign: _Sign, deadline: Deadline) -> Response:
        """One signed request; again at once with the nonce that came with a badNonce (RFC 8555 section 6.5)."""
        own = self._nonces.take() or self._new_nonce(deadline)
        rejected = 0
        while True:
            response = self._send("POST", url, sign(own), deadline)
            fresh = nonce.carried(response)
            if not _rejects_nonce(response) or deadline.remaining() <= 0:
                self._keep(fresh)
                self._check(url, response)
                return response
            rejected += 1
            if rejected > _NONCES_AT_ONCE:
                deadline.pause(_NONCE_PAUSE, "a nonce that the CA accepts")
            own = fresh or self._new_nonce(deadline)

    def _get(self, url: str, deadline: Deadline) -> Response:
        response = self._send("GET", url, None, deadline)
        self._keep(nonce.carried(response))
        self._check(url, response)
        return response

    def _new_nonce(self, deadline: Deadline) -> str:
        url = self.directory(deadline).new_nonce
        response = self._send("HEAD", url, None, deadline)
        self._check(url, response)
        fresh = nonce.carried(response)
        if fresh is None:
            raise UnexpectedAnswer(f"{url} gave no usable Replay-Nonce")
        return fresh

    def _keep(self, fresh: str | None) -> None:
        if fresh is not None:
            self._nonces.put(fresh)

    def _send(self, method: str, url: str, body: bytes | None, deadline: Deadline) -> Response:
        timeout = min(_REQUEST_SECONDS, deadline.remaining())
        if timeout <= 0:
            raise DeadlineExceeded(f"no time left to ask {url}")
        headers = {"Accept-Language": "en"}
        if body is not None:
            headers["Content-Type"] = "application/jose+json"
        return self._transport.request(method, url, headers=headers, body=body, timeout=timeout)

    def _check(self, url: str, response: Response) -> None:
        """Return for a success; raise what any other answer means."""
        if response.status < _REDIRECTION:
            return
        if response.status < _CLIENT_ERROR:
            target = response.headers.get("Location", "nowhere")
            raise UnexpectedAnswer(f"{url} redirects to {target}: redirects are not followed")
        said = Problem.from_response(response)
        limited = response.status == _TOO_MANY_REQUESTS or said.type == problem.RATE_LIMITED
        links = [link for relation in _HELP for link in response.links(relation, url)]
        links += [said.instance] if said.instance else []
        kind = RateLimited if limited else ServerProblem
        raise kind(url, said, response.retry_after(self.clock.wall()), links)


def _rejects_nonce(response: Response) -> bool:
    return response.status >= _CLIENT_ERROR and Problem.from_response(response).type == problem.BAD_NONCE


def _asked_pause(failure: ServerProblem, pauses: Iterator[float]) -> float:
    """Seconds until the same request may succeed; infinite if it never will."""
    if isinstance(failure, RateLimited):
        return math.inf if failure.retry_after is None else failure.retry_after
    if failure.problem.status in _BUSY:
        return next(pauses) if failure.retry_after is None else failure.retry_after
    return math.inf


def _signed(key: SigningKey, url: str, payload: Json | None, kid: str | None, own_nonce: str) -> bytes:
    return json.dumps(jws.signed(key, url, payload, nonce=own_nonce, kid=kid)).encode()
