from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError, InvalidMaterial
from certwright.domain.keys import (
    MAX_KEY_FILE,
    KeyType,
    PrivateKey,
    generate,
    is_pem,
    key_type,
    load_own_key,
    load_private_key,
    private_key_pem,
)
from unit.domain.workshop import damaged, ec_key, leaf, rsa_key

PLAIN = NoEncryption()


def _numbers(key: PrivateKey) -> object:
    return key.private_numbers()


@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind is not KeyType.RSA_4096])
def test_a_generated_key_is_of_its_kind_and_is_read_back(kind: KeyType) -> None:
    key = generate(kind)
    assert key_type(key) is kind
    assert key_type(key.public_key()) is kind
    assert kind.is_rsa is isinstance(key, rsa.RSAPrivateKey)
    written = private_key_pem(key)
    assert written.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert _numbers(load_private_key(written)) == _numbers(key)
    assert _numbers(load_own_key(written)) == _numbers(key)


def _forms() -> Iterator[tuple[str, PrivateKey, bytes]]:
    for name, key in (("rsa", rsa_key()), ("ec", ec_key())):
        for encoding_name, encoding in (("PEM", Encoding.PEM), ("DER", Encoding.DER)):
            for form_name, form in (("PKCS8", PrivateFormat.PKCS8), ("old", PrivateFormat.TraditionalOpenSSL)):
                yield f"{name}-{encoding_name}-{form_name}", key, key.private_bytes(encoding, form, PLAIN)
        pfx = pkcs12.serialize_key_and_certificates(b"x", key, None, [], PLAIN)
        yield f"{name}-PFX", key, pfx


FORMS = list(_forms())


@pytest.mark.parametrize(("key", "data"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_every_usual_form_is_read(key: PrivateKey, data: bytes) -> None:
    assert _numbers(load_private_key(data)) == _numbers(key)


def test_a_key_is_found_beside_its_certificates() -> None:
    key = ec_key()
    certificate = leaf("mail.contoso.com").public_bytes(Encoding.PEM)
    written = private_key_pem(key)
    assert _numbers(load_private_key(b"Bag Attributes\n" + written + certificate)) == _numbers(key)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_an_encrypted_key_needs_its_password(encoding: Encoding) -> None:
    key = ec_key()
    data = key.private_bytes(encoding, PrivateFormat.PKCS8, BestAvailableEncryption("pässwörd".encode()))
    assert _numbers(load_private_key(data, "pässwörd".encode())) == _numbers(key)
    with pytest.raises(InvalidMaterial, match="is encrypted"):
        load_private_key(data)
    with pytest.raises(InvalidMaterial, match="the password is wrong"):
        load_private_key(data, b"other")


def test_a_pfx_needs_its_password() -> None:
    key = ec_key()
    data = pkcs12.serialize_key_and_certificates(b"x", key, None, [], BestAvailableEncryption("密码".encode()))
    assert _numbers(load_private_key(data, "密码".encode())) == _numbers(key)
    for damaged_or_not in (data, data[:-40], b"\x30\x05\x02\x01\x03\x30\x00"):
        with pytest.raises(InvalidMaterial, match="PFX file is encrypted, or damaged"):
            load_private_key(damaged_or_not)
    with pytest.raises(InvalidMaterial, match="the password is wrong"):
        load_private_key(data, b"other")


def test_a_pfx_without_a_key_is_no_key() -> None:
    data = pkcs12.serialize_key_and_certificates(b"x", None, leaf("mail.contoso.com"), [], PLAIN)
    with pytest.raises(InvalidMaterial, match="no PEM, DER or PFX file with a key"):
        load_private_key(data)


def test_a_password_that_is_not_needed_is_named() -> None:
    with pytest.raises(InvalidMaterial, match="is not encrypted"):
        load_private_key(private_key_pem(ec_key()), b"password")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
        (ec.generate_private_key(ec.SECP521R1()), "curve secp521r1"),
        (ec.generate_private_key(ec.SECP256K1()), "curve secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), "neither RSA nor ECDSA"),
        (dsa.generate_private_key(1024), "neither RSA nor ECDSA"),
    ],
    ids=["rsa-1024", "p-521", "k-256", "ed25519", "dsa"],
)
def test_keys_that_authorities_do_not_sign_are_refused(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey, reason: str
) -> None:
    with pytest.raises(InvalidMaterial, match=reason) as caught:
        load_private_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN))
    assert caught.value.hint


def test_a_key_whose_parts_do_not_fit_is_refused() -> None:
    data = bytearray(rsa_key().private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, PLAIN))
    data[200] ^= 1  # within the modulus
    with pytest.raises(InvalidMaterial, match="damaged"):
        load_private_key(bytes(data))


@pytest.mark.parametrize("data", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----", b"0"])
def test_rubbish_is_no_key(data: bytes) -> None:
    with pytest.raises(InvalidMaterial, match="cannot be read"):
        load_private_key(data)


def test_a_huge_file_is_refused_unread() -> None:
    with pytest.raises(InvalidMaterial, match=f"{MAX_KEY_FILE} are the most"):
        load_private_key(b"-----BEGIN PRIVATE KEY-----\n" * 1_000_000)


@given(
    st.binary(max_size=300)
    | st.sampled_from([data for _, _, data in FORMS]).flatmap(damaged)
    | st.binary(max_size=200).map(lambda data: b"-----BEGIN PRIVATE KEY-----\n" + data),
    st.none() | st.binary(max_size=5),
)
def test_any_bytes_are_a_key_or_a_configuration_error(data: bytes, password: bytes | None) -> None:
    try:
        key = load_private_key(data, password)
    except ConfigurationError:
        return
    assert key_type(key) in KeyType


def test_pem_is_told_from_der() -> None:
    assert [is_pem(data) for name, _, data in FORMS] == ["PEM" in name for name, _, _ in FORMS]


def test_a_stored_key_of_another_kind_is_refused() -> None:
    odd = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN)
    with pytest.raises(InvalidMaterial, match="stored private key"):
        load_own_key(odd)
