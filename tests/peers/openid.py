"""An OpenID provider of its own, which can be made to answer as none should; it signs with cryptography alone."""

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT, ACCESS_TOKEN = "certwright", "the-access-token"
_ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
_KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(2)]


@dataclass
class Misled:
    """How it answers: what is told otherwise than it should be.

    `claims` and `headers` are those of the ID token that differ; one that is None is left out. `answers` are whole
    answers by path. `key` is which of its keys it signs with, `shown` those that it shows, by their numbers.
    """

    claims: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    back: dict[str, str | None] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=lambda: {"sub": "4711"})
    key: int = 0
    shown: tuple[int, ...] = (0,)
    spoilt: bool = False
    silent: float = 0.0


@dataclass
class OpenId:
    """The provider, what it was asked, and how it is misled. `localhost` is another site than the pages are."""

    base: str
    port: int
    misled: Misled = field(default_factory=Misled)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    begun: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"{self.base}/realms/main"

    def sign_in(self, url: str) -> str:
        """Where a browser is sent back to that was sent to this address."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"a-code-{secrets.token_urlsafe()}"
        self.begun[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer} | self.misled.back
        return (
            f"{asked['redirect_uri']}?{urlencode({name: value for name, value in back.items() if value is not None})}"
        )

    def answer(self, whole: str, form: dict[str, str]) -> tuple[int, bytes]:
        path = urlsplit(whole).path
        self.asked.append(path)
        time.sleep(self.misled.silent)
        if path in self.misled.answers:
            return self.misled.answers[path]
        if path == "/token":
            return self._tokens(form)
        pages: dict[str, Callable[[], Any]] = {
            "/realms/main/.well-known/openid-configuration": self._metadata,
            "/keys": lambda: {"keys": [_jwk(number) for number in self.misled.shown]},
            "/userinfo": lambda: self.misled.userinfo,
        }
        if path in pages:
            return 200, json.dumps(pages[path]()).encode()
        if path == "/authorize":
            return 200, f'<a href="{escape(self.sign_in(whole))}">Go on as anna</a>'.encode()
        return 404, b"<h1>Nothing</h1>"

    def _metadata(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize?theme=dark",
            "token_endpoint": f"{self.base}/token",
            "jwks_uri": f"{self.base}/keys",
            "userinfo_endpoint": f"{self.base}/userinfo",
            "authorization_response_iss_parameter_supported": True,
        }
        return told | self.misled.metadata

    def _tokens(self, form: dict[str, str]) -> tuple[int, bytes]:
        self.forms.append(form)
        began = self.begun.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if began is None or began["code_challenge"] != _text(challenge):
            return 400, json.dumps({"error": "invalid_grant"}).encode()
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "4711",
            "aud": CLIENT,
            "exp": now + 3600,
            "iat": now,
            "nonce": began["nonce"],
            "preferred_username": "anna",
            "groups": ["certificate team"],
        } | self.misled.claims
        token = self._signed({name: value for name, value in claims.items() if value is not None})
        return 200, json.dumps({"token_type": "Bearer", "access_token": ACCESS_TOKEN, "id_token": token}).encode()

    def _signed(self, claims: dict[str, Any]) -> str:
        headers = {"alg": "RS256", "kid": str(self.misled.key), "typ": "JWT"} | self.misled.headers
        parts = ({name: value for name, value in headers.items() if value is not None}, claims)
        told = ".".join(_text(json.dumps(part).encode()) for part in parts)
        signature = bytearray(_signature(headers["alg"], self.misled.key, told.encode()))
        if self.misled.spoilt:
            signature[-1] ^= 1
        return f"{told}.{_text(bytes(signature))}"


def _signature(algorithm: str, key: int, told: bytes) -> bytes:
    match algorithm:
        case "RS256":
            return _KEYS[key].sign(told, padding.PKCS1v15(), hashes.SHA256())
        case "PS256":
            return _KEYS[key].sign(told, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        case "ES256":
            one, other = decode_dss_signature(_ELLIPTIC.sign(told, ec.ECDSA(hashes.SHA256())))
            return one.to_bytes(32, "big") + other.to_bytes(32, "big")
        case "HS256":  # with what everybody knows
            shown = _KEYS[key].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return hmac.digest(shown, told, "sha256")
    return b"\0"


def _jwk(number: int) -> dict[str, Any]:
    if number < len(_KEYS):
        public = _KEYS[number].public_key().public_numbers()
        return {"kty": "RSA", "kid": str(number), "use": "sig", "n": _number(public.n), "e": _number(public.e)}
    point = _ELLIPTIC.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": str(number), "x": _number(point.x), "y": _number(point.y)}


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def openid(name: str = "", tls: ssl.SSLContext | None = None) -> Iterator[OpenId]:
    """One that answers as it should, until it is misled; with TLS it has this name, and is found by whoever knows."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(form | {"Authorization": self.headers.get("Authorization", "")})

        def _answer(self, form: dict[str, str]) -> None:
            status, body = made.answer(self.path, form)
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if body.startswith(b"<") else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # who asked may have had enough
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = OpenId(f"https://{name}" if tls else f"http://localhost:{server.server_port}", server.server_port)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
