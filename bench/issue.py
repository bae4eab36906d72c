"""What a certificate costs, beside certbot and lego and a bare probe, at Pebble on this machine: `make bench`.

    python bench/issue.py [--rounds 5] [--count 200] [--loop 10]

*Cold*: one certificate by a fresh process whose account is registered. *Many*: so many by one process, 8 orders in
flight, since Pebble 2.4 deadlocks beyond; for certbot and lego a loop of commands. The probe (bare_probe.py) does the
least that a Python process can, so its throughput stands for what Pebble lets one have here. All prove names in the
same folder of nginx, with ECDSA keys, in shuffled rounds. Each number is the median of its rounds; CPU is that of the
process and its children. The result goes to issue.json too.
"""

import argparse
import datetime as dt
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from certwright.domain.keys import KeyType
from certwright.domain.validation import Validation
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from peers.debian import require
from peers.nginx import nginx, plain_site
from peers.pebble import Pebble, pebble
from peers.ports import free_port
from world.site import Site

HERE = Path(__file__).parent
RECORD = HERE / "issue.json"
IN_FLIGHT = 8
SECONDS = 600
CERTBOT = Path(sys.executable).with_name("certbot")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process with its children."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class World:
    """A fresh Pebble, the folder that answers lie in, and a folder for the clients' own."""

    ca: Pebble
    webroot: Path
    folder: Path


Commands = list[tuple[list[str], Mapping[str, str]]]
"""Commands with what their environments add."""

Client = Callable[[World, int], Commands]
"""Prepares an account, and gives the commands that together get so many certificates."""


@contextmanager
def world(folder: Path, webroot: Path, port: int) -> Iterator[World]:
    """A Pebble of its own for each measurement: it slows down with what it has issued."""
    with tempfile.TemporaryDirectory(dir=folder) as own, pebble(Path(own) / "pebble", http_port=port) as ca:
        yield World(ca, webroot, Path(own))


def probe(at: World, count: int) -> Commands:
    """The bare probe."""
    return plain(at, count, "bare_probe.py")


def flow(at: World, count: int) -> Commands:
    """`acme.flow.obtain` alone."""
    return plain(at, count, "issue_flow.py")


def plain(at: World, count: int, script: str) -> Commands:
    """A script that takes an account's file."""
    places = [at.ca.directory_url, str(at.ca.ca_file), str(at.folder / "account.json"), str(at.webroot)]
    run([sys.executable, str(HERE / "bare_probe.py"), *places, "--register"])
    many = ["--count", str(count), "--in-flight", str(min(count, IN_FLIGHT))]
    return [([sys.executable, str(HERE / script), *places, *many], {})]


def engine(at: World, count: int) -> Commands:
    """Certwright as a whole: one command, or many by the engine in one process."""
    site = Site(at.folder / "site")
    site.folder.mkdir()
    site.initialise()
    account = {"directory": at.ca.directory_url, "email": "a@contoso.test", "ca_file": str(at.ca.ca_file)}
    validation = Validation(
        challenge="http-01",
        solver="webroot",
        params={"path": str(at.webroot), "precheck": False},
    )
    with site.engine() as opened:
        add_issuer(opened, "acme", "pebble", {**account, "agree_tos": True}, internal_names=True, eab=None)
        for number in range(count):
            create(opened, Wish((f"e{number}.contoso.test",), "pebble", validation, key_type=KeyType.ECDSA_P256))
    if count == 1:
        return [([sys.executable, "-m", "certwright", "certificate", "request", "e0.contoso.test"], site.environment)]
    many = [sys.executable, str(HERE / "issue_engine.py"), "--in-flight", str(IN_FLIGHT)]
    return [(many, site.environment)]


def certbot(at: World, count: int) -> Commands:
    """certbot, of which each certificate needs a command."""
    folders = [f"--{name}-dir={at.folder / 'certbot' / name}" for name in ("config", "work", "logs")]
    base = [str(CERTBOT), "--non-interactive", f"--server={at.ca.directory_url}", *folders]
    environment = {"REQUESTS_CA_BUNDLE": str(at.ca.ca_file)}
    run([*base, "register", "--agree-tos", "--email=a@contoso.test"], environment)
    ask = [*base, "certonly", "--webroot", f"--webroot-path={at.webroot}", "--key-type=ecdsa"]
    return [([*ask, f"--domain=c{number}.contoso.test"], environment) for number in range(count)]


def lego(at: World, count: int) -> Commands:
    """lego, as certbot; its first certificate comes with the account."""
    base = ["lego", f"--server={at.ca.directory_url}", f"--path={at.folder / 'lego'}", "--accept-tos"]
    base += ["--email=a@contoso.test", "--key-type=ec256", "--http", f"--http.webroot={at.webroot}"]
    environment = {"LEGO_CA_CERTIFICATES": str(at.ca.ca_file)}
    commands = [([*base, f"--domains=l{number}.contoso.test", "run"], environment) for number in range(count + 1)]
    run(*commands.pop(0))
    return list(commands)


COLD: dict[str, Client] = {"probe": probe, "flow": flow, "certwright": engine, "certbot": certbot, "lego": lego}
LOOPS = ("certbot", "lego")


def run(command: list[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end, which must be a good one."""
    with tempfile.TemporaryFile() as told:
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise SystemExit(f"{command} ended with {process.returncode}:\n{told.read().decode()[-3000:]}")
        return Cost(time.monotonic() - begun, used.ru_utime + used.ru_stime)


def measure(client: Client, at: World, count: int) -> Cost:
    """What so many certificates cost."""
    costs = [run(command, environment) for command, environment in client(at, count)]
    return Cost(sum(c.wall for c in costs), sum(c.cpu for c in costs))


def rounds(times: int, counts: Mapping[str, int], places: tuple[Path, Path, int]) -> dict[str, Cost]:
    """The medians of so many shuffled rounds, each with so many certificates by each client."""
    found: dict[str, list[Cost]] = {name: [] for name in counts}
    for number in range(times):
        for name in random.sample(list(counts), len(counts)):
            with world(*places) as at:
                cost = measure(COLD[name], at, counts[name])
            found[name].append(cost)
            print(f"round {number + 1}, {counts[name]} by {name}: {cost.wall:.2f} s, CPU {cost.cpu:.2f} s", flush=True)
    return {
        name: Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))
        for name, costs in found.items()
    }


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """In columns."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        print(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def main() -> None:
    """Measure, show, and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=200, help="certificates by one process")
    parser.add_argument("--loop", type=int, default=10, help="certificates by a loop of commands")
    options = parser.parse_args()
    require("pebble", "lego", "nginx-light")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        webroot, port = folder / "site", free_port()
        (webroot / ".well-known" / "acme-challenge").mkdir(parents=True)
        stack.enter_context(nginx(folder / "nginx", [plain_site(port, f"root {webroot};")], [port]))
        places = folder, webroot, port
        cold = rounds(options.rounds, dict.fromkeys(COLD, 1), places)
        counts = {name: options.loop if name in LOOPS else options.count for name in COLD}
        many = rounds(options.rounds, counts, places)
    rate = {name: counts[name] / cost.wall for name, cost in many.items()}
    each = {name: cost.cpu / counts[name] for name, cost in many.items()}
    table(
        "One certificate by a fresh process",
        ("", "wall s", "CPU s", "CPU to probe"),
        [(n, f"{c.wall:.2f}", f"{c.cpu:.3f}", f"{c.cpu / cold['probe'].cpu:.2f}") for n, c in cold.items()],
    )
    table(
        f"{options.count} certificates, {IN_FLIGHT} in flight; {' and '.join(LOOPS)}: {options.loop} in a loop",
        ("", "per second", "of the ceiling", "CPU ms each", "CPU to probe"),
        [
            (
                n,
                f"{rate[n]:.2f}",
                f"{rate[n] / rate['probe']:.0%}",
                f"{1000 * each[n]:.2f}",
                f"{each[n] / each['probe']:.2f}",
            )
            for n in many
        ],
    )
    print("\nGoals: flow and certwright at least 90% of the ceiling; flow at most twice the probe's CPU.")
    told = {
        "measured": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}",
        "rounds": options.rounds,
        "in_flight": IN_FLIGHT,
        "cold": {n: {"wall_s": round(c.wall, 3), "cpu_s": round(c.cpu, 3)} for n, c in cold.items()},
        "many": {
            n: {
                "certificates": counts[n],
                "per_second": round(rate[n], 2),
                "of_ceiling": round(rate[n] / rate["probe"], 3),
                "cpu_ms_each": round(1000 * each[n], 2),
                "cpu_to_probe": round(each[n] / each["probe"], 2),
            }
            for n in many
        },
    }
    RECORD.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
