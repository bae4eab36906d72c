"""What a tick of the schedule costs by how many certificates there are and how many are due.

    python bench/renew_scan.py [--most 1000000]

Rows are written straight into the store, so that a million of them takes a minute; what is measured is the worker's own
question. Beside it is `certbot renew` with 1,000 certificates of which none is due: one was issued, the others are its
copies under other names. The result goes to renew_scan.json too.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sqlalchemy import insert

from certwright import store
from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.settings import Settings
from certwright.store import schema
from certwright.wiring import open_engine, utc_now
from peers.acme_server import loopback_config
from peers.ports import free_port

CERTBOT = Path(sys.executable).with_name("certbot")
PEERS = 1_000
RECORD = Path(__file__).parent / "renew_scan.json"
ROUNDS = 200
BATCH = 20_000


def fill(settings: Settings, count: int, due: int) -> None:
    """Make a store with so many managed certificates, of which the first are due."""
    store.create(settings)
    engine = open_engine(settings, lambda _: None)
    later, now = utc_now() + timedelta(minutes=30), utc_now() - timedelta(hours=1)
    with engine.store.write() as unit:
        unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"key", None)
        made = 0
        while made < count:
            rows = []
            for number in range(made, min(made + BATCH, count)):
                one = ManagedCertificate(
                    title=f"host{number}", identifiers=parse_all([f"host{number}.contoso.com"]), issuer="le"
                )
                rows.append(
                    {
                        "id": one.id,
                        "title": one.title,
                        "issuer": "le",
                        "revision": 0,
                        "next_action_at": now if number < due else later + timedelta(seconds=number % 80_000),
                        "body": one,
                    }
                )
            unit.managed.connection.execute(insert(schema.managed), rows)
            made += len(rows)
    engine.store.close()


def measure(count: int, due: int) -> dict[str, float]:
    """What a tick costs, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Path(folder) / "data", key_folder=Path(folder) / "keys")
        fill(settings, count, due)
        engine = open_engine(settings, lambda _: None)
        wall = []
        begun = time.process_time()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            with engine.store.read() as unit:
                now = utc_now()
                unit.managed.due(now, 8)
                unit.managed.next_moment(now)
            wall.append(time.perf_counter() - start)
        cpu = (time.process_time() - begun) / ROUNDS
        engine.store.close()
    return {
        "certificates": count,
        "due": due,
        "tick_ms_median": round(statistics.median(wall) * 1000, 3),
        "tick_ms_95": round(sorted(wall)[int(ROUNDS * 0.95)] * 1000, 3),
        "cpu_ms": round(cpu * 1000, 3),
    }


def certbot(count: int) -> dict[str, float | str]:
    """What `certbot renew` costs with so many certificates and nothing due."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, AcmeServer(loopback_config(AcmeServerConfig(), http_port=port)) as ca:
        config = Path(folder) / "config"
        folders = [f"--{name}-dir={Path(folder) / name}" for name in ("config", "work", "logs")]
        base = [str(CERTBOT), "--non-interactive", f"--server={ca.directory_url}", *folders]
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(ca.ca_file)}

        def run(*arguments: str) -> None:
            subprocess.run([*base, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)

        run("register", "--agree-tos", "--email=a@contoso.test")
        standalone = ("--standalone", f"--http-01-port={port}", "--http-01-address=127.0.0.1")
        run("certonly", *standalone, "--domain=host0.contoso.test")
        for number in range(1, count):
            copy(config, "host0.contoso.test", f"host{number}.contoso.test")
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        run("renew", "--quiet", "--no-random-sleep-on-renew")
        wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "peer": "certbot renew",
        "certificates": count,
        "due": 0,
        "wall_ms": round(wall * 1000),
        "cpu_ms": round(cpu * 1000),
    }


def copy(config: Path, name: str, other: str) -> None:
    """Give certbot a certificate of its own once more, under another name."""
    shutil.copytree(config / "archive" / name, config / "archive" / other)
    (config / "live" / other).mkdir()
    for link in (config / "live" / name).glob("*.pem"):
        (config / "live" / other / link.name).symlink_to(str(link.readlink()).replace(name, other))
    written = (config / "renewal" / f"{name}.conf").read_text()
    (config / "renewal" / f"{other}.conf").write_text(written.replace(name, other))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=1_000_000)
    most = parser.parse_args().most
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= most]
    rows = [*(measure(size, due) for size in sizes for due in (0, 100)), certbot(PEERS)]
    told = json.dumps(rows, indent=2) + "\n"
    RECORD.write_text(told)
    print(told, end="")


if __name__ == "__main__":
    main()
