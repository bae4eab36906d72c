"""Looks from this computer at mail servers elsewhere: which certificate does each port serve?

This is one file for any computer with Python 3.9 or later; it needs nothing else. Certwright made it to learn what
the world outside sees of your servers. It connects to each service in JOB, starts TLS, looks at the certificate, and
leaves. It sends no password and no mail, and changes nothing.

    python certwright-outside.py            shows a table
    python certwright-outside.py --json     writes a report for Certwright

The exit code is 0 if all is as it should be and 1 if not. A port that is closed to the outside may be meant so: that is
told, and is a fault only for the names that everybody uses.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import pathlib
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# What to look at, as JSON. Without it, it is read from the file beside this one that ends in .json instead of .py.
JOB = "null"

SECONDS = 15
LINE_BYTES = 2048
LINES = 100
ADDRESSES = 8
WORKERS = 8
SHOWN = 200
LEGACY_SERVER_CONNECT = 0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which has its name from Python 3.12 on


class ClosedError(Exception):
    """There is no connection to be had."""


class FaultError(Exception):
    """There is a connection, but not to what should be there."""


class Served(NamedTuple):
    """What a service agreed on: the TLS version, and the SHA-256 of its certificate."""

    protocol: str
    sha256: str


class Lines:
    """What a peer says line by line, within limits of time and size."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.end = time.monotonic() + SECONDS
        self.rest = b""
        self.count = 0

    def say(self, text: str) -> None:
        """Send a line."""
        self.sock.sendall(text.encode("ascii") + b"\r\n")

    def next(self) -> str:
        """The next line."""
        self.count += 1
        while b"\n" not in self.rest:
            left = self.end - time.monotonic()
            if left <= 0 or len(self.rest) > LINE_BYTES or self.count > LINES:
                raise FaultError("the server does not come to an end")
            self.sock.settimeout(left)
            data = self.sock.recv(LINE_BYTES)
            if not data:
                raise FaultError("the server closed the connection")
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode("latin-1").rstrip("\r")

    def expect(self, start: str) -> str:
        """The next line, which has to begin like this."""
        line = self.next()
        if not line.upper().startswith(start):
            raise FaultError(f"the server says: {line}")
        return line

    def reply(self, code: str) -> list[str]:
        """A whole reply of an SMTP server."""
        found = [self.expect(code)]
        while found[-1][3:4] == "-":
            found.append(self.expect(code))
        return found


def start_smtp(lines: Lines) -> None:
    """Ask an SMTP server for TLS (RFC 3207)."""
    lines.reply("220")
    host = lines.sock.getsockname()[0]
    lines.say(f"EHLO [IPv6:{host}]" if ":" in host else f"EHLO [{host}]")
    if not any(line[4:].strip().upper() == "STARTTLS" for line in lines.reply("250")):
        raise FaultError("the server offers no STARTTLS")
    lines.say("STARTTLS")
    lines.reply("220")


def start_imap(lines: Lines) -> None:
    """Ask an IMAP server for TLS (RFC 9051)."""
    lines.expect("* OK")
    lines.say("c STARTTLS")
    lines.expect("C OK")


def start_pop3(lines: Lines) -> None:
    """Ask a POP3 server for TLS (RFC 2595)."""
    lines.expect("+OK")
    lines.say("STLS")
    lines.expect("+OK")


STARTS: dict[str, Callable[[Lines], None]] = {"smtp": start_smtp, "imap": start_imap, "pop3": start_pop3}


def looking() -> ssl.SSLContext:
    """A TLS client that believes no server: it only looks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return talking_to_all(context)


def judging(server_name: str | None) -> ssl.SSLContext:
    """A TLS client that believes what this computer believes; without a name to send it judges none."""
    context = ssl.create_default_context()
    context.check_hostname = server_name is not None
    return talking_to_all(context)


def talking_to_all(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, for servers however old: nothing secret is ever sent."""
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    context.options |= LEGACY_SERVER_CONNECT
    return context


def observe(target: dict[str, Any], address: str, context: ssl.SSLContext) -> Served:
    """Connect, start TLS, and tell what is served."""
    try:
        sock = socket.create_connection((address, target["port"]), timeout=SECONDS)
    except OSError as error:
        raise ClosedError(f"no connection: {error.strerror or error}") from None
    with sock:
        if target["starttls"]:
            lines = Lines(sock)
            STARTS[target["starttls"]](lines)
            if lines.rest:
                raise FaultError("the server went on in clear after it had agreed to TLS")
        sock.settimeout(SECONDS)
        with context.wrap_socket(sock, server_hostname=target["server_name"]) as tls:
            certificate = tls.getpeercert(binary_form=True)
            return Served(str(tls.version()), hashlib.sha256(certificate or b"").hexdigest())


def look_at(target: dict[str, Any], address: str, expected: str) -> dict[str, Any]:
    """The row of one address."""
    row = {**target, "address": address, "verdict": "fault", "protocol": None, "sha256": None, "trusted": None}
    try:
        served = observe(target, address, looking())
        row.update(verdict="other", protocol=served.protocol, sha256=served.sha256)
        if served.sha256 != expected:
            return {**row, "detail": "serves another certificate"}
        row.update(verdict="untrusted", trusted=False)
        observe(target, address, judging(target["server_name"]))
    except ClosedError as error:
        return {**row, "verdict": "closed" if row["sha256"] is None else "fault", "detail": harmless(error)}
    except ssl.SSLCertVerificationError as error:
        return {**row, "detail": harmless(f"this computer does not trust it: {error.verify_message}")}
    except (FaultError, OSError, ValueError) as error:
        return {**row, "verdict": "fault", "trusted": None, "detail": harmless(error)}
    return {**row, "verdict": "ok", "trusted": True, "detail": "serves the expected certificate"}


def look(target: dict[str, Any], expected: str) -> list[dict[str, Any]]:
    """A row for each address that the target has; one without an address if it has none."""
    try:
        flags = getattr(socket, "AI_ADDRCONFIG", 0)
        found = socket.getaddrinfo(target["host"], target["port"], type=socket.SOCK_STREAM, flags=flags)
    except (OSError, ValueError) as error:
        nothing = {"address": None, "verdict": "closed", "protocol": None, "sha256": None, "trusted": None}
        return [{**target, **nothing, "detail": harmless(f"no address: {error}")}]
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))[:ADDRESSES]
    return [look_at(target, address, expected) for address in addresses]


def is_good(row: dict[str, Any]) -> bool:
    """Whether nothing has to be done about it."""
    return row["verdict"] == "ok" or (row["verdict"] == "closed" and not row["required"])


def harmless(said: object) -> str:
    """What a stranger said, fit for any terminal."""
    text = re.sub(r"[^ -~]", ".", str(said))
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = [("", "PORT", "HOW", "NAME SENT", "ADDRESS", "TLS", "WHAT")]
    for row in rows:
        how = f"{row['starttls']} STARTTLS" if row["starttls"] else "TLS"
        where = f"{row['host']}:{row['port']}"
        sent, address = row["server_name"] or "none", row["address"] or "none"
        sign = "ok" if row["verdict"] == "ok" else "--" if is_good(row) else "!!"
        lines.append((sign, where, how, sent, address, row["protocol"] or "", row["detail"]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def read_job() -> tuple[str, list[dict[str, Any]]]:
    """The SHA-256 that is expected, and where to look."""
    beside = pathlib.Path(__file__).with_suffix(".json")
    try:
        job = json.loads(JOB) or json.loads(beside.read_text("utf-8-sig"))
        return job["expected_sha256"].lower(), [read_target(target) for target in job["targets"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(f"What to look at cannot be read from {beside}: {type(error).__name__} {error}.") from None


def read_target(given: dict[str, Any]) -> dict[str, Any]:
    """One place to look at."""
    if given.get("starttls") not in {None, *STARTS}:
        raise ValueError("starttls is one of smtp, imap, pop3, or null")
    return {
        "host": given["host"],
        "port": int(given["port"]),
        "starttls": given.get("starttls"),
        "server_name": given.get("server_name"),
        "required": bool(given.get("required")),
    }


def main(arguments: list[str]) -> int:
    """Look at everything, tell it, and return the exit code."""
    expected, targets = read_job()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        seen = pool.map(functools.partial(look, expected=expected), targets)
        rows = [row for found in seen for row in found]
    good = all(map(is_good, rows)) and any(row["verdict"] == "ok" for row in rows)
    if "--json" in arguments:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        report = {"format": "certwright-outside/1", "taken_at": moment, "expected_sha256": expected, "rows": rows}
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        summary = "All is as it should be." if good else "Not all is as it should be: see the lines with !!."
        sys.stdout.write(f"{table(rows)}\n{summary}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
