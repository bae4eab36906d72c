"""A process that uses a store, told on standard input what to do and telling on standard output what it did."""

import sys
from datetime import timedelta
from pathlib import Path

from certwright.domain.errors import LeaseHeld, LeaseLost, NotFound
from certwright.settings import Settings
from certwright.store import Lease, Store, UnitOfWork, open_store


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is how it answers


def number(unit: UnitOfWork, name: str) -> int:
    try:
        return int(unit.secrets.get(name))
    except NotFound:
        return 0


def count(store: Store, times: int) -> None:
    for _ in range(times):
        with store.write() as unit:
            unit.secrets.put("count", str(number(unit, "count") + 1).encode())
    say("counted")


def take_turns(store: Store, times: int) -> None:
    """Exclusive work in two transactions; who is refused tries again."""
    done = 0
    while done < times:
        try:
            with store.lease("organisation:shared") as lease:
                with store.write(lease) as unit:
                    seen = number(unit, "turns")
                with store.write(lease) as unit:
                    unit.secrets.put("turns", str(seen + 1).encode())
            done += 1
        except LeaseHeld:
            continue
    say("done")


def write_pairs(store: Store) -> None:
    """Pairs that belong together, until killed."""
    while True:
        with store.write() as unit:
            following = number(unit, "left") + 1
            unit.secrets.put("left", str(following).encode())
            unit.secrets.put("right", str(following).encode())
        say(str(following))


def obey(store: Store, lease: Lease) -> None:
    say(f"held {lease.epoch}")
    for line in sys.stdin:
        try:
            match line.split():
                case ["check"]:
                    lease.check()
                case ["write", text]:
                    with store.write(lease) as unit:
                        unit.secrets.put("written", text.encode())
                case ["begin"]:
                    with store.write(lease) as unit:
                        unit.secrets.put("written", b"never")
                        say("begun")
                        sys.stdin.readline()
            say("ok")
        except LeaseLost as error:
            say(f"lost: {error}")


def main() -> None:
    data, keys, command, *arguments = sys.argv[1:]
    with open_store(Settings(Path(data), Path(keys))) as store:
        match command, arguments:
            case "count", [times]:
                count(store, int(times))
            case "take-turns", [times]:
                take_turns(store, int(times))
            case "write-pairs", []:
                write_pairs(store)
            case "hold", [name, seconds]:
                with store.lease(name, ttl=timedelta(seconds=float(seconds))) as lease:
                    obey(store, lease)


if __name__ == "__main__":
    main()
