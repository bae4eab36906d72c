from base64 import b32decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import StoreError
from certwright.store.crypto import Cipher, RecoveryKey, new_key

PLACE = ("secrets", "issuer:le", "value")


@given(st.binary(max_size=300))
def test_what_is_sealed_can_be_unsealed_and_is_not_seen(plain: bytes) -> None:
    cipher = Cipher(new_key())
    sealed = cipher.seal(plain, *PLACE)
    assert cipher.unseal(sealed, *PLACE) == plain
    assert len(plain) < 4 or plain not in sealed


def test_the_same_value_is_never_sealed_alike() -> None:
    cipher = Cipher(new_key())
    assert cipher.seal(b"key", *PLACE) != cipher.seal(b"key", *PLACE)


@pytest.mark.parametrize(
    "other",
    [
        ("answers", "issuer:le", "value"),
        ("secrets", "issuer:lf", "value"),
        ("secrets", "issuer:le", "other"),
        ("secrets", 'issuer:le", "value', ""),
    ],
)
def test_a_sealed_value_cannot_be_moved(other: tuple[str, str, str]) -> None:
    cipher = Cipher(new_key())
    with pytest.raises(StoreError, match="damaged, or was put there by another store"):
        cipher.unseal(cipher.seal(b"key", *PLACE), *other)


@given(st.data())
def test_a_changed_or_shortened_value_is_refused(data: st.DataObject) -> None:
    cipher = Cipher(bytes(32))
    sealed = cipher.seal(b"private", *PLACE)
    at = data.draw(st.integers(0, len(sealed) - 1))
    bit = data.draw(st.sampled_from([1 << n for n in range(8)]))
    for damaged in (sealed[:at] + bytes([sealed[at] ^ bit]) + sealed[at + 1 :], sealed[:at]):
        with pytest.raises(StoreError):
            cipher.unseal(damaged, *PLACE)


def test_another_key_opens_nothing_and_the_error_tells_nothing() -> None:
    sealed = Cipher(new_key()).seal(b"canary", *PLACE)
    with pytest.raises(StoreError) as caught:
        Cipher(new_key()).unseal(sealed, *PLACE)
    assert "canary" not in " ".join(caught.value.explain())


@given(st.binary(min_size=20, max_size=20))
def test_a_recovery_key_is_read_as_it_was_written(entropy: bytes) -> None:
    written = str(RecoveryKey(entropy))
    assert len(written.split("-")) == 8
    assert RecoveryKey.parse(written).derive() == RecoveryKey(entropy).derive()


def test_a_recovery_key_forgives_what_people_do() -> None:
    key = RecoveryKey(b32decode("OIB" * 10 + "OI"))
    sloppy = str(key).lower().replace("-", "  ").replace("o", "0").replace("i", "1").replace("b", "8")
    assert {"0", "1", "8"} <= set(sloppy)
    assert RecoveryKey.parse(f"\n {sloppy} ").derive() == key.derive()


@given(st.data())
def test_one_wrong_letter_is_noticed(data: st.DataObject) -> None:
    text = str(RecoveryKey(b"0123456789abcdefghij"))
    at = data.draw(st.sampled_from([i for i, c in enumerate(text) if c != "-"]))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".replace(text[at], "")))
    with pytest.raises(StoreError, match="mistyped"):
        RecoveryKey.parse(text[:at] + letter + text[at + 1 :])


@given(st.text(max_size=60))
def test_anything_else_is_mistyped(text: str) -> None:
    with pytest.raises(StoreError, match="mistyped"):
        RecoveryKey.parse(text)


def test_two_recovery_keys_differ_and_show_nothing() -> None:
    one, other = RecoveryKey.generate(), RecoveryKey.generate()
    assert one.derive() != other.derive()
    assert str(one)[:5] not in repr(one)
