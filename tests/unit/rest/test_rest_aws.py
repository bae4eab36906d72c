"""Signature Version 4 by the vectors that Amazon publishes (aws-sig-v4-test-suite)."""

from datetime import UTC, datetime

import pytest

from certwright.rest.aws import AwsSigner

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
    "hAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVX"
    "AkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


def signer(token: str = "") -> AwsSigner:
    return AwsSigner(
        "AKIDEXAMPLE", SECRET, token, "us-east-1", "service", lambda: datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("method", "target", "signature"),
    [
        ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("GET", "/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla"],
)
def test_the_published_vectors(method: str, target: str, signature: str) -> None:
    headers = signer()(method, f"https://example.amazonaws.com{target}", b"")
    assert headers == {
        "x-amz-date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}",
    }


def test_a_session_token_is_signed_as_well() -> None:
    headers = signer(TOKEN)("POST", "https://example.amazonaws.com/", b"")
    assert headers["x-amz-security-token"] == TOKEN
    assert headers["Authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


def test_neither_secret_nor_token_is_shown() -> None:
    assert SECRET not in repr(signer(TOKEN))
    assert TOKEN not in repr(signer(TOKEN))
