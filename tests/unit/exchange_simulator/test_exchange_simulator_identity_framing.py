"""Sealed messages as [MS-WSMV] 2.2.9.1.1.2 lays them out, written out here by hand."""

import os
from pathlib import Path

import pytest
import spnego

from certwright.exchange_simulator.message_encryption import Unreadable, content_type, is_sealed, seal, unseal

HEADER = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
OPENING = (
    b"--Encrypted Boundary\r\n"
    b"\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
    b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=4\r\n"
    b"--Encrypted Boundary\r\n"
    b"\tContent-Type: application/octet-stream\r\n"
)
CLOSING = b"--Encrypted Boundary--\r\n"
MESSAGE = b"<x/>"


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[spnego.ContextProxy, spnego.ContextProxy]:
    """Client and server of one NTLM session."""
    users = tmp_path / "users"
    users.write_text(":user:password\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    client = spnego.client("user", "password", protocol="ntlm", options=spnego.NegotiateOptions.wrapping_winrm)
    server = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.wrapping_winrm)
    server.step(client.step(server.step(client.step())))
    return client, server


def sealed_by(context: spnego.ContextProxy) -> bytes:
    sealed = context.wrap_winrm(MESSAGE)
    return OPENING + b"\x10\0\0\0" + sealed.header + sealed.data + CLOSING


Contexts = tuple[spnego.ContextProxy, spnego.ContextProxy]


def test_a_message_as_the_specification_lays_it_out(contexts: Contexts) -> None:
    client, server = contexts
    assert unseal(sealed_by(client), HEADER, server, "SPNEGO") == MESSAGE


@pytest.mark.parametrize("dashes", ["--", "-- "])
def test_what_is_sealed_is_laid_out_so(contexts: Contexts, dashes: str) -> None:
    client, server = contexts
    body = seal(MESSAGE, server, "SPNEGO", dashes)
    opening = OPENING.replace(b"--E", f"{dashes}E".encode())
    assert body.startswith(opening + b"\x10\0\0\0")
    rest = body.removeprefix(opening + b"\x10\0\0\0").removesuffix(f"{dashes}Encrypted Boundary--\r\n".encode())
    assert client.unwrap_winrm(rest[:16], rest[16:]) == MESSAGE
    assert content_type("SPNEGO") == HEADER


def test_a_cipher_text_that_holds_the_boundary_is_no_trouble(contexts: Contexts) -> None:
    client, server = contexts
    # The key stream is known to both ends: a plain text that gives this cipher text can be made.
    twin = bytes(a ^ b for a, b in zip(CLOSING, key_stream(server, len(CLOSING)), strict=True))
    sealed = client.wrap_winrm(twin)
    assert sealed.data == CLOSING
    body = OPENING.replace(b"Length=4", b"Length=%d" % len(CLOSING))
    assert unseal(body + b"\x10\0\0\0" + sealed.header + CLOSING + CLOSING, HEADER, server, "SPNEGO") == twin


def key_stream(server: spnego.ContextProxy, length: int) -> bytes:
    """What the server will take off the first message: RC4 without knowing the plain text."""
    handle = server._handle_in  # type: ignore[attr-defined]  # of the NTLM context
    stream = bytes(handle.update(bytes(length)))
    handle.reset()
    return stream


@pytest.mark.parametrize("header", [HEADER.replace("SPNEGO", "Kerberos"), HEADER.replace(" Boundary", ""), "text/xml"])
def test_a_header_of_another_message(contexts: Contexts, header: str) -> None:
    client, server = contexts
    with pytest.raises(Unreadable, match=r"framing|different"):
        unseal(sealed_by(client), header, server, "SPNEGO")
    assert is_sealed(header) is header.startswith("multipart")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Length=4", b"Length=5"),
        (b"Length=4", b"Length=3"),
        (b"Length=4", b"Length=99999999"),
        (b"\x10\0\0\0", b"\x11\0\0\0"),
        (b"\x10\0\0\0", b"\xff\xff\xff\xff"),
        (b"octet-stream\r\n", b"octet-stream\r\n\r\n"),
        (CLOSING, b""),
    ],
)
def test_lengths_that_do_not_fit(contexts: Contexts, old: bytes, new: bytes) -> None:
    client, server = contexts
    body = sealed_by(client)
    assert old in body
    with pytest.raises(Unreadable):
        unseal(body.replace(old, new, 1), HEADER, server, "SPNEGO")


def test_a_changed_or_repeated_message_is_not_read(contexts: Contexts) -> None:
    client, server = contexts
    first, second = sealed_by(client), sealed_by(client)
    assert unseal(first, HEADER, server, "SPNEGO") == MESSAGE
    with pytest.raises(Unreadable, match="seal is broken"):
        unseal(first, HEADER, server, "SPNEGO")
    position = len(second) - len(CLOSING) - 1
    changed = second[:position] + bytes([second[position] ^ 1]) + second[position + 1 :]
    with pytest.raises(Unreadable, match="seal is broken"):
        unseal(changed, HEADER, server, "SPNEGO")


def test_no_bytes_do_anything_but_refuse(contexts: Contexts) -> None:
    _, server = contexts
    for body in (b"", OPENING, OPENING + CLOSING, os.urandom(200), OPENING + bytes(50)):
        with pytest.raises(Unreadable):
            unseal(body, HEADER, server, "SPNEGO")
