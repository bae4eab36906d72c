"""Signing requests, made and read."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import (
    MAX_FILE,
    build_request,
    key_matches,
    load_request,
    public_key_type,
    request_identifiers,
)
from certwright.domain.errors import ConfigurationError, InvalidMaterial
from certwright.domain.identifiers import parse_all
from certwright.domain.keys import KeyType, generate
from unit.domain.workshop import damaged, der, ec_key, general_names, request, rsa_key

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True).filter(lambda s: not s.startswith("xn--"))
HOSTS = st.lists(LABEL, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "com"]))
NAMES = st.lists(HOSTS | HOSTS.map("*.{}".format) | st.ip_addresses(v=4).map(str) | st.just("2001:db8::1"), min_size=1)
GOOD = request("mail.contoso.com", general_names(["mail.contoso.com", "192.0.2.1"]))


def _common_name(built: x509.CertificateSigningRequest) -> list[str]:
    return [str(attribute.value) for attribute in built.subject]


@given(NAMES)
def test_what_is_asked_for_is_read_back(names: list[str]) -> None:
    identifiers = parse_all(names)
    key = ec_key()
    built = load_request(build_request(identifiers, key))
    assert set(request_identifiers(built)) == set(identifiers)
    assert key_matches(key, built)


@pytest.mark.parametrize("kind", [KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.ECDSA_P384])
def test_a_request_for_every_kind_of_key(kind: KeyType) -> None:
    built = load_request(build_request(parse_all(["mail.contoso.com"]), generate(kind)))
    assert public_key_type(built) == kind


@pytest.mark.parametrize(
    ("names", "common_name"),
    [
        (["mail.contoso.com", "autodiscover.contoso.com"], ["mail.contoso.com"]),
        (["192.0.2.1", "*.contoso.com"], ["*.contoso.com"]),
        (["a" * 60 + ".contoso.com", "mail.contoso.com"], ["mail.contoso.com"]),
        (["a" * 60 + ".com"], ["a" * 60 + ".com"]),
        (["a" * 61 + ".com"], []),
        (["192.0.2.1"], []),
    ],
)
def test_the_common_name_is_the_first_host_that_fits(names: list[str], common_name: list[str]) -> None:
    built = load_request(build_request(parse_all(names), ec_key()))
    assert _common_name(built) == common_name
    alternatives = built.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert alternatives.critical is (common_name == [])


@pytest.mark.parametrize(
    ("common_name", "names", "expected"),
    [
        ("mail.contoso.com", [], ["mail.contoso.com"]),
        ("192.0.2.1", [], ["192.0.2.1"]),
        (None, ["mail.contoso.com"], ["mail.contoso.com"]),
        ("Mail.Contoso.com", ["mail.contoso.com"], ["mail.contoso.com"]),
        ("contoso.com", ["mail.contoso.com", "192.0.2.1"], ["mail.contoso.com", "192.0.2.1", "contoso.com"]),
        ("192.0.2.1", ["192.0.2.1", "2001:db8::1"], ["192.0.2.1", "2001:db8::1"]),
        ("xn--bcher-kva.de", ["*.xn--bcher-kva.de"], ["*.xn--bcher-kva.de", "xn--bcher-kva.de"]),
    ],
)
def test_the_common_name_counts_as_one_of_the_names(
    common_name: str | None, names: list[str], expected: list[str]
) -> None:
    assert [str(i) for i in request_identifiers(request(common_name, general_names(names)))] == expected


@pytest.mark.parametrize(
    ("common_name", "names", "shown"),
    [
        ("Exchange 2019", general_names(["mail.contoso.com"]), "'Exchange 2019'"),
        ("bücher.de", [], "'bücher.de'"),
        ("mail.contoso.com", [x509.DNSName("EX01_OLD")], "'EX01_OLD'"),
        ("mail.contoso.com", [x509.DNSName("192.0.2.1")], "'192.0.2.1'"),
        ("mail.contoso.com", [x509.RFC822Name("admin@contoso.com")], "'admin@contoso.com'"),
        ("mail.contoso.com", [x509.UniformResourceIdentifier("https://contoso.com")], "'https://contoso.com'"),
    ],
)
def test_names_that_no_authority_can_check_are_refused(
    common_name: str, names: list[x509.GeneralName], shown: str
) -> None:
    with pytest.raises(InvalidMaterial, match="no authority can check") as caught:
        request_identifiers(request(common_name, names))
    assert shown in caught.value.message


def test_a_request_must_name_something() -> None:
    with pytest.raises(InvalidMaterial, match="names nothing"):
        request_identifiers(request(None))


def test_pem_and_der_are_read_alike() -> None:
    assert load_request(der(GOOD)) == load_request(GOOD.public_bytes(Encoding.PEM)) == GOOD


def test_a_request_signed_by_another_key_is_refused() -> None:
    data = bytearray(der(GOOD))
    data[data.index(b"mail.contoso.com")] = ord("n")
    with pytest.raises(InvalidMaterial, match="own signature is wrong"):
        load_request(bytes(data))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "neither RSA nor ECDSA"),
        (ec.generate_private_key(ec.SECP521R1()), "secp521r1"),
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
    ],
    ids=["ed25519", "p-521", "rsa-1024"],
)
def test_keys_that_authorities_do_not_sign_are_refused(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, reason: str
) -> None:
    with pytest.raises(InvalidMaterial, match=reason) as caught:
        load_request(der(request("mail.contoso.com", key=key)))
    assert caught.value.hint


def test_a_request_of_another_version_is_refused() -> None:
    data = der(GOOD)
    version = data.index(b"\x02\x01\x00")
    with pytest.raises(InvalidMaterial, match="cannot be read"):
        load_request(data[: version + 2] + b"\x05" + data[version + 3 :])


def test_a_key_of_unknown_kind_is_refused() -> None:
    p256, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030177")
    with pytest.raises(InvalidMaterial):
        load_request(der(GOOD).replace(p256, unknown))


@pytest.mark.parametrize("data", [b"", b"no request", b"-----BEGIN CERTIFICATE REQUEST-----", b"0" * (MAX_FILE + 1)])
def test_rubbish_is_no_request(data: bytes) -> None:
    with pytest.raises(InvalidMaterial):
        load_request(data)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@given(st.binary(max_size=200) | damaged(der(GOOD)) | damaged(GOOD.public_bytes(Encoding.PEM)))
def test_any_bytes_are_a_request_or_a_configuration_error(data: bytes) -> None:
    try:
        names = request_identifiers(load_request(data))
    except ConfigurationError:
        return
    assert names


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@given(damaged(der(GOOD)))
def test_a_damaged_request_with_a_right_signature_is_no_surprise_either(data: bytes) -> None:
    try:
        parsed = x509.load_der_x509_csr(data)
    except (ValueError, x509.InvalidVersion):
        return
    for read in (request_identifiers, public_key_type):
        try:
            assert read(parsed)
        except ConfigurationError:
            continue
    key_matches(rsa_key(), parsed)
