"""`certwright demo` as a newcomer runs it: piped, on a terminal, kept running, interrupted; nothing is left behind."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from peers.ports import free_port
from world.terminal import Terminal

pytestmark = pytest.mark.e2e
PORTS = (443, 25, 587, 143, 993, 110, 995)
SERVERS = ("ex01.contoso.test", "ex02.contoso.test", "ex03.contoso.test")
SCREENS = 100  # lines: two screens


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "TERM": "xterm", "HOME": str(folder)}


def _verdicts(table: str) -> dict[int, list[tuple[str, str, str]]]:
    """Standard port -> for each server what it served, what it serves, and the verdict."""
    rows = re.findall(r"^ *(?:IIS|SMTP|IMAP|POP) +(\d+) +(.*)$", table, re.MULTILINE)
    return {int(port): re.findall(r"([0-9A-F]{8}) to ([0-9A-F]{8}), (\w+)", rest) for port, rest in rows}


def test_the_demo_is_green_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "certwright", "demo"],
        env=_environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not ended.stderr
    assert "\x1b" not in ended.stdout, "colours or a spinner in a pipe"
    *_, table = ended.stdout.split("What every port served at first, and serves now")
    rows = _verdicts(table)
    assert set(rows) == set(PORTS)
    served = [cell for cells in rows.values() for cell in cells]
    assert len(served) == len(PORTS) * len(SERVERS), table
    assert len(set(served)) == 1, "one certificate on every port of every server"
    ((before, now, verdict),) = set(served)
    assert (before != now, verdict) == (True, "ok")
    assert all(server in table for server in SERVERS)
    assert "all are for mail.contoso.test and autodiscover.contoso.test." in table
    assert "Every port is green." in table
    assert len(ended.stdout.splitlines()) <= SCREENS
    assert ended.stdout.count("Wave 2: ex02.contoso.test, ex03.contoso.test") == 2, "the third ends with the canary"
    for act in ("exchange: deployed", "exchange: rolled-back", "The deployment failed and was taken back"):
        assert act in ended.stdout
    assert ended.stdout.count("exchange: deployed") == 2
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_the_world_is_kept_until_it_is_interrupted(tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, "-m", "certwright", "demo", "--keep"], _environment(tmp_path))
    try:
        terminal.read_until("the pages, at http://127.0.0.1:8480/", 180)
        assert "\x1b[" in terminal.shown, "neither colours nor a spinner on a terminal"
        assert "Every port is green." in terminal.shown
        _as_the_demo_says(terminal.shown, tmp_path)
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until(None, 30)
        assert terminal.process.wait(timeout=20) == 0
        assert "The world ends." in terminal.shown
        assert "Traceback" not in terminal.shown
    finally:
        terminal.close()
    assert list(tmp_path.iterdir()) == []


def _as_the_demo_says(shown: str, folder: Path) -> None:
    """The commands that it prints work as they stand, and the certificate is as it says before and after them."""
    export = re.search(r"export CERTWRIGHT_DATA=(\S+) CERTWRIGHT_MASTER_KEY_FILE=(\S+)", shown)
    assert export
    commands = re.findall(r"\.venv/bin/certwright (.*?)\r?\n", shown)
    assert len(commands) == 7
    environment = {
        **_environment(folder),
        "CERTWRIGHT_DATA": export.group(1),
        "CERTWRIGHT_MASTER_KEY_FILE": export.group(2),
    }
    *ending, serve = [shlex.split(command, comments=True) for command in commands]
    told = [_ended(arguments, environment) for arguments in (*ending, ending[0])]
    assert "Its certificate is called failing" in " ".join(shown.split())
    assert "failing: deployment-failing" in told[0]
    assert "failing" not in told[-1]
    at = f"127.0.0.1:{free_port()}"  # whoever runs the tests may have a service at the usual one
    service = Terminal([sys.executable, "-m", "certwright", *serve, "--listen", at], environment)
    try:
        service.read_until(f"http://{at}/", 60)
        service.process.send_signal(signal.SIGTERM)
        service.read_until("The service has ended.", 60)
    finally:
        service.close()


def _ended(arguments: list[str], environment: dict[str, str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "certwright", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, f"{arguments}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda end: end.name)
def test_interrupted_in_the_middle_it_cleans_up(tmp_path: Path, end: signal.Signals) -> None:
    with _begun(tmp_path) as process:
        assert process.stdout
        _read_until("Look at the whole organisation", process.stdout)
        process.send_signal(end)
        rest = process.stdout.read()
        assert process.wait(timeout=30) == 130
    assert "Stopped." in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_the_kept_world_ends_with_its_terminal(tmp_path: Path) -> None:
    with _begun(tmp_path, "--keep") as process:
        assert process.stdout
        _read_until("the pages, at", process.stdout)
        process.stdout.close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=30) == 0
    assert list(tmp_path.iterdir()) == []


def _begun(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "certwright", "demo", *arguments],
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _read_until(words: str, told: IO[str]) -> None:
    assert any(words in line for line in told)
