"""What the pages cost with 100,000 certificates and 1,000,000 journal entries on SQLite: `make bench`.

    python bench/pages.py [--count 100000] [--entries 1000000]

Each page is asked for over loopback, one request after another, from another process; its time is from the request to
the last byte. A page of the bare framework stands beside them. Then so many browsers listen while a run writes: what
it takes of memory, and whether each hears everything. The result goes to pages.json too.
"""

import argparse
import asyncio
import gzip
import http.client
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from certwright import store, web
from certwright.domain.access import Role
from certwright.domain.runs import Entry, Phase, Run, RunKind
from certwright.engine.exchange.reach import remember
from certwright.engine.jobs import Jobs
from certwright.engine.live import Live
from certwright.engine.people import add_person
from certwright.engine.sign_in import sign_in
from certwright.exchange.connection import Connection
from certwright.probe import Endpoint
from certwright.sdk.params import read_params
from certwright.server.http import listening
from certwright.settings import Settings
from certwright.web.rendering import STATIC
from certwright.wiring import open_engine, utc_now
from peers.ports import free_port, wait_for_port
from world.many import fill
from world.web import PASSWORD

RECORD = Path(__file__).with_suffix(".json")
ROUNDS = 200
BROWSERS = 200
WRITTEN = 100
PAGES = {
    "certificates": "/certificates",
    "next page": "/certificates?after=shop5",
    "search, one": "/certificates?name=sso99999.con",
    "search, many": "/certificates?name=9",
    "search, none": "/certificates?name=zzz",
    "filter health": "/certificates?health=failing",
    "filter health and issuer": "/certificates?health=attention&issuer=le",
    "filter server": "/certificates?target=ex7.contoso.com",
    "search and filter": "/certificates?name=contoso&health=attention",
    "ends within 30 days": "/certificates?expiry=30",
    "overview": "/",
    "Exchange": "/exchange",
    "credentials": "/credentials",
}
_SCRIPTS = ("time.js", "kept.js", "live.js", "pick.js", "with.js")
FIRST = ("vendor/pico.min.css", "app.css", "vendor/htmx.min.js", *_SCRIPTS, "icon.svg")


def prepare(settings: Settings, count: int, entries: int) -> None:
    """A store like that of a large company, and somebody who signs in."""
    store.create(settings)
    engine = open_engine(settings, lambda _: None)
    fill(engine, count, entries)
    remember(engine, read_params(Connection, {"servers": ["ex7.contoso.com"]}, "the connection"))
    add_person(engine, "anna", Role.ADMINISTRATOR, PASSWORD)
    engine.store.close()


def serve(settings: Settings, port: int, bare_port: int, secret: "multiprocessing.Queue[str]", stop: Event) -> None:
    """The process that is measured; it tells what a signed-in browser shows."""
    engine = open_engine(settings, lambda _: None)
    pages = web.application(engine, web.SetupToken(), lambda: None, Live(engine.store), jobs := Jobs(engine))
    text = "<p>A page of a bare framework.</p>\n" * 1000

    async def bare(_request: Request) -> HTMLResponse:
        return HTMLResponse(text)

    with (
        listening(Endpoint("127.0.0.1", port), pages),
        listening(Endpoint("127.0.0.1", bare_port), Starlette(routes=[Route("/", bare)])),
    ):
        secret.put(sign_in(engine, "anna", PASSWORD))
        stop.wait()
    jobs.close()
    engine.store.close()


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[int, int, str, int]]:
    """The ports of the pages and of the bare framework, the cookie, and the process."""
    context = multiprocessing.get_context("spawn")
    port, bare_port, secret, stop = free_port(), free_port(), context.Queue(), context.Event()
    process = context.Process(target=serve, args=(settings, port, bare_port, secret, stop))
    process.start()
    try:
        wait_for_port("127.0.0.1", port, 60)
        yield port, bare_port, secret.get(timeout=60), process.pid or 0
    finally:
        stop.set()
        process.join(60)


def measure(port: int, path: str, secret: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Its time in milliseconds, and its length as it is sent."""
    headers = {"Cookie": f"certwright={secret}", "Accept-Encoding": "gzip"}
    times, length = [], 0
    for _ in range(rounds):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        begun = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        length = len(answer.read())
        times.append((time.perf_counter() - begun) * 1000)
        assert answer.status == HTTPStatus.OK, (path, answer.status)
        connection.close()
    return {
        "ms_median": round(statistics.median(times), 1),
        "ms_95": round(sorted(times)[int(rounds * 0.95)], 1),
        "kb": round(length / 1000, 1),
    }


async def _listen(port: int, secret: str, heard: list[int], place: int) -> None:
    """One browser: it counts the events that it hears, until there are enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: certwright={secret}\r\n\r\n".encode())
    async for line in reader:
        if line.startswith(b"id: "):
            heard[place] = int(line[4:].partition(b"-")[0])


async def _watched(settings: Settings, port: int, secret: str) -> tuple[list[int], int]:
    """The last entry that each browser heard of, and the last that there was."""
    heard = [0] * BROWSERS
    tasks = [asyncio.create_task(_listen(port, secret, heard, place)) for place in range(BROWSERS)]
    await asyncio.sleep(3)
    newest = await asyncio.to_thread(_write, settings)
    for _ in range(60):
        if min(heard) == newest:
            break
        await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    return heard, newest


def _write(settings: Settings) -> int:
    engine = open_engine(settings, lambda _: None)
    run = Run(managed_id="0123456789ab", kind=RunKind.REQUEST, started_at=utc_now())
    with engine.store.write() as unit:
        unit.runs.start(run)
    for _ in range(WRITTEN):
        with engine.store.write() as unit:
            unit.runs.append(Entry(run_id=run.id, at=utc_now(), step=1, phase=Phase.NOTE, title="Written"))
        time.sleep(0.02)
    with engine.store.read() as unit:
        newest = unit.runs.newest_entry()
    engine.store.close()
    return newest


def memory(pid: int) -> float:
    """What the process has of it, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Path(folder) / "data", key_folder=Path(folder) / "keys")
        prepare(settings, asked.count, asked.entries)
        with serving(settings) as (port, bare_port, secret, pid):
            measure(port, "/certificates", secret, 20)
            pages = {name: measure(port, path, secret) for name, path in PAGES.items()}
            pages["a page of the bare framework"] = measure(bare_port, "/", secret)
            before = memory(pid)
            heard, newest = asyncio.run(_watched(settings, port, secret))
            more = memory(pid) - before
    files = sum(len(gzip.compress((STATIC / name).read_bytes())) for name in FIRST) / 1000
    found = {
        "certificates": asked.count,
        "journal_entries": asked.entries,
        "pages": pages,
        "first_load_kb": round(files + pages["overview"]["kb"], 1),
        "repeat_load_kb": pages["overview"]["kb"],
        "browsers": BROWSERS,
        "browsers_mib_more": round(more, 1),
        "browsers_that_missed_something": sum(each != newest for each in heard),
    }
    told = json.dumps(found, indent=2) + "\n"
    RECORD.write_text(told)
    print(told, end="")


if __name__ == "__main__":
    main()
