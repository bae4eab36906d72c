"""What is wrong with an audit trail: pure functions of what is kept."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from certwright.domain.audit import Recorded, SignedHead, canonical, digest


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the entry of this number."""

    number: int
    message: str


@dataclass(slots=True)
class Verification:
    """Walks a trail from its first entry; `entries` and `heads` count what was seen.

    Attributes:
        key: whose signatures count, in base64; None takes the key of the first head.
        seen: heads that were kept elsewhere: number -> hash.
    """

    key: str | None = None
    seen: Mapping[int, str] = field(default_factory=dict)
    entries: int = 0
    heads: int = 0
    _next: int = 1
    _previous: str | None = ""
    _missing: list[range] = field(default_factory=list)

    def faults(self, trail: Iterable[Recorded | SignedHead]) -> Iterator[Fault]:
        """All that is wrong; what is missing is told at the end, as it may stand at a wrong place.

        Args:
            trail: the entries, and each head behind the entry that it names.
        """
        for one in trail:
            yield from self._head(one) if isinstance(one, SignedHead) else self._entry(one)
        for gap in self._missing:
            yield from [Fault(gap[0], f"{_entries(gap)} missing.")] if gap else []
        for number, known in self.seen.items():
            if number >= self._next:
                yield Fault(number, f"The trail ends before entry {number}, which was there: {known} is its hash.")

    def _entry(self, one: Recorded) -> Iterator[Fault]:
        self.entries += 1
        is_whole = digest(one.text) == one.hash and _is_canonical(one.text)
        try:
            entry = one.entry
        except ValueError:
            yield Fault(self._next, f"Entry {self._next} was altered: it cannot be read.")
            self._next, self._previous = self._next + 1, one.hash
            return
        number = entry.number
        if not is_whole:
            yield Fault(number, f"Entry {number} was altered: its hash is another one.")
        if number < self._next:
            yield Fault(number, f"Entry {number} stands after entry {self._next - 1}: it was moved, or added.")
            self._missing = [part for gap in self._missing for part in _without(gap, number)]
            return
        if number > self._next:
            self._missing.append(range(self._next, number))
        elif is_whole and self._previous is not None and entry.previous != self._previous:
            yield Fault(number, f"Entry {number} followed another one than is before it now.")
        if self.seen.get(number, one.hash) != one.hash:
            yield Fault(number, f"Entry {number} has another hash than the head that was kept elsewhere.")
        self._next, self._previous = number + 1, one.hash

    def _head(self, one: SignedHead) -> Iterator[Fault]:
        self.heads += 1
        self.key = self.key or one.key
        head, last = one.head, self._next - 1
        told = f"The head of {head.at:%Y-%m-%d %H:%M:%S} UTC"
        if one.key != self.key or not one.is_right:
            yield Fault(head.number, f"{told} is not signed by the key of this trail.")
        elif head.number > last:
            yield Fault(head.number, f"{told} names entry {head.number}, and there is none after entry {last}.")
        elif head.number < last or head.hash != self._previous:
            yield Fault(
                head.number, f"{told} names another entry {head.number} than is there: the trail was rewritten."
            )


def _is_canonical(text: str) -> bool:
    try:
        return canonical(json.loads(text)) == text
    except ValueError:
        return False


def _entries(numbers: range) -> str:
    return f"Entry {numbers[0]} is" if len(numbers) == 1 else f"The entries {numbers[0]} to {numbers[-1]} are"


def _without(numbers: range, number: int) -> Iterable[range]:
    if number not in numbers:
        return (numbers,)
    return tuple(part for part in (range(numbers.start, number), range(number + 1, numbers.stop)) if part)
