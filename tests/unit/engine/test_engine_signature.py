"""Signatures of ID tokens: whatever comes from outside is proved, or nobody is signed in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import NotSignedIn
from certwright.engine.openid.signature import JwkSet, Keys

SMALL = {"kty": "RSA", "kid": "1", "n": "AQAB" * 40, "e": "AQAB"}
HUGE = {"kty": "RSA", "kid": "1", "n": "AQAB" * 4000, "e": "AQAB"}
KINDS = st.sampled_from(["RSA", "EC", "OKP", "oct", "AKP", ""])
FIELDS = st.dictionaries(
    st.sampled_from(["n", "e", "crv", "x", "y", "k", "use", "alg", "kid"]), st.text() | st.integers()
)


@pytest.mark.parametrize(
    "key",
    [
        SMALL,
        HUGE,
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": ["RSA"]},
        {},
    ],
)
def test_a_key_that_proves_nothing_is_passed_over(key: dict[str, Any]) -> None:
    assert Keys.of(JwkSet(keys=[key])).keys == []


@given(kind=KINDS, fields=FIELDS, token=st.text() | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}"))
def test_whatever_keys_and_tokens_are_nobody_is_signed_in_by_them(
    kind: str, fields: dict[str, Any], token: str
) -> None:
    with pytest.raises(NotSignedIn):
        Keys.of(JwkSet(keys=[{"kty": kind, **fields}])).verified(token)
