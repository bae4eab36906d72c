"""From a request to its answer: the envelope of RFC 8555 section 6 around the handlers."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any

from certwright.acme_server import jws
from certwright.acme_server.context import Call, Context
from certwright.acme_server.encoding import json_object
from certwright.acme_server.faults import Faults
from certwright.acme_server.handlers import accounts, authorizations, certificates, directory, orders
from certwright.acme_server.messages import PROBLEM_TYPE, Endpoint, Request, Response, json_response, link
from certwright.acme_server.nonces import Nonces
from certwright.acme_server.problem import ErrorType, Problem, malformed, unauthorized
from certwright.acme_server.resources import Account, Status

_JOSE = "application/jose+json"
_LOG = logging.getLogger(__name__)


class Signer(Enum):
    """How a request names the key that signed it (section 6.2)."""

    KEY = auto()
    ACCOUNT = auto()
    EITHER = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """A handler of signed requests, and who may sign them."""

    handle: Callable[[Context, Call], Response]
    signer: Signer = Signer.ACCOUNT


_READ: Mapping[Endpoint, Callable[[Context, Request], Response]] = {
    Endpoint.DIRECTORY: directory.directory,
    Endpoint.TERMS: directory.terms,
    Endpoint.NEW_NONCE: directory.new_nonce,
    Endpoint.RENEWAL_INFO: certificates.renewal_info,
}
_SIGNED: Mapping[Endpoint, Route] = {
    Endpoint.NEW_ACCOUNT: Route(accounts.new_account, Signer.KEY),
    Endpoint.ACCOUNT: Route(accounts.update_account),
    Endpoint.ORDERS: Route(accounts.list_orders),
    Endpoint.KEY_CHANGE: Route(accounts.key_change),
    Endpoint.NEW_ORDER: Route(orders.new_order),
    Endpoint.ORDER: Route(orders.read_order),
    Endpoint.FINALIZE: Route(orders.finalize),
    Endpoint.AUTHORIZATION: Route(authorizations.update_authorization),
    Endpoint.CHALLENGE: Route(authorizations.answer_challenge),
    Endpoint.CERTIFICATE: Route(certificates.download),
    Endpoint.ALTERNATE: Route(certificates.download_alternate),
    Endpoint.REVOKE_CERT: Route(certificates.revoke_cert, Signer.EITHER),
}


class Service:
    """The protocol, without its sockets.

    Attributes:
        faults: What goes wrong with the next requests.
        requests: How many requests each endpoint had.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nonces = Nonces(context.config.nonce_rejection_percent)
        self.faults = Faults()
        self.requests: Counter[Endpoint] = Counter()
        self._requests_lock = Lock()

    def handle(self, request: Request) -> Response | None:
        """The answer to ``request``; None if a fault wants none to be sent. Never raises."""
        endpoint, _ = request.endpoint_and_id
        if endpoint is None:
            return self._refusal(request, malformed("There is nothing at this URL.", HTTPStatus.NOT_FOUND))
        try:
            with self._requests_lock:
                self.requests[endpoint] += 1
            return self.faults.apply(endpoint, partial(self._answer, endpoint, request))
        except Problem as problem:
            return self._refusal(request, problem)
        except Exception:  # noqa: BLE001 -- a failure of ours is an answer too, never a dropped connection
            _LOG.exception("the ACME server failed at %s %s", request.method, request.path)
            return self._refusal(request, Problem(ErrorType.SERVER_INTERNAL, "The server failed."))

    def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        read = _READ.get(endpoint)
        methods = ("GET", "HEAD") if read else ("POST",)
        if request.method not in methods:
            raise Problem(
                ErrorType.MALFORMED,
                f"This resource is reached by {' or '.join(methods)}.",
                status=HTTPStatus.METHOD_NOT_ALLOWED,
                headers=[("Allow", ", ".join(methods))],
            )
        if read:
            with self._context.state.lock:
                return self._complete(request, read(self._context, request))
        route = _SIGNED[endpoint]
        call = self._prove(request, route.signer)
        with self._context.state.lock:
            return self._complete(request, route.handle(self._context, call))

    def _refusal(self, request: Request, problem: Problem) -> Response:
        answer = json_response(problem.as_json(), *problem.headers, status=problem.status, content_type=PROBLEM_TYPE)
        return self._complete(request, answer)

    def _complete(self, request: Request, response: Response) -> Response:
        """Add the headers of every answer; nonces go with answers that are not cached (section 6.5)."""
        endpoint, _ = request.endpoint_and_id
        headers = [("Cache-Control", "no-store")]
        if endpoint is not Endpoint.DIRECTORY:
            headers.append(link(self._context.url(Endpoint.DIRECTORY), "index"))
        if request.method == "POST" or endpoint is Endpoint.NEW_NONCE:
            headers.append(("Replay-Nonce", self._nonces.issue()))
        return response.with_headers(*headers)

    def _prove(self, request: Request, signer: Signer) -> Call:
        """All checks of section 6.2 to 6.5."""
        if request.headers.get("content-type", "").strip().lower() != _JOSE:
            raise malformed(f"The Content-Type must be {_JOSE}.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        signed = jws.parse(json_object(request.body, "The body"))
        jws.require_algorithm(signed)
        url = self._context.base_url + request.path
        if signed.header.get("url") != url:
            raise unauthorized("The url in the protected header is not the URL of the request.")
        if not self._nonces.use(signed.header.get("nonce")):
            raise Problem(ErrorType.BAD_NONCE, "The nonce is unknown or was used before.")
        key, account, by_key = self._signer(signed.header, signer)
        jws.verify(signed, key)
        if account is not None and account.status is not Status.VALID:
            raise unauthorized(f"The account is {account.status}.", HTTPStatus.UNAUTHORIZED)
        payload = json_object(signed.payload, "The payload") if signed.payload else None
        _, resource_id = request.endpoint_and_id
        return Call(url, resource_id, key, account, by_key, payload)

    def _signer(self, header: Mapping[str, Any], signer: Signer) -> tuple[jws.AccountKey, Account | None, bool]:
        """The key that is said to have signed, its account, and whether the key itself was named."""
        state = self._context.state
        if ("jwk" in header) == ("kid" in header):
            raise malformed("The protected header has either jwk or kid.")
        if "jwk" in header:
            if signer is Signer.ACCOUNT:
                raise malformed("This request names its account with kid, not its key with jwk.")
            key = jws.account_key(header["jwk"])
            return key, state.account_of(key.thumbprint), True
        if signer is Signer.KEY:
            raise malformed("This request names its key with jwk, not an account with kid.")
        prefix = self._context.url(Endpoint.ACCOUNT) + "/"
        kid = header["kid"]
        if not isinstance(kid, str) or not kid.startswith(prefix):
            raise malformed("kid is not the URL of an account of this server.")
        account = state.accounts.get(kid.removeprefix(prefix))
        if account is None:
            raise Problem(ErrorType.ACCOUNT_DOES_NOT_EXIST, "There is no account at kid.")
        return account.key, account, False
