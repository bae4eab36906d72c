"""The ceiling: the least that a Python process does for certificates, on plain streams; `bench/issue.py` runs it.

    python bench/bare_probe.py DIRECTORY CA_FILE ACCOUNT WEBROOT --count 200 --in-flight 8

Only the standard library and cryptography. It trusts every answer, bounds nothing, keeps nothing, and gives up at the
first thing that is not as expected: what a client that does more costs is measured against it. ACCOUNT is a file that
`--register` writes.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PAUSE_SECONDS = 0.005
Json = dict[str, Any]


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Account:
    """A key, and the account's URL."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, url: str = "") -> None:
        self.key, self.url = key, url
        point = key.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(point.x.to_bytes(32)), "y": b64(point.y.to_bytes(32))}
        canonical = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True).encode()
        self.thumbprint = b64(hashlib.sha256(canonical).digest())

    def signed(self, url: str, nonce: str, payload: Json | None) -> bytes:
        """The body of a request."""
        header = {"alg": "ES256", "nonce": nonce, "url": url}
        protected = b64(json.dumps({**header, **({"kid": self.url} if self.url else {"jwk": self.jwk})}).encode())
        content = "" if payload is None else b64(json.dumps(payload).encode())
        r, s = decode_dss_signature(self.key.sign(f"{protected}.{content}".encode(), ec.ECDSA(SHA256())))
        signature = b64(r.to_bytes(32) + s.to_bytes(32))
        return json.dumps({"protected": protected, "payload": content, "signature": signature}).encode()


class Connection:
    """One kept-alive connection with a nonce."""

    def __init__(self, context: ssl.SSLContext, account: Account, directory: str) -> None:
        self.context, self.account = context, account
        self.host = urlsplit(directory).netloc
        self.directory_url = directory
        self.directory: Json = {}
        self.nonce = ""

    async def open(self) -> None:
        """Connect, and read the directory."""
        parts = urlsplit(self.directory_url)
        self.reader, self.writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=self.context)
        self.directory = json.loads((await self.ask("GET", self.directory_url))[1])
        await self.ask("HEAD", self.directory["newNonce"])

    async def close(self) -> None:
        """End the connection."""
        self.writer.close()
        await self.writer.wait_closed()

    async def post(self, url: str, payload: Json | None = None) -> tuple[dict[str, str], Json]:
        """A signed request: headers and object."""
        headers, body = await self.ask("POST", url, self.account.signed(url, self.nonce, payload))
        return headers, json.loads(body)

    async def ask(self, method: str, url: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
        """Any request."""
        path = urlsplit(url).path
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nUser-Agent: bare\r\n"
        if body:
            head += f"Content-Type: application/jose+json\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(f"{head}\r\n".encode() + body)
        told = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in told[1:-2])}
        content = b""
        if method != "HEAD" and headers.get("transfer-encoding") == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                content += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        elif method != "HEAD":
            content = await self.reader.readexactly(int(headers.get("content-length", 0)))
        self.nonce = headers.get("replay-nonce", self.nonce)
        if int(told[0].split()[1]) >= 300:  # noqa: PLR2004 - no success
            raise SystemExit(f"{method} {url}: {told[0]} {content[:300]!r}")
        return headers, content

    async def settled(self, url: str, states: tuple[str, ...]) -> Json:
        """The object at `url`, once it has left these states."""
        while True:
            found = (await self.post(url))[1]
            if found["status"] not in states:
                return found
            await asyncio.sleep(PAUSE_SECONDS)


async def obtain(connection: Connection, name: str, webroot: Path) -> bytes:
    """One certificate: its chain in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    csr = b64(request.sign(key, SHA256()).public_bytes(Encoding.DER))
    wanted = {"identifiers": [{"type": "dns", "value": name}]}
    headers, order = await connection.post(connection.directory["newOrder"], wanted)
    _, authorization = await connection.post(order["authorizations"][0])
    challenge = next(c for c in authorization["challenges"] if c["type"] == "http-01")
    answer = webroot / ".well-known" / "acme-challenge" / challenge["token"]
    answer.write_text(f"{challenge['token']}.{connection.account.thumbprint}")
    await connection.post(challenge["url"], {})
    if (await connection.settled(headers["location"], ("pending",)))["status"] != "ready":
        raise SystemExit(f"{name} was not proved")
    answer.unlink()
    await connection.post(order["finalize"], {"csr": csr})
    done = await connection.settled(headers["location"], ("ready", "processing"))
    return (
        await connection.ask(
            "POST", done["certificate"], connection.account.signed(done["certificate"], connection.nonce, None)
        )
    )[1]


async def run(options: argparse.Namespace) -> None:
    """Register, or obtain so many certificates with so many in flight."""
    context = ssl.create_default_context(cafile=options.ca_file)
    if options.register:
        account = Account(ec.generate_private_key(ec.SECP256R1()))
        connection = Connection(context, account, options.directory)
        await connection.open()
        headers, _ = await connection.post(connection.directory["newAccount"], {"termsOfServiceAgreed": True})
        pem = account.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        options.account.write_text(json.dumps({"key": pem, "url": headers["location"]}))
        await connection.close()
        return
    kept = json.loads(options.account.read_text())
    key = load_pem_private_key(kept["key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    account = Account(key, kept["url"])
    names = [f"{options.prefix}{number}.contoso.test" for number in range(options.count)]

    async def work() -> None:
        connection = Connection(context, account, options.directory)
        await connection.open()
        while names:
            chain = await obtain(connection, names.pop(), options.webroot)
            assert chain.startswith(b"-----BEGIN CERTIFICATE-----")
        await connection.close()

    await asyncio.gather(*(work() for _ in range(min(options.in_flight, options.count))))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("ca_file", type=Path)
    parser.add_argument("account", type=Path)
    parser.add_argument("webroot", type=Path)
    parser.add_argument("--register", action="store_true", help="make ACCOUNT, and nothing else")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--prefix", default="bare")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
