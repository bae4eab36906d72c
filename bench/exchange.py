"""How long a deployment to many Exchange servers takes, beside one: `make bench`.

Both are simulated in a process of their own, every cmdlet answers after the same delay, and the ports are looked at for
real. The first server is the canary, all others follow in one wave. Prints the ratio; 3 is what we hold ourselves to.
"""

import argparse
import datetime as dt
import itertools
import json
import multiprocessing
import multiprocessing.connection
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from certwright.domain.certificates import pem
from certwright.domain.deployment import Verdict
from certwright.domain.keys import private_key_pem
from certwright.exchange.settings import Settings
from certwright.exchange_simulator import Delay, ExchangeOrganisation
from certwright.sdk.context import Credential, Material, TaskContext
from certwright.sdk.params import read_params
from certwright.tasks.exchange import Exchange
from peers.exchange_task import PASSWORD, USERNAME, WAYS, Authority, MemoryInMemory, Notes, pfx, spec

RECORD = Path(__file__).parent / "exchange.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one simulated server is."""

    fqdn: str
    powershell: str
    winrm: str
    ports: dict[int, tuple[str, int]]


def simulate(pipe: multiprocessing.connection.Connection, servers: int, delay: float, made: dict[str, bytes]) -> None:
    """Be the organisation until the pipe closes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every server listens on a score of ports
    organisation = ExchangeOrganisation(
        [spec(f"EX{number:02}") for number in range(1, servers + 1)],
        tls_chain=made["chain"],
        tls_key=made["key"],
        username=USERNAME,
        password=PASSWORD,
        shell_quota=100,
    )
    with organisation:
        for server in organisation.servers.values():
            server.add_certificate(made["old"], "pfx")
            server.faults.inject(Delay(delay), "*", times=None)
        pipe.send(
            [Place(s.spec.fqdn, s.powershell_url, s.winrm_url, dict(s.ports)) for s in organisation.servers.values()]
        )
        pipe.recv()


@contextmanager
def organisation(servers: int, delay: float, made: dict[str, bytes]) -> Iterator[list[Place]]:
    """An organisation in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=simulate, args=(theirs, servers, delay, made))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("over")
        process.join(60)


def deploy(places: list[Place], ca_file: Path, old: Material, new: Material) -> dict[str, float]:
    """Seconds of each part of one deployment."""
    params: dict[str, Any] = {
        "servers": [place.fqdn for place in places],
        "endpoint": {place.fqdn: place.powershell for place in places},
        "winrm": {place.fqdn: place.winrm for place in places},
        "auth": "basic",
        "credential": "exchange",
        "ca_file": str(ca_file),
        "services": "IIS,SMTP,POP,IMAP",
        "verify": [
            f"{p.fqdn}/{way}:{p.ports[port][0]}:{p.ports[port][1]}" for p in places for port, way in WAYS.items()
        ],
    }
    context = TaskContext(
        certificate_title="bench",
        version=new,
        predecessors=(old,),
        credentials=lambda name: Credential(name, USERNAME, PASSWORD),
        memory=MemoryInMemory(),
        journal=Notes(),
        now=lambda: dt.datetime.now(dt.UTC),
        guard=lambda: None,
        attended=True,
    )
    task = Exchange(read_params(Settings, params, "the bench"), context)
    times = [time.monotonic()]
    baseline = task.baseline()
    times.append(time.monotonic())
    plan = task.plan()
    if plan.refusals or not plan.changes:
        raise SystemExit(f"nothing to measure: {plan.refusals}")
    times.append(time.monotonic())
    task.apply(plan)
    times.append(time.monotonic())
    rows = task.verify(baseline)
    times.append(time.monotonic())
    if wrong := [row for row in rows if row.verdict.is_failure]:
        raise SystemExit(f"not every port serves the new certificate: {wrong[:3]}")
    assert any(row.verdict is Verdict.OK for row in rows)
    steps = [after - before for before, after in itertools.pairwise(times)]
    return {**dict(zip(("baseline", "plan", "apply", "verify"), steps, strict=True)), "whole": times[-1] - times[0]}


def main() -> None:
    """Measure one and many, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=30)
    parser.add_argument("--delay", type=float, default=2.0)
    options = parser.parse_args()
    authority = Authority()
    endpoint, old, new = authority.issue(("127.0.0.1", "localhost")), authority.issue(), authority.issue()
    assert endpoint.key is not None
    made = {"chain": pem(endpoint.chain[:1]), "key": private_key_pem(endpoint.key), "old": pfx(old)}
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        ca_file = Path(folder) / "ca.pem"
        ca_file.write_bytes(authority.pem)
        for servers in (1, options.servers):
            with organisation(servers, options.delay, made) as places:
                found[servers] = deploy(places, ca_file, old, new)
            print(f"{servers:>3} servers: " + ", ".join(f"{k} {v:.1f} s" for k, v in found[servers].items()))
    ratio = found[options.servers]["whole"] / found[1]["whole"]
    print(f"{options.servers} servers take {ratio:.2f} times as long as one; {options.delay:g} s per cmdlet")
    told = {
        "measured": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, simulator in a process of its own",
        "servers": options.servers,
        "delay": options.delay,
        "ratio": round(ratio, 2),
        "seconds": {str(n): {part: round(took, 1) for part, took in parts.items()} for n, parts in found.items()},
    }
    RECORD.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
