"""A process that uses a store, told on standard input what to do and telling on standard output what it did."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certwright.domain import limits
from certwright.domain.errors import LeaseHeld, LeaseLost, NotFound, StoreError
from certwright.domain.limits import Charge, Key, Limit, Scope
from certwright.domain.managed import new_id
from certwright.domain.windows import MaintenanceWindow, Span
from certwright.settings import Settings
from certwright.store import Lease, Store, UnitOfWork, open_store, processes

MOMENT = datetime(2026, 11, 24, tzinfo=UTC)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is how it answers


def number(unit: UnitOfWork, name: str) -> int:
    try:
        return int(unit.secrets.get(name))
    except NotFound:
        return 0


def count(store: Store, times: int) -> None:
    """Transactions one after the other; one that was lost with its connection is made again."""
    done = 0
    while done < times:
        try:
            with store.write() as unit:
                unit.secrets.put("count", str(number(unit, "count") + 1).encode())
            done += 1
        except StoreError as error:
            if not error.retryable:
                raise
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


def spend(store: Store, times: int) -> None:
    """Take from one bucket as often as it lets us, at one moment."""
    asked = [Charge(Key("ca", Scope.ORDERS, "le"), Limit(Scope.ORDERS, 100, timedelta(hours=1)))]
    passed = 0
    for _ in range(times):
        with store.write() as unit:
            buckets = unit.ledger.get(charge.key for charge in asked)
            if limits.hold(asked, buckets, MOMENT) is None:
                unit.ledger.save(limits.taken(asked, buckets, MOMENT), MOMENT)
                passed += 1
    say(str(passed))


def change(store: Store, times: int) -> None:
    """New windows, each in a transaction of its own."""
    for _ in range(times):
        with store.write() as unit:
            unit.windows.put(MaintenanceWindow(name=new_id(), zone="UTC", spans=(Span.parse("Mon 02:00-04:00"),)))
    say("changed")


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
    if host := os.environ.get("ANOTHER_HOST"):
        processes.socket.gethostname = lambda: host  # type: ignore[attr-defined]
        processes._boot = lambda: host  # type: ignore[assignment]
    places = Settings(Path(data), Path(keys), store_url=os.environ.get("CERTWRIGHT_STORE"))
    with open_store(places) as store:
        match command, arguments:
            case "count", [times]:
                count(store, int(times))
            case "change", [times]:
                change(store, int(times))
            case "take-turns", [times]:
                take_turns(store, int(times))
            case "spend", [times]:
                spend(store, int(times))
            case "write-pairs", []:
                write_pairs(store)
            case "hold", [name, seconds]:
                with store.lease(name, ttl=timedelta(seconds=float(seconds))) as lease:
                    obey(store, lease)


if __name__ == "__main__":
    main()
