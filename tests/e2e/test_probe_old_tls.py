"""Servers that no client of today talks to are looked at all the same, and said to be old."""

import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certwright.probe import Observation, Target, probe
from peers.daemons import TlsFiles
from peers.nonsense import converses, nonsense
from peers.old_tls import s_server, unsafe_renegotiation
from unit.probe.pki import WEAK_KEY, issue

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate with an RSA key of 1024 bits, as old servers may still have."""
    folder = tmp_path_factory.mktemp("weak")
    certificate = issue(NAME, key=WEAK_KEY).certificate.public_bytes(Encoding.PEM)
    files = TlsFiles(folder / "key.pem", folder / "chain.pem", (certificate,))
    files.key.write_bytes(WEAK_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.chain.write_bytes(certificate)
    return files


def refusal_today(port: int) -> str:
    """Why a client gives up that verifies nothing and takes any cipher, but asks for as much as clients do today."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL")
    with socket.create_connection((HOST, port), timeout=10) as sock, pytest.raises(ssl.SSLError) as caught:
        context.wrap_socket(sock)
    return caught.value.reason


def look(port: int, tls: TlsFiles) -> Observation:
    seen = probe(Target(HOST, port, server_name=NAME))
    assert [ssl.DER_cert_to_PEM_cert(der).encode() for der in seen.chain] == list(tls.pem)
    return seen


@pytest.mark.parametrize(("option", "version"), [("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1")])
def test_tls_that_is_deprecated_is_seen_and_said_to_be(
    option: str, version: str, weak: TlsFiles, tmp_path: Path
) -> None:
    with s_server(tmp_path, weak, option, "-cipher", "ALL:@SECLEVEL=0") as port:
        refused = refusal_today(port)
        seen = look(port, weak)
    assert refused
    assert seen.failure is None
    assert seen.protocol == version
    assert seen.is_deprecated


def test_a_small_diffie_hellman_group_is_no_hindrance(weak: TlsFiles, tmp_path: Path) -> None:
    """Of 1024 bits: OpenSSL talks to no server with less, whatever it is told."""
    group = tmp_path / "dh.pem"
    subprocess.run(
        ["openssl", "dhparam", "-dsaparam", "-out", group, "1024"], check=True, capture_output=True, timeout=60
    )
    options = "-tls1_2", "-dhparam", str(group), "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0"
    with s_server(tmp_path, weak, *options) as port:
        refused = refusal_today(port)
        seen = look(port, weak)
    assert "TOO_SMALL" in refused
    assert seen.failure is None
    assert (seen.protocol, seen.cipher, seen.is_deprecated) == ("TLSv1.2", "DHE-RSA-AES128-SHA", False)


def test_a_server_that_knows_no_safe_renegotiation_is_seen(weak: TlsFiles) -> None:
    """As far as it goes: this one leaves once it has shown its certificate."""
    flight = unsafe_renegotiation(ssl.PEM_cert_to_DER_cert(weak.pem[0].decode()))
    with nonsense(converses(b"", flight)) as port:
        refused = refusal_today(port)
        seen = look(port, weak)
    assert refused == "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"
    assert seen.covers_name is True
