"""What `certwright serve` costs with many managed certificates on SQLite: `make bench`.

    python bench/serve.py [--count 100000] [--seconds 120]

Twice: with nothing due and no look at the authority's renewal information due; and in the steady state, in which each
is looked at twice a day. The rows are written straight into the store; those that are to be looked at while it is
measured have a version. Memory and CPU are what the kernel says of the one process. The result goes to serve.json too.
"""

import argparse
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from renew_scan import fill
from sqlalchemy import select

from certwright.acme_server.messages import Endpoint
from certwright.engine.request import request
from certwright.engine.schedule import reschedule
from certwright.engine.status import judge_stale
from certwright.store.schema import managed as table
from certwright.wiring import utc_now
from world.site import Authority, Site, authority, describe, register

RECORD = Path(__file__).with_suffix(".json")
LOOKS_A_DAY = 2
BEGINNING_SECONDS = 15
TICKS = os.sysconf("SC_CLK_TCK")
ISSUED = "issued.contoso.test"


def prepare(site: Site, ca: Authority, looks: int, pause: float) -> None:
    """Have so many of the managed certificates be looked at, one after each pause (in seconds)."""
    register(site, ca)
    with site.engine() as engine:
        version = request(engine, describe(engine, ca, ISSUED).id).version
        assert version
        with engine.store.write() as unit:
            known = unit.managed.connection.scalars(
                select(table.c.id).where(table.c.title != ISSUED).limit(looks)
            ).all()
            for number, managed_id in enumerate(known):
                one = unit.managed.get(managed_id)
                made = version.model_copy(
                    update={"id": f"v{number}", "managed_id": managed_id, "fingerprint": one.fingerprint}
                )
                unit.versions.add(made, None)
                state = unit.renewals.get(managed_id)
                at = utc_now() + dt.timedelta(seconds=number * pause)
                unit.renewals.save(managed_id, state.model_copy(update={"ask_again": at}))
                reschedule(engine, unit, one)


def watch(site: Site, ca: Authority, seconds: float) -> dict[str, float]:
    """Run the service, and look at it for so long once it has begun."""
    with tempfile.TemporaryFile() as told:
        service = subprocess.Popen(
            [sys.executable, "-m", "certwright", "serve"],
            env={**os.environ, **site.environment},
            stdout=told,
            stderr=subprocess.STDOUT,
        )
        try:
            time.sleep(BEGINNING_SECONDS)
            before, looked, begun = cpu(service.pid), ca.server.requests[Endpoint.RENEWAL_INFO], time.monotonic()
            time.sleep(seconds)
            used, looks = cpu(service.pid) - before, ca.server.requests[Endpoint.RENEWAL_INFO] - looked
            share = used / (time.monotonic() - begun)
            found = {"rss_mib": round(memory(service.pid)), "core_percent": round(100 * share, 3), "looks": looks}
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(60)
        if service.returncode:
            told.seek(0)
            raise SystemExit(f"the service ended with {service.returncode}:\n{told.read().decode()[-3000:]}")
    return {**found, "cpu_ms_a_look": round(1000 * used / looks, 2)} if looks else found


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """MiB that a process has in memory now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    """Measure, show, and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    pause = 86_400 / LOOKS_A_DAY / options.count
    looks = min(options.count, int((options.seconds + 2 * BEGINNING_SECONDS) / pause))
    with tempfile.TemporaryDirectory() as folder, authority() as ca:
        site = Site(Path(folder))
        fill(site.settings, options.count, 0)
        with site.engine() as engine:
            judge_stale(engine)  # it is done once for each row, which nobody writes a hundred thousand of at once
        found = {"nothing due": watch(site, ca, options.seconds)}
        prepare(site, ca, looks, pause)
        found["steady"] = watch(site, ca, options.seconds)
    for name, row in found.items():
        print(f"{options.count} certificates, {name}: " + ", ".join(f"{part} {value:g}" for part, value in row.items()))
    print("Goals: below 120 MiB; with nothing due below 0.5 percent of a core.")
    told = {"measured": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "certificates": options.count, **found}
    RECORD.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
