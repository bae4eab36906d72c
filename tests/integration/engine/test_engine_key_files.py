"""Key files that somebody brought, read by a process of their own."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates

from certwright.domain.certificates import pem
from certwright.domain.errors import InvalidMaterial, Throttled
from certwright.domain.keys import KeyType, PrivateKey, generate, private_key_pem
from certwright.engine import key_files
from certwright.engine.key_files import read_contents, read_private_key
from world.existing import existing

PASSWORD = b"correct horse"
SHROUDED_KEY = bytes.fromhex("060b2a864886f70d010c0a0102")
"""pkcs8ShroudedKeyBag (RFC 7292)."""


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(KeyType.ECDSA_P256)


def pfx(key: PrivateKey, rounds: int) -> bytes:
    """A file whose password takes so many rounds."""
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(rounds)
    way = builder.key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256()).build(PASSWORD)
    return serialize_key_and_certificates(b"key", key, None, None, way)


def encrypted(key: PrivateKey) -> bytes:
    """The key of such a file, whose password takes 0x10000 rounds (PKCS#8)."""
    data = pfx(key, 0x10000)
    begin = data.index(SHROUDED_KEY) + len(SHROUDED_KEY) + 3
    return data[begin : begin + 3 + data[begin + 2]]


def test_keys_are_read_in_every_form(key: PrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD))
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    files = [
        (pem, PASSWORD),
        (pfx(key, 1000), PASSWORD),
        (encrypted(key), PASSWORD),
        (plain, None),
        (private_key_pem(key), None),
    ]
    for data, password in files:
        assert private_key_pem(read_private_key(data, password)) == private_key_pem(key)


@pytest.mark.parametrize(("password", "has_key"), [("", True), ("secret", True), ("secret", False)])
def test_what_a_pfx_file_of_openssl_holds_is_told(tmp_path: Path, password: str, has_key: bool) -> None:
    made = existing(tmp_path, "www.contoso.com", now=datetime.now(UTC))
    pfx = made.pfx(password, *([] if has_key else ["-nokeys"])).read_bytes()
    found = read_contents(pfx, password.encode() or None)
    assert (pem(found.certificates), found.has_key) == (made.files.pem[0], has_key)


def test_of_a_pem_file_it_is_told_whether_a_key_is_in_it(tmp_path: Path) -> None:
    made = existing(tmp_path, "www.contoso.com", now=datetime.now(UTC))
    assert [read_contents(data, None).has_key for data in (made.pem, made.files.pem[0])] == [True, False]


def test_what_is_wrong_is_told_as_if_it_were_read_here(key: PrivateKey) -> None:
    with pytest.raises(InvalidMaterial, match="the password is wrong"):
        read_private_key(pfx(key, 1000), b"wrong")
    with pytest.raises(InvalidMaterial, match="no certificate in the PFX"):
        read_contents(pfx(key, 1000), PASSWORD)


def test_a_password_that_takes_too_much_work_is_given_up(key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_files, "SECONDS", 0.5)
    stuffed = encrypted(key).replace(b"\x02\x03\x01\x00\x00", b"\x02\x03\x7f\xff\xff")
    for _ in range(3):  # more than are read at once: a place is given back
        with pytest.raises(InvalidMaterial, match="so much work") as refused:
            read_private_key(stuffed, PASSWORD)
        assert "-iter" in refused.value.hint


def test_who_comes_while_others_are_read_is_told_to_come_again(
    key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_files, "SECONDS", 2)
    stuffed = encrypted(key).replace(b"\x02\x03\x01\x00\x00", b"\x02\x03\x7f\xff\xff")
    with ThreadPoolExecutor(6) as pool:
        ends = [each.exception() for each in [pool.submit(read_private_key, stuffed, PASSWORD) for _ in range(6)]]
    refused = [each for each in ends if isinstance(each, Throttled)]
    assert len(refused) == 4
    assert all(each.retry_after for each in refused)
