"""A bare ACME client for tests of the server: every field of every message can be made wrong."""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.acme_server.messages import Request
from peers.acme_server import challenge_responder, loopback_config

Key = ec.EllipticCurvePrivateKey
ERROR = "urn:ietf:params:acme:error:"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: Key) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32)), "y": b64(numbers.y.to_bytes(32))}


def thumbprint(key: Key) -> str:
    text = json.dumps(jwk(key), sort_keys=True, separators=(",", ":"))
    digest = hashes.Hash(hashes.SHA256())
    digest.update(text.encode())
    return b64(digest.finalize())


def sign(key: Key, header: Mapping[str, Any], payload: bytes) -> dict[str, str]:
    """A flattened JWS with ES256."""
    protected = b64(json.dumps(header).encode())
    r, s = decode_dss_signature(key.sign(f"{protected}.{b64(payload)}".encode(), ec.ECDSA(hashes.SHA256())))
    return {"protected": protected, "payload": b64(payload), "signature": b64(r.to_bytes(32) + s.to_bytes(32))}


def mac(mac_key: bytes, header: Mapping[str, Any], payload: bytes) -> dict[str, str]:
    """A flattened JWS with HS256."""
    protected = b64(json.dumps(header).encode())
    code = hmac.HMAC(mac_key, hashes.SHA256())
    code.update(f"{protected}.{b64(payload)}".encode())
    return {"protected": protected, "payload": b64(payload), "signature": b64(code.finalize())}


def csr(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    *,
    common_name: str | None = None,
) -> str:
    """A CSR for DNS names, DER in base64url."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    return b64(builder.sign(key or new_key(), hashes.SHA256()).public_bytes(Encoding.DER))


class SettableClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, span: timedelta) -> None:
        self.now += span


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; None as status is a connection closed without an answer."""

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> str:
        """The problem's type without its namespace."""
        assert ("Content-Type", "application/problem+json") in self.headers
        assert self.json["status"] == self.status
        return str(self.json["type"]).removeprefix(ERROR)

    def header(self, name: str) -> str:
        found = [value for key, value in self.headers if key == name]
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def links(self, relation: str) -> list[str]:
        wanted = f';rel="{relation}"'
        links = [value.removesuffix(wanted) for key, value in self.headers if key == "Link" and value.endswith(wanted)]
        return [link.strip("<>") for link in links]


@dataclass(slots=True)
class Wire:
    """A client of one account, right inside the server's process but through its whole protocol."""

    server: AcmeServer
    tokens: dict[str, str]
    key: Key = field(default_factory=new_key)
    kid: str = ""

    @property
    def directory(self) -> dict[str, Any]:
        return self.get(self.server.directory_url).json

    def get(self, url: str, method: str = "GET") -> Answer:
        return self.send(Request(method, self._path(url)))

    def send(self, request: Request) -> Answer:
        response = self.server._service.handle(request)
        if response is None:
            return Answer(None)
        headers = response.headers
        if response.content_type is not None:
            headers = (*headers, ("Content-Type", response.content_type))
        return Answer(response.status, headers, response.body)

    def nonce(self) -> str:
        return self.get(self._url("newNonce"), "HEAD").header("Replay-Nonce")

    def post(
        self,
        url: str,
        payload: Mapping[str, Any] | None = None,
        *,
        key: Key | None = None,
        by_key: bool = False,
        header: Mapping[str, Any] | None = None,
        content_type: str = "application/jose+json",
    ) -> Answer:
        """Signed with the account; ``payload`` None is POST-as-GET; ``header`` members of None are left out."""
        key = key or self.key
        who: dict[str, Any] = {"jwk": jwk(key)} if by_key else {"kid": self.kid}
        full = {"alg": "ES256", "nonce": self.nonce(), "url": url, **who, **(header or {})}
        full = {name: value for name, value in full.items() if value is not None}
        text = b"" if payload is None else json.dumps(payload).encode()
        body = json.dumps(sign(key, full, text)).encode()
        return self.send(Request("POST", self._path(url), {"content-type": content_type}, body))

    def register(self, **payload: Any) -> Answer:
        wanted = {"termsOfServiceAgreed": True, **payload}
        answer = self.post(self._url("newAccount"), wanted, by_key=True)
        if answer.status in (200, 201):
            self.kid = answer.header("Location")
        return answer

    def other(self) -> "Wire":
        """A second account on the same server."""
        second = Wire(self.server, self.tokens)
        assert second.register().status == 201
        return second

    def order(self, *names: str, **fields: Any) -> Answer:
        identifiers = [{"type": "dns", "value": name} for name in names]
        return self.post(self._url("newOrder"), {"identifiers": identifiers, **fields})

    def prove(self, order: Answer, kind: str = "http-01") -> Answer:
        """Answer a challenge of each pending authorization; the order once nothing is processed any more."""
        for url in order.json["authorizations"]:
            authorization = self.post(url).json
            if authorization["status"] != "pending":
                continue
            challenge = next(each for each in authorization["challenges"] if each["type"] == kind)
            if "token" in challenge:
                self.tokens[challenge["token"]] = f"{challenge['token']}.{thumbprint(self.key)}"
            assert self.post(challenge["url"], {}).status == 200
            self.until(url, lambda read: read["status"] != "pending")
        return self.post(order.header("Location"))

    def until(self, url: str, done: Any) -> Answer:
        end = time.monotonic() + 20
        while not done((answer := self.post(url)).json):
            assert time.monotonic() < end, answer.json
            time.sleep(0.005)
        return answer

    def finalize(self, order: Answer, request: str | None = None) -> Answer:
        names = [identifier["value"] for identifier in order.json["identifiers"]]
        return self.post(order.json["finalize"], {"csr": request or csr(names)})

    def obtain(self, *names: str, **fields: Any) -> Answer:
        """The finished order."""
        ready = self.prove(self.order(*names, **fields))
        assert ready.json["status"] == "ready", ready.json
        done = self.finalize(ready)
        assert done.json["status"] == "valid", done.json
        return done

    def certificates(self, order: Answer) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.post(order.json["certificate"]).body)

    def _url(self, member: str) -> str:
        return str(self.directory[member])

    def _path(self, url: str) -> str:
        base = self.server.directory_url.removesuffix("/directory")
        assert url.startswith(base)
        return url.removeprefix(base)


@contextmanager
def wire(
    config: AcmeServerConfig | None = None, clock: SettableClock | None = None, **validation: Any
) -> Iterator[Wire]:
    """A registered client of a new server; ``validation`` changes its `ValidationConfig`."""
    config = loopback_config(config)
    config = replace(config, validation=replace(config.validation, **validation))
    with challenge_responder(config.validation.http_port) as tokens:
        server = AcmeServer(config, clock=clock) if clock else AcmeServer(config)
        try:
            client = Wire(server, tokens)
            client.register()
            yield client
        finally:
            server.close()
