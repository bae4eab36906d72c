"""Codes of RFC 6238: those of its appendix, and that none counts twice."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.totp import PERIOD, SecondFactor, code

KEY = b"12345678901234567890"
FACTOR = SecondFactor(key=base64.b32encode(KEY).decode(), confirmed=True)
HOTP = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def shown(moment: datetime) -> str:
    return code(KEY, int(moment.timestamp()) // PERIOD)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_they_are_those_of_the_rfc(seconds: int, expected: str) -> None:
    assert code(KEY, seconds // PERIOD, 8) == expected


@pytest.mark.parametrize(("number", "expected"), list(enumerate(HOTP)))
def test_they_are_those_of_hotp(number: int, expected: str) -> None:
    assert code(KEY, number) == expected


@pytest.mark.parametrize(("wrong", "taken"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
def test_a_clock_may_be_wrong_by_half_a_minute(wrong: int, taken: bool) -> None:
    assert (FACTOR.accept(shown(NOW + timedelta(seconds=wrong)), NOW) is not None) is taken


@given(st.lists(st.integers(-1, 1), min_size=1, max_size=6))
def test_none_counts_twice_nor_one_before_it(steps: list[int]) -> None:
    factor, last = FACTOR, None
    for step in steps:
        used = factor.accept(shown(NOW + timedelta(seconds=PERIOD * step)), NOW)
        assert (used is not None) is (last is None or step > last)
        if used:
            factor, last = used, step


@given(st.text(max_size=12))
def test_what_is_no_code_counts_nothing(typed: str) -> None:
    right = {shown(NOW + timedelta(seconds=PERIOD * step)) for step in (-1, 0, 1)}
    assert (FACTOR.accept(typed, NOW) is not None) is ("".join(typed.split()).lower() in right)


def test_it_is_typed_with_blanks_too() -> None:
    right = shown(NOW)
    assert FACTOR.accept(f" {right[:3]} {right[3:]} ", NOW)


def test_recovery_codes_count_once_each_and_are_not_kept() -> None:
    fresh = SecondFactor.new()
    assert not fresh.confirmed
    assert fresh.confirm("000000", NOW) is None or fresh.confirm("000001", NOW) is None
    right = code(base64.b32decode(fresh.key), int(NOW.timestamp()) // PERIOD)
    confirmed = fresh.confirm(right, NOW)
    assert confirmed
    factor, codes = confirmed
    assert (factor.confirmed, len(set(codes)), factor.accept(right, NOW)) == (True, 10, None)
    for number, each in enumerate(codes):
        used = factor.accept(each.upper() if number % 2 else each.replace("-", ""), NOW)
        assert used
        assert used.accept(each, NOW) is None
        assert each not in used.model_dump_json()
        factor = used
    assert factor.recovery == ()


def test_an_app_reads_its_key() -> None:
    parts = urlsplit(FACTOR.uri("anna@contoso.com"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Certwright:anna%40contoso.com")
    assert parse_qs(parts.query) == {
        "secret": [FACTOR.key],
        "issuer": ["Certwright"],
        "digits": ["6"],
        "period": ["30"],
    }
