"""An RFC 8555 server as a transport in memory: it verifies every signature, and every fault can be had."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from certwright.acme.challenge import Answer
from certwright.acme.clock import Clock
from certwright.acme.errors import ConnectionFailed
from certwright.acme.transport import Headers, Response
from unit.acme import jws_verifier, memory_pki
from unit.acme.jws_verifier import JWS

BASE = "https://ca.test"
DIRECTORY = f"{BASE}/directory"

Fault = Response | Exception


class Lost(Exception):
    """As a fault: the request is carried out, its answer is lost."""


class Refused(Exception):
    """The CA's no."""

    def __init__(self, status: int, kind: str, detail: str = "", **more: Any) -> None:
        super().__init__(detail)
        document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status, **more}
        self.response = answer(status, document, kind="application/problem+json")


def answer(status: int, document: Any = None, *, kind: str = "application/json", **headers: str) -> Response:
    fields = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    body = document if isinstance(document, bytes) else b"" if document is None else json.dumps(document).encode()
    return Response(status, Headers(fields.items()), body)


class FakeClock:
    """Time that passes by sleeping, and a millisecond with each request."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept.append(seconds)

    def tick(self) -> None:
        with self._lock:
            self.now += 0.001

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, wall=lambda: self.now, sleep=self.sleep)


@dataclass
class _Authorization:
    identifier: dict[str, str]
    wildcard: bool
    token: str
    status: str = "pending"
    responded: str = ""
    error: dict[str, Any] | None = None


@dataclass
class _Order:
    identifiers: list[dict[str, str]]
    authorizations: list[str]
    status: str = "pending"
    looks: int = 0
    leaf: x509.Certificate | None = None
    asked: dict[str, Any] = field(default_factory=dict)


class MemoryCA:
    """The transport. Attributes that tests set say how it behaves; `requests` tells what was asked."""

    def __init__(self) -> None:
        self.time = FakeClock()
        self.requests: list[str] = []
        """``METHOD first-path-segment`` each."""
        self.faults: dict[str, list[Fault]] = {}
        """First path segment -> what happens to the next requests to it, one by one."""
        self.shown: dict[str, str] = {}
        """Token -> key authorization: what the CA finds when it validates."""
        self.reject_nonces = 0
        self.validation_looks = 0
        """How many looks at an order find it pending before responded challenges are validated."""
        self.issuance_looks = 0
        """How many looks at an order it takes from finalize to the certificate."""
        self.retry_after: str | None = None
        """Given with every order that is pending or processing."""
        self.reuse: set[str] = set()
        """Names whose authorizations are valid from the start."""
        self.external_keys: dict[str, bytes] = {}
        self.meta: dict[str, Any] = {}
        self.renewal: Response | None = None
        self.refuse_replaces: str | None = None
        self.deaf_to_csr = False
        self.accounts: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, _Order] = {}
        self.authorizations: dict[str, _Authorization] = {}
        self.revoked: dict[int, Any] = {}
        self._nonces: set[str] = set()
        self._count = Counter[str]()
        self._lock = threading.Lock()

    def counted(self, prefix: str) -> int:
        return sum(request.startswith(prefix) for request in self.requests)

    @contextmanager
    def solve(self, answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        """A solver that shows http-01 answers to this CA."""
        chosen = [each for each in answers if each.type == "http-01"]
        self.shown |= {each.token: each.key_authorization for each in chosen}
        try:
            yield chosen
        finally:
            for each in chosen:
                del self.shown[each.token]

    # -- transport

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        assert url.startswith(f"{BASE}/")
        assert timeout > 0
        self.time.tick()
        segment = url.removeprefix(f"{BASE}/").split("/")[0]
        with self._lock:
            self.requests.append(f"{method} {segment}")
            pending = self.faults.get(segment, [])
            fault = pending.pop(0) if pending else None
            if isinstance(fault, Response):
                return fault
            if fault is not None and not isinstance(fault, Lost):
                raise fault
            try:
                response = self._serve(method, segment, url, headers, body)
            except Refused as refused:
                response = refused.response
            if isinstance(fault, Lost):
                raise ConnectionFailed(url, "closed before the answer came")
            return self._with_nonce(response) if method != "GET" else response

    def _with_nonce(self, response: Response) -> Response:
        nonce = f"nonce-{self._next('nonce')}"
        self._nonces.add(nonce)
        fields = [*response.headers.items(), ("Replay-Nonce", nonce)]
        return Response(response.status, Headers(fields), response.body)

    def _serve(self, method: str, segment: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        if method == "GET" and segment == "directory":
            return answer(200, self._directory())
        if method == "GET" and segment == "renewal" and self.renewal:
            return self.renewal
        if method == "HEAD" and segment == "new-nonce":
            return answer(200)
        assert method == "POST", f"{method} {url}"
        assert body is not None
        assert headers["Content-Type"] == "application/jose+json"
        jws, account = self._authenticate(url, body)
        handler: Callable[[str, JWS, str], Response] = getattr(self, f"_{segment.replace('-', '_')}")
        return handler(url, jws, account)

    def _authenticate(self, url: str, body: bytes) -> tuple[JWS, str]:
        """The request and its account's URL, empty if it carries its key (RFC 8555 section 6)."""
        jws = jws_verifier.read(body)
        nonce = jws.protected["nonce"]
        rejected = nonce not in self._nonces or self.reject_nonces > 0
        self._nonces.discard(nonce)
        if rejected:
            self.reject_nonces = max(0, self.reject_nonces - 1)
            raise Refused(400, "badNonce", "not a nonce of mine")
        if jws.protected["url"] != url:
            raise Refused(401, "unauthorized", "signed for another URL")
        if ("kid" in jws.protected) == ("jwk" in jws.protected):
            raise Refused(400, "malformed", "exactly one of kid and jwk")
        account = jws.protected.get("kid", "")
        if account and self.accounts.get(account, {}).get("status") != "valid":
            raise Refused(401, "unauthorized", "no such account")
        try:
            jws_verifier.verify(jws, self.accounts[account]["key"] if account else jws.protected["jwk"])
        except jws_verifier.BadJWS as error:
            raise Refused(401, "unauthorized", str(error)) from error
        return jws, account

    def _next(self, what: str) -> int:
        self._count[what] += 1
        return self._count[what]

    # -- resources

    def _directory(self) -> dict[str, Any]:
        names = {"newNonce": "new-nonce", "newAccount": "new-account", "newOrder": "new-order"}
        names |= {"revokeCert": "revoke-cert", "keyChange": "key-change"}
        if self.renewal:
            names["renewalInfo"] = "renewal"
        return {name: f"{BASE}/{segment}" for name, segment in names.items()} | {"meta": self.meta}

    def _new_account(self, url: str, jws: JWS, account: str) -> Response:
        assert not account
        asked, jwk = jws.json(), jws.protected["jwk"]
        for known, held in self.accounts.items():
            if held["key"] == jwk:
                return self._account_answer(200, known)
        if asked.get("onlyReturnExisting"):
            raise Refused(400, "accountDoesNotExist", "no account has this key")
        if not asked.get("termsOfServiceAgreed"):
            raise Refused(403, "userActionRequired", "agree to the terms")
        if self.external_keys:
            self._check_external(url, asked.get("externalAccountBinding"), jwk)
        made = f"{BASE}/account/{self._next('account')}"
        self.accounts[made] = {"key": jwk, "status": "valid", "contact": asked.get("contact", [])}
        return self._account_answer(201, made)

    def _check_external(self, url: str, binding: Any, jwk: dict[str, str]) -> None:
        if not binding:
            raise Refused(403, "externalAccountRequired", "bind an external account")
        inner = jws_verifier.read(binding)
        jws_verifier.verify_hs256(inner, self.external_keys[inner.protected["kid"]])
        assert inner.protected["url"] == url
        assert inner.json() == jwk

    def _account_answer(self, status: int, url: str) -> Response:
        held = self.accounts[url]
        return answer(status, {"status": held["status"], "contact": held["contact"]}, Location=url)

    def _account(self, url: str, jws: JWS, account: str) -> Response:
        assert url == account
        self.accounts[url] |= jws.json()
        return self._account_answer(200, url)

    def _key_change(self, url: str, jws: JWS, account: str) -> Response:
        inner = jws_verifier.read(jws.json())
        jws_verifier.verify(inner, inner.protected["jwk"])
        assert "nonce" not in inner.protected
        assert inner.protected["url"] == url
        if inner.json() != {"account": account, "oldKey": self.accounts[account]["key"]}:
            raise Refused(400, "malformed", "not your account or key")
        self.accounts[account]["key"] = inner.protected["jwk"]
        return answer(200, {})

    def _new_order(self, url: str, jws: JWS, account: str) -> Response:
        asked = jws.json()
        if "replaces" in asked and self.refuse_replaces:
            raise Refused(409, self.refuse_replaces, "that certificate was replaced")
        authorizations = []
        for identifier in asked["identifiers"]:
            name = identifier["value"].removeprefix("*.")
            token = f"token-{self._next('token')}"
            held = _Authorization(identifier | {"value": name}, name != identifier["value"], token)
            held.status = "valid" if name in self.reuse else "pending"
            authorizations.append(f"{BASE}/authorization/{token}")
            self.authorizations[authorizations[-1]] = held
        made = f"{BASE}/order/{self._next('order')}"
        self.orders[made] = _Order(asked["identifiers"], authorizations, asked=asked)
        return self._order_answer(201, made)

    def _order(self, url: str, jws: JWS, account: str) -> Response:
        if url not in self.orders:
            raise Refused(404, "malformed", "no such order")
        order = self.orders[url]
        order.looks += 1
        if order.status == "pending" and order.looks > self.validation_looks:
            for authorization in order.authorizations:
                self._validate(self.authorizations[authorization])
        if order.status == "processing" and order.looks >= self.issuance_looks:
            order.status = "valid"
        return self._order_answer(200, url)

    def _validate(self, held: _Authorization) -> None:
        if held.status != "pending" or not held.responded:
            return
        found = self.shown.get(held.token)
        held.status = "valid" if found == held.responded else "invalid"
        if held.status == "invalid":
            kind = "urn:ietf:params:acme:error:incorrectResponse"
            held.error = {"type": kind, "detail": f"found {found!r}", "status": 403}

    def _status(self, order: _Order) -> str:
        states = {self.authorizations[url].status for url in order.authorizations}
        if order.status == "pending" and "invalid" in states:
            order.status = "invalid"
        if order.status == "pending" and states == {"valid"}:
            order.status = "ready"
        return order.status

    def _order_answer(self, status: int, url: str) -> Response:
        order = self.orders[url]
        number = url.rsplit("/", 1)[1]
        document: dict[str, Any] = {
            "status": self._status(order),
            "identifiers": order.identifiers,
            "authorizations": order.authorizations,
            "finalize": f"{BASE}/finalize/{number}",
            "expires": "2026-12-01T00:00:00Z",
        }
        if order.status == "valid":
            document["certificate"] = f"{BASE}/certificate/{number}"
        wait = {"Retry_After": self.retry_after} if self.retry_after else {}
        return answer(status, document, Location=url, **wait)

    def _authorization(self, url: str, jws: JWS, account: str) -> Response:
        held = self.authorizations[url]
        challenges: list[dict[str, Any]] = []
        for kind in ("dns-01",) if held.wildcard else ("http-01", "dns-01", "tls-alpn-01"):
            status = held.status if held.status != "pending" or not held.responded else "processing"
            challenge = {"type": kind, "url": f"{BASE}/challenge/{held.token}/{kind}", "token": held.token}
            challenges.append(challenge | {"status": status, **({"error": held.error} if held.error else {})})
        challenges.append({"type": "sometime-01", "url": f"{BASE}/challenge/{held.token}/no", "status": "pending"})
        document = {"identifier": held.identifier, "status": held.status, "challenges": challenges}
        return answer(200, document | ({"wildcard": True} if held.wildcard else {}))

    def _challenge(self, url: str, jws: JWS, account: str) -> Response:
        token, kind = url.split("/")[-2:]
        held = self.authorizations[f"{BASE}/authorization/{token}"]
        assert jws.json() == {}
        if held.responded:
            raise Refused(400, "malformed", "only a pending challenge can be responded to")
        held.responded = f"{token}.{jws_verifier.thumbprint(self.accounts[account]['key'])}"
        return answer(200, {"type": kind, "url": url, "token": token, "status": "processing"})

    def _finalize(self, url: str, jws: JWS, account: str) -> Response:
        order_url = url.replace("/finalize/", "/order/")
        order = self.orders[order_url]
        if order.status != "ready":
            raise Refused(403, "orderNotReady", f"it is {order.status}")
        csr = x509.load_der_x509_csr(jws_verifier.decode(jws.json()["csr"]))
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        wanted = {identifier["value"] for identifier in order.identifiers}
        if set(names.get_values_for_type(x509.DNSName)) != wanted:
            raise Refused(400, "badCSR", "other names than ordered")
        other = x509.load_der_x509_csr(memory_pki.request(*wanted))
        order.leaf = memory_pki.issue(other if self.deaf_to_csr else csr)
        order.status, order.looks = "processing" if self.issuance_looks else "valid", 0
        return self._order_answer(200, order_url)

    def _certificate(self, url: str, jws: JWS, account: str) -> Response:
        number, *alternate = url.removeprefix(f"{BASE}/certificate/").split("/")
        leaf = self.orders[f"{BASE}/order/{number}"].leaf
        assert leaf is not None
        chain = memory_pki.pem(leaf, "Root 2" if alternate else "Root 1")
        links = {} if alternate else {"Link": f'<{DIRECTORY}>;rel="index", <{url}/1>;rel="alternate"'}
        return answer(200, chain, kind="application/pem-certificate-chain", **links)

    def _revoke_cert(self, url: str, jws: JWS, account: str) -> Response:
        asked = jws.json()
        leaf = x509.load_der_x509_certificate(jws_verifier.decode(asked["certificate"]))
        if not account:
            numbers = leaf.public_key().public_numbers()  # type: ignore[union-attr]
            assert jws_verifier.decode(jws.protected["jwk"]["x"]) == numbers.x.to_bytes(32, "big")  # type: ignore[union-attr]
        if leaf.serial_number in self.revoked:
            raise Refused(400, "alreadyRevoked", "it is revoked")
        self.revoked[leaf.serial_number] = asked.get("reason")
        return answer(200)
