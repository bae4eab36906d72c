"""Few cases in which every two values that can meet do meet (all-pairs testing)."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, islice

Row = Mapping[str, str]
_CANDIDATES = 12
_TRIES = 250


def all_pairs(
    factors: Mapping[str, Sequence[str]], possible: Callable[[Row], bool], seed: int, least: int = 0
) -> tuple[Row, ...]:
    """At least so many rows over `factors`, every one `possible`, that hold every pair some possible row holds.

    Greedy: each row is built around a pair that is still missing, and of several tries the one is kept that brings most
    missing pairs. The same seed gives the same rows.
    """
    chance = random.Random(seed)
    missing = dict.fromkeys(
        ((one, a), (other, b)) for one, other in combinations(factors, 2) for a in factors[one] for b in factors[other]
    )
    rows: list[Row] = []
    while missing:
        wanted = dict(chance.choice(list(missing)))
        found = list(_around(wanted, factors, possible, chance))
        if not found:
            missing.pop(tuple(wanted.items()), None)  # type: ignore[arg-type]  # a pair is a tuple of two
            continue
        best = max(found, key=lambda row: sum(pair in missing for pair in combinations(row.items(), 2)))
        for pair in combinations(best.items(), 2):
            missing.pop(pair, None)
        rows.append(best)
    while len(rows) < least:
        rows += [row for row in islice(_around({}, factors, possible, chance), 1) if row not in rows]
    return tuple(rows)


def _around(
    wanted: Row, factors: Mapping[str, Sequence[str]], possible: Callable[[Row], bool], chance: random.Random
) -> Iterator[Row]:
    """A few possible rows that hold `wanted`."""
    found = 0
    for _ in range(_TRIES):
        row = {name: wanted.get(name) or chance.choice(values) for name, values in factors.items()}
        if possible(row):
            yield row
            found += 1
            if found == _CANDIDATES:
                return
