"""Whatever is done to an audit trail is found."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.actors import Actor, ActorKind
from certwright.domain.audit import (
    Action,
    Entry,
    Head,
    Recorded,
    SignedHead,
    Subject,
    SubjectKind,
    canonical,
    difference,
    digest,
    public,
)
from certwright.domain.audit_faults import Verification

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2))
START = datetime(2026, 11, 29, 12, tzinfo=UTC)
text = st.text(st.characters(codec="utf-8"), max_size=8)
states = st.none() | st.dictionaries(text, text | st.integers() | st.booleans() | st.none(), max_size=3)
acts = st.tuples(
    st.sampled_from(ActorKind), text.filter(bool), st.sampled_from(Action), st.sampled_from(SubjectKind), text, states
)


def chain(done: Sequence[tuple[ActorKind, str, Action, SubjectKind, str, dict[str, object] | None]]) -> list[Recorded]:
    trail: list[Recorded] = []
    for number, (kind, name, action, about, title, state) in enumerate(done, 1):
        entry = Entry(
            number=number,
            previous=trail[-1].hash if trail else "",
            at=START + timedelta(seconds=number),
            actor=Actor(kind=kind, name=name),
            action=action,
            subject=Subject(kind=about, id=title, title=title),
            after=state,
        )
        trail.append(Recorded.of(entry))
    return trail


def some(count: int = 5) -> list[Recorded]:
    return chain([(ActorKind.PERSON, "anna", Action.CHANGED, SubjectKind.WINDOW, str(n), {}) for n in range(count)])


def head(trail: Sequence[Recorded], number: int, key: Ed25519PrivateKey = KEY) -> SignedHead:
    return SignedHead.by(key, Head(store="s", number=number, hash=trail[number - 1].hash, at=START))


def told(
    trail: Sequence[Recorded | SignedHead], key: str | None = None, seen: Mapping[int, str] = MappingProxyType({})
) -> list[tuple[int, str]]:
    return [(fault.number, fault.message) for fault in Verification(key, seen).faults(trail)]


trails = st.lists(acts, min_size=2, max_size=8).map(chain)


@given(trails)
def test_a_trail_as_it_was_written_has_no_fault(trail: list[Recorded]) -> None:
    assert told([*trail, head(trail, len(trail))], key=public(KEY), seen={1: trail[0].hash}) == []
    assert [one.entry.number for one in trail] == list(range(1, len(trail) + 1))


@given(trails, st.data())
def test_an_altered_entry_is_found_and_named(trail: list[Recorded], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(trail) - 1))
    entry = trail[place].entry
    other = data.draw(
        st.sampled_from(
            [
                entry.model_copy(update={"at": entry.at + timedelta(microseconds=1)}),
                entry.model_copy(update={"actor": Actor(kind=entry.actor.kind, name=entry.actor.name + "x")}),
                entry.model_copy(update={"after": {"": 0}, "before": {"": 1}}),
                entry.model_copy(update={"previous": "0" * 64}),
            ]
        )
    )
    altered = [*trail]
    altered[place] = Recorded(Recorded.of(other).text, trail[place].hash)
    assert [number for number, _ in told(altered)] == [place + 1]
    altered[place] = Recorded.of(other)
    if place < len(trail) - 1 or other.previous != entry.previous:
        assert told(altered)
    assert told(altered, seen={len(trail): trail[-1].hash, place + 1: trail[place].hash})


@given(trails, st.data())
def test_a_removed_entry_is_found_and_named(trail: list[Recorded], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(trail) - 1))
    left = [one for number, one in enumerate(trail) if number != place]
    faults = told(left) if place < len(left) else told(left, seen={place + 1: trail[place].hash})
    assert [number for number, _ in faults] == [place + 1]


@given(trails, st.data())
def test_two_swapped_entries_are_found(trail: list[Recorded], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(trail) - 2))
    second = data.draw(st.integers(first + 1, len(trail) - 1))
    trail[first], trail[second] = trail[second], trail[first]
    found = {number for number, _ in told(trail)}
    assert found & {first + 1, second + 1}


@given(trails, st.data())
def test_an_inserted_entry_is_found(trail: list[Recorded], data: st.DataObject) -> None:
    place, copied = (data.draw(st.integers(0, len(trail) - 1)) for _ in range(2))
    added = trail[copied].entry.model_copy(update={"previous": trail[place].hash, "number": place + 2})
    assert told([*trail[: place + 1], Recorded.of(added), *trail[place + 1 :]], seen={len(trail): trail[-1].hash}) or (
        place == len(trail) - 1  # at the end it is no other than an entry that was added rightly
    )
    assert told([*trail[: place + 1], trail[copied], *trail[place + 1 :]])


@given(trails, st.data())
def test_who_writes_all_anew_is_found_by_a_head(trail: list[Recorded], data: st.DataObject) -> None:
    signed = head(trail, len(trail))
    place = data.draw(st.integers(0, len(trail) - 1))
    rewritten = trail[:place]
    for one in trail[place:]:
        previous = rewritten[-1].hash if rewritten else ""
        entry = one.entry.model_copy(update={"previous": previous, "at": one.entry.at + timedelta(days=1)})
        rewritten.append(Recorded.of(entry))
    assert told(rewritten) == []
    assert [number for number, _ in told([*rewritten, signed])] == [len(trail)]
    assert [number for number, _ in told(rewritten, seen={len(trail): trail[-1].hash})] == [len(trail)]


def test_what_was_cut_off_is_found_by_a_head() -> None:
    trail = some()
    signed = head(trail, 5)
    assert told([*trail[:3], signed]) == [
        (5, "The head of 2026-11-29 12:00:00 UTC names entry 5, and there is none after entry 3.")
    ]
    assert told(trail[:3], seen={5: trail[4].hash})[0][1].startswith("The trail ends before entry 5, which was there")
    assert told([], seen={1: trail[0].hash})


def test_a_head_counts_that_the_right_key_signed() -> None:
    trail = some()
    right, wrong = head(trail, 5), head(trail, 5, OTHER)
    changed = right.model_copy(update={"head": right.head.model_copy(update={"at": START + timedelta(days=1)})})
    for signed in (wrong, changed, right.model_copy(update={"signature": "?"}), right.model_copy(update={"key": "AA"})):
        ((number, message),) = told([*trail, signed], key=public(KEY))
        assert (number, message.endswith("is not signed by the key of this trail.")) == (5, True)
    verification = Verification()
    assert not list(verification.faults([*trail, right]))
    assert (verification.entries, verification.heads, verification.key) == (5, 1, public(KEY))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([1, 2, 5], ["The entries 3 to 4 are missing."]),
        ([1, 3, 4, 5], ["Entry 2 is missing."]),
        ([2, 3, 4, 5], ["Entry 1 is missing."]),
        ([1, 2, 4, 3, 5], ["Entry 3 stands after entry 4: it was moved, or added."]),
        ([1, 2, 2, 3, 4, 5], ["Entry 2 stands after entry 2: it was moved, or added."]),
    ],
)
def test_what_is_wrong_is_said_in_words(kept: list[int], expected: list[str]) -> None:
    trail = some()
    assert [message for _, message in told([trail[number - 1] for number in kept])] == expected


@pytest.mark.parametrize("written", ["", "{}", "nonsense", '{"number": 3}', "[1]", '{"number":3,"number":4}'])
def test_what_cannot_be_read_is_an_altered_entry(written: str) -> None:
    trail = some()
    trail[2] = Recorded(written, digest(written))
    assert told(trail)[0] == (3, "Entry 3 was altered: it cannot be read.")


def test_a_text_counts_that_is_written_as_we_write_it() -> None:
    trail = some(1)
    loose = trail[0].text.replace(',"', ', "')
    assert told([Recorded(loose, digest(loose))]) == [(1, "Entry 1 was altered: its hash is another one.")]


def test_one_value_has_one_text() -> None:
    assert canonical({"b": [1.5, None], "a": "ü\0"}) == '{"a":"\\u00fc\\u0000","b":[1.5,null]}'


def test_of_two_states_what_differs_is_told() -> None:
    before, after = {"a": 1, "b": 2, "c": None}, {"a": 1, "b": 3, "d": 4}
    assert difference(before, after) == ({"b": 2, "c": None}, {"b": 3, "d": 4})
    assert difference(None, after) == (None, after)
    assert difference(before, None) == (before, None)
