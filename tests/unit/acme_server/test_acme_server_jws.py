"""Held to the examples of RFC 7515, 7638 and 8037, and to josepy, which certbot signs with."""

import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from josepy.jwa import ES256, ES384, ES512, RS256
from josepy.jwk import JWKEC, JWKRSA
from josepy.jws import JWS
from josepy.util import ComparableECKey, ComparableRSAKey

from certwright.acme_server import jws
from certwright.acme_server.encoding import b64url, b64url_decode
from certwright.acme_server.problem import Problem
from unit.acme_server.wire import b64, jwk, new_key, sign

# RFC 7638 section 3.1
RSA_JWK = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6"
    "qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJ"
    "zKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
# RFC 7515 appendix A.3
ES256_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ES256_JWS = {
    "protected": "eyJhbGciOiJFUzI1NiJ9",
    "payload": "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "signature": "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
}
# RFC 8037 appendix A
ED25519_JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED25519_JWS = {
    "protected": "eyJhbGciOiJFZERTQSJ9",
    "payload": "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    "signature": "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
}


@pytest.mark.parametrize(
    ("key", "thumbprint"),
    [
        (RSA_JWK, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (ED25519_JWK, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ],
)
def test_thumbprints_are_those_of_the_rfcs(key: dict[str, str], thumbprint: str) -> None:
    assert jws.account_key(key).thumbprint == thumbprint


@pytest.mark.parametrize(("key", "example"), [(ES256_JWK, ES256_JWS), (ED25519_JWK, ED25519_JWS)])
def test_signatures_of_the_rfcs_are_right_and_changed_ones_wrong(key: dict[str, str], example: dict[str, str]) -> None:
    jws.verify(jws.parse(example), jws.account_key(key))
    other = {**example, "payload": example["payload"][:-4]}
    with pytest.raises(Problem, match="wrong"):
        jws.verify(jws.parse(other), jws.account_key(key))


@pytest.mark.parametrize(
    ("private", "kind", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), JWKEC, ES256),
        (ec.generate_private_key(ec.SECP384R1()), JWKEC, ES384),
        (ec.generate_private_key(ec.SECP521R1()), JWKEC, ES512),
        (rsa.generate_private_key(65537, 2048), JWKRSA, RS256),
    ],
)
def test_what_josepy_signs_is_right(private: Any, kind: Any, algorithm: Any) -> None:
    key = kind(key=ComparableECKey(private) if kind is JWKEC else ComparableRSAKey(private))
    made = JWS.sign(b"payload", key=key, alg=algorithm, protect=frozenset({"alg"}), include_jwk=False)
    flat = json.loads(made.json_dumps())
    flat |= {name: value for one in flat.pop("signatures", []) for name, value in one.items()}
    public = jws.account_key(json.loads(key.public_key().json_dumps()))
    jws.verify(jws.parse(flat), public)
    assert b64url_decode(public.thumbprint, "thumbprint") == key.thumbprint()
    with pytest.raises(Problem):
        jws.verify(jws.parse({**flat, "signature": b64(bytes(64))}), public)


@pytest.mark.parametrize(
    "key",
    [
        None,
        [],
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": ["EC"]},
        {"kty": "RSA", "e": "AQAB"},
        {"kty": "RSA", "e": "AQAB", "n": b64(bytes(255) + b"\1")},
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 128)},
        {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 513)},
        {"kty": "RSA", "e": "AA", "n": RSA_JWK["n"]},
        {"kty": "RSA", "e": "AQ==", "n": RSA_JWK["n"]},
        {**ES256_JWK, "crv": "P-192"},
        {**ES256_JWK, "x": ES256_JWK["y"]},
        {**ES256_JWK, "x": ES256_JWK["x"] + "AAAA"},
        {**ES256_JWK, "y": 5},
        {**ED25519_JWK, "crv": "X25519"},
        {**ED25519_JWK, "x": "AAAA"},
    ],
)
def test_what_is_no_acceptable_key_is_refused(key: Any) -> None:
    with pytest.raises(Problem) as refused:
        jws.account_key(key)
    assert refused.value.type in ("malformed", "badPublicKey")


def test_a_private_key_is_refused_with_a_warning() -> None:
    with pytest.raises(Problem, match="private key"):
        jws.account_key({**ES256_JWK, "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})


def test_an_ecdsa_signature_in_der_is_not_a_jws_signature() -> None:
    key = new_key()
    good = sign(key, {"alg": "ES256"}, b"")
    der = key.sign(f"{good['protected']}.".encode(), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(Problem, match="wrong"):
        jws.verify(jws.parse({**good, "signature": b64(der)}), jws.account_key(jwk(key)))


def test_another_ed25519_keys_signature_is_wrong() -> None:
    key = jws.account_key(
        {**ED25519_JWK, "x": b64(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw())}
    )
    with pytest.raises(Problem, match="wrong"):
        jws.verify(jws.parse(ED25519_JWS), key)


@given(st.binary())
def test_base64url_is_read_back(data: bytes) -> None:
    assert b64url_decode(b64url(data), "data") == data


@given(st.text())
def test_any_text_is_base64url_or_refused(text: str) -> None:
    with contextlib.suppress(Problem):
        assert len(b64url(b64url_decode(text, "text"))) == len(text)
