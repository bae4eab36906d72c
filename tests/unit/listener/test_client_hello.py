"""First messages of TLS clients, real and broken."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.listener.client_hello import MAX_HELLO, ClientHello, read_client_hello


def hello(server_name: str | None, *protocols: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def in_records(data: bytes, size: int) -> bytes:
    """The same message in records of `size` bytes."""
    message = data[5:]
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


LABELS = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "test"]))
PROTOCOLS = st.lists(st.sampled_from(["acme-tls/1", "h2", "http/1.1"]), max_size=3)


@given(NAMES, PROTOCOLS, st.sampled_from([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]), st.integers(20, 600))
def test_what_openssl_asks_for_is_read(name: str, protocols: list[str], version: ssl.TLSVersion, size: int) -> None:
    data = hello(name, *protocols, version=version)
    wanted = ClientHello(name, tuple(protocol.encode() for protocol in protocols))
    assert read_client_hello(data) == read_client_hello(in_records(data, size)) == wanted
    assert read_client_hello(data + b"more") == wanted


def test_a_client_may_name_nothing() -> None:
    assert read_client_hello(hello(None)) == ClientHello()


def test_it_is_waited_for_until_it_is_complete() -> None:
    data = in_records(hello("mail.contoso.test", "acme-tls/1"), 50)
    assert [read_client_hello(data[:end]) for end in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00\x16\x03\x01\x00\x01\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        b"\x16\x03\x01\x00\x00" * 3,
        in_records(hello("mail.contoso.test"), 1),
        b"\x16\x03\x01\xff\xff",
        (b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(MAX_HELLO - 4)) * 3,
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no |ends"):
        read_client_hello(data)


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 400))
def test_any_bytes_are_read_refused_or_waited_for(noise: bytes, at: int, cut: int) -> None:
    data = hello("mail.contoso.test", "acme-tls/1")
    for mangled in (noise, data[:at] + noise + data[at + len(noise) :], data[:at] + data[at + cut :]):
        try:
            found = read_client_hello(mangled)
        except ValueError:
            continue
        assert found is None or isinstance(found, ClientHello)
