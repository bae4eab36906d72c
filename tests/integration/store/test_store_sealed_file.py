import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.store import sealed_file
from certwright.store.sealed_file import PART, Damaged, seal, unseal

KEY, HEAD = b"k" * 32, b"head"
PIECE = PART + 16


def sealed(plain: bytes, key: bytes = KEY, head: bytes = HEAD) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(plain), out, key, head)
    return out.getvalue()


def unsealed(data: bytes, key: bytes = KEY, head: bytes = HEAD) -> bytes:
    out = io.BytesIO()
    unseal(io.BytesIO(data), out, key, head)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 5])
def test_what_was_sealed_comes_back(size: int) -> None:
    plain = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert unsealed(sealed(plain)) == plain


@given(st.data())
def test_any_change_of_any_byte_is_seen(data: st.DataObject) -> None:
    whole = bytearray(sealed(data.draw(st.binary(max_size=50))))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Damaged):
        unsealed(bytes(whole))


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda d: d[:PIECE], 1),
        (lambda d: d[: 2 * PIECE], 2),
        (lambda d: d[:-1], 3),
        (lambda d: b"", 1),
        (lambda d: d[PIECE:], 1),
        (lambda d: d[PIECE : 2 * PIECE] + d[:PIECE] + d[2 * PIECE :], 1),
        (lambda d: d[:PIECE] + d[2 * PIECE :], 2),
        (lambda d: d + d[:PIECE], 3),
        (lambda d: d + b"x", 3),
    ],
    ids=["cut at 1", "cut at 2", "cut in 3", "empty", "first lost", "swapped", "second lost", "repeated", "appended"],
)
def test_parts_that_are_cut_off_moved_or_added_are_seen(change: Callable[[bytes], bytes], number: int) -> None:
    whole = sealed(bytes(2 * PART + 7))
    with pytest.raises(Damaged) as caught:
        unsealed(change(whole))
    assert caught.value.number == number


def test_another_key_or_head_opens_nothing() -> None:
    whole = sealed(b"plain")
    with pytest.raises(Damaged):
        unsealed(whole, key=b"o" * 32)
    with pytest.raises(Damaged):
        unsealed(whole, head=b"dead")


def test_no_two_parts_have_the_same_nonce() -> None:
    nonces = {sealed_file._nonce(n, last=last) for n in range(1000) for last in (False, True)}
    assert len(nonces) == 2000
    assert {len(n) for n in nonces} == {12}
