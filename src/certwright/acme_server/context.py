"""What the handlers work with: one context for the server, one call for each signed request."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any

from certwright.acme_server.ca import CertificateAuthority, Clock
from certwright.acme_server.config import AcmeServerConfig
from certwright.acme_server.jws import AccountKey
from certwright.acme_server.messages import Endpoint
from certwright.acme_server.problem import malformed
from certwright.acme_server.resources import Account
from certwright.acme_server.state import State
from certwright.acme_server.validation import Validator

_WORKERS = 32
_LOG = logging.getLogger(__name__)


class Jobs:
    """Work that goes on after the answer: validations, and issuance where that takes its time."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="acme-server-job")
        self._closing = Event()

    def start(self, delay: float, work: Callable[[], None]) -> None:
        """Do ``work`` on a thread of its own after ``delay`` seconds; not at all once `close` was called."""

        def run() -> None:
            if self._closing.wait(delay):
                return
            try:
                work()
            except Exception:  # noqa: BLE001 -- a thread's end: nobody else could report it
                _LOG.exception("a job of the ACME server failed")

        self._executor.submit(run)

    def close(self) -> None:
        """Return when no job runs any more."""
        self._closing.set()
        self._executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Context:
    """The server's parts."""

    config: AcmeServerConfig
    ca: CertificateAuthority
    state: State
    validator: Validator
    jobs: Jobs
    clock: Clock
    base_url: str

    def url(self, endpoint: Endpoint, resource_id: str = "") -> str:
        """The URL of a resource."""
        return "/".join(part for part in (self.base_url, endpoint.value, resource_id) if part)


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose signature is proven.

    Attributes:
        url: The request's URL.
        resource_id: The last part of it, or nothing.
        key: The key that signed.
        account: The account whose key it is; None if the request named its key and no account has it.
        by_key: Whether the request named its key (``jwk``) and not its account (``kid``).
        payload: The JSON object, or None for POST-as-GET.
    """

    url: str
    resource_id: str
    key: AccountKey
    account: Account | None
    by_key: bool
    payload: dict[str, Any] | None

    @property
    def owner(self) -> Account:
        """The account that signed; for endpoints that are reached by account only."""
        if self.account is None:
            raise malformed("This request names its account with kid.")
        return self.account

    @property
    def document(self) -> dict[str, Any]:
        """The payload of a request that must have one."""
        if self.payload is None:
            raise malformed("This request needs a JSON object as payload.")
        return self.payload

    def require_empty(self) -> None:
        """Refuse a payload: this resource is only read (RFC 8555 section 6.3)."""
        if self.payload is not None:
            raise malformed("This resource is read with POST-as-GET: the payload is the empty string.")
