"""TLS servers as they were, which offer only what is long out of date."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import HOST, TlsFiles, running
from peers.debian import require
from peers.ports import free_port


@contextmanager
def s_server(folder: Path, tls: TlsFiles, *options: str) -> Iterator[int]:
    """The port of ``openssl s_server`` with ``options``."""
    require("openssl")
    port = free_port()
    files = ["-cert", str(tls.chain), "-key", str(tls.key)]
    command = ["openssl", "s_server", "-accept", f"{HOST}:{port}", *files, "-www", *options]
    with running(command, [port], folder / "s_server.log"):
        yield port


def unsafe_renegotiation(certificate: bytes) -> bytes:
    """The first flight of a TLS 1.2 server from before RFC 5746, with one ``certificate`` in DER.

    Its hello carries no extension at all, where OpenSSL's always answers about renegotiation.
    """
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x2f" + b"\x00"  # TLS_RSA_WITH_AES_128_CBC_SHA
    entry = len(certificate).to_bytes(3) + certificate
    messages = _message(2, hello) + _message(11, len(entry).to_bytes(3) + entry) + _message(14, b"")
    return b"\x16\x03\x03" + len(messages).to_bytes(2) + messages


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3) + body
