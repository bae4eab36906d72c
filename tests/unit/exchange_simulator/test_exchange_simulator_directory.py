"""Domain controllers that learn of a change one after another."""

from dataclasses import dataclass

import pytest

from certwright.exchange_simulator.directory import Directory, Lag, guid_of


@dataclass
class Entry:
    value: str = "old"
    other: int = 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def directory_of(lag: Lag | None = None, clock: Clock | None = None) -> Directory:
    return Directory("contoso.test", ("DC01", "DC02", "DC03"), lag, clock or Clock())


FIRST, SECOND, THIRD = (f"DC0{number}.contoso.test" for number in (1, 2, 3))


def test_controllers_are_found_by_either_name_or_taken_in_turn() -> None:
    directory = directory_of()
    assert directory.controller("dc02") == directory.controller("DC02.CONTOSO.TEST") == SECOND
    assert [directory.controller(None) for _ in range(4)] == [FIRST, SECOND, THIRD, FIRST]
    with pytest.raises(LookupError):
        directory.controller("DC04")


def test_without_lag_all_know_at_once() -> None:
    entry, directory = Entry(), directory_of()
    directory.write(entry, "value", "new", FIRST)
    assert directory.view(entry, THIRD) == Entry("new")


def test_old_values_are_read_so_often() -> None:
    entry, directory = Entry(), directory_of(Lag(reads=2))
    directory.write(entry, "value", "new", SECOND)
    assert [directory.view(entry, FIRST).value for _ in range(3)] == ["old", "old", "new"]
    assert [directory.view(entry, THIRD).value for _ in range(3)] == ["old", "old", "new"]
    assert directory.view(entry, SECOND) == entry == Entry("new")


def test_old_values_are_read_so_long() -> None:
    clock = Clock()
    entry, directory = Entry(), directory_of(Lag(seconds=30), clock)
    directory.write(entry, "value", "new", FIRST)
    clock.now = 20
    directory.write(entry, "value", "newest", FIRST)
    clock.now = 40  # the first change would have arrived, the second has not
    assert directory.view(entry, SECOND).value == "old"
    directory.write(entry, "other", 2, SECOND)
    assert (directory.view(entry, SECOND).other, directory.view(entry, FIRST).other) == (2, 1)
    clock.now = 50
    assert directory.view(entry, SECOND) == Entry("newest", 2)


def test_who_was_written_to_knows() -> None:
    entry, directory = Entry(), directory_of(Lag(reads=9))
    directory.write(entry, "value", "new", FIRST)
    directory.write(entry, "value", "newest", SECOND)
    assert directory.view(entry, SECOND).value == "newest"
    assert directory.view(entry, FIRST).value == "new"
    assert directory.view(entry, THIRD).value == "old"


def test_names_and_identifiers() -> None:
    assert directory_of().distinguished_name("Out", "Connections") == (
        "CN=Out,CN=Connections,CN=Configuration,DC=contoso,DC=test"
    )
    assert guid_of("Connections", "Out") == guid_of("connections", "OUT") != guid_of("Servers", "Out")
