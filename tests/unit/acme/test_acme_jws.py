import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import jws
from certwright.acme.jws import SigningKey
from unit.acme import jws_verifier

KEYS = {algorithm: SigningKey.generate(algorithm) for algorithm in ("ES256", "ES384", "RS256", "EdDSA")}
URL = "https://ca.test/new-order"

# RFC 7638 section 3.1
RFC7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3o"
    "knjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZH"
    "zu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU"
    "8awapJzKnqDKgw"
)
# RFC 8037 appendix A.1
RFC8037_D = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"


def ed25519_of_rfc_8037() -> SigningKey:
    return SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(jws_verifier.decode(RFC8037_D)))


def test_the_verifier_of_these_tests_computes_the_thumbprint_of_rfc_7638() -> None:
    jwk = {"kty": "RSA", "n": RFC7638_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert jws_verifier.thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_thumbprint_and_signature_are_those_of_rfc_8037() -> None:
    key = ed25519_of_rfc_8037()
    assert key.jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
    assert jws.b64url(signature) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_thumbprints_follow_rfc_7638_for_every_kind_of_key(key: SigningKey) -> None:
    assert key.thumbprint == jws_verifier.thumbprint(key.jwk)


@given(st.sampled_from(sorted(KEYS)), st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.booleans())
def test_what_is_signed_verifies_and_says_what_was_meant(
    algorithm: str, payload: dict[str, object], with_url: bool
) -> None:
    key, kid = KEYS[algorithm], "https://ca.test/account/1" if with_url else None
    read = jws_verifier.read(json.dumps(jws.signed(key, URL, payload, nonce="abc", kid=kid)).encode())
    jws_verifier.verify(read, key.jwk)
    identity = {"kid": kid} if kid else {"jwk": key.jwk}
    assert read.protected == {"alg": algorithm, "url": URL, "nonce": "abc"} | identity
    assert read.json() == payload


def test_post_as_get_signs_an_empty_payload() -> None:
    message = jws.signed(KEYS["ES256"], URL, None, nonce="n", kid="https://ca.test/account/1")
    assert message["payload"] == ""
    jws_verifier.verify(jws_verifier.read(message), KEYS["ES256"].jwk)


def test_an_empty_object_is_not_post_as_get() -> None:
    assert jws_verifier.read(jws.signed(KEYS["ES256"], URL, {}, nonce="n", kid="u")).payload == b"{}"


def test_a_key_change_carries_no_nonce_inside() -> None:
    assert "nonce" not in jws_verifier.read(jws.signed(KEYS["ES256"], URL, {}, nonce=None, kid=None)).protected


def test_an_external_account_binding_authenticates_the_account_key() -> None:
    secret = bytes(range(32))
    binding = jws_verifier.read(jws.external_account_binding("kid-1", secret, KEYS["ES256"].jwk, URL))
    jws_verifier.verify_hs256(binding, secret)
    assert binding.protected == {"alg": "HS256", "kid": "kid-1", "url": URL}
    assert binding.json() == KEYS["ES256"].jwk
    with pytest.raises(jws_verifier.BadJWS):
        jws_verifier.verify_hs256(binding, b"another secret")


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_keys_survive_pem(key: SigningKey) -> None:
    again = SigningKey.from_pem(key.to_pem())
    assert again.jwk == key.jwk
    assert again.to_pem() == key.to_pem()


def test_small_ec_coordinates_keep_their_leading_zeros() -> None:
    # The public point of this private value has an x that begins with a zero octet.
    private = next(
        key
        for key in (ec.derive_private_key(value, ec.SECP256R1()) for value in range(1, 5000))
        if key.public_key().public_numbers().x < 1 << 248
    )
    assert len(jws_verifier.decode(SigningKey(private).jwk["x"])) == 32


@pytest.mark.parametrize(
    "private",
    [
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
    ],
)
def test_keys_that_no_ca_takes_are_refused(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    with pytest.raises(ValueError, match="at least 2048 bits"):
        SigningKey(private)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="HS256"):
        SigningKey.generate("HS256")


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_broken_pem_is_a_value_error(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        SigningKey.from_pem(pem)


def test_a_key_does_not_show_its_private_part() -> None:
    shown = repr(ed25519_of_rfc_8037())
    assert RFC8037_D not in shown
    assert base64.b64encode(jws_verifier.decode(RFC8037_D)).decode() not in shown
