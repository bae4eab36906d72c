"""What anybody on the machine could see of commands (output, files, logs, command lines), and secrets in it."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from world.site import Site

SCRIPT = """
import logging, os, sys
logging.basicConfig(level=logging.DEBUG, filename=os.environ["DEBUG_LOG"])
from certwright.cli import main
main()
"""


def forms(secret: bytes) -> set[bytes]:
    """How a secret may look when it leaks: as it is, as Windows writes it, in hex, in base64 wherever it begins."""
    text = secret.decode("latin-1")
    found = {secret, text.encode("utf-16-le"), secret.hex().encode(), quote(text).encode()}
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"x" * shift + secret)[4:-4])
    return found


@dataclass
class Watch:
    """Runs commands in processes of their own and keeps all that anyone could see of them."""

    site: Site
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    seen: dict[str, bytes] = field(default_factory=dict)

    def run(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Run a command with everything logged; its standard output."""
        name = " ".join(arguments)[:60]
        own = self.folder / "tmp"
        own.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            **self.site.environment,
            **self.environment,
            "DEBUG_LOG": str(self.folder / "debug.log"),
            "TMPDIR": str(own),
        }
        with (
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            ) as process,
            _command_lines(process.pid) as lines,
        ):
            out, err = process.communicate(given.encode(), timeout=120)
        assert process.returncode == code, (name, out, err)
        assert lines, "no command line was seen"
        self.seen[f"command line of {name}"] = b"\n".join(lines)
        self.seen[f"output of {name}"] = out + err
        self.look_at_files(name)
        return out.decode()

    def look_at_files(self, when: str) -> None:
        """Keep what is on disk now."""
        for folder in (self.site.settings.data_folder, self.folder / "tmp"):
            for path in (p for p in folder.rglob("*") if p.is_file()):
                self.seen[f"{path} after {when}"] = path.read_bytes()
        self.seen["debug.log"] = (self.folder / "debug.log").read_bytes()

    def leaks(self, secrets: Sequence[bytes]) -> list[str]:
        """Where any of them can be seen."""
        wanted = {form for secret in secrets for form in forms(secret)}
        return [where for where, data in self.seen.items() if any(form in data for form in wanted)]


@contextmanager
def _command_lines(pid: int) -> Iterator[set[bytes]]:
    """The command lines of this process and its children, as `ps` shows them, for as long as the block lasts."""
    found: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            children = Path(f"/proc/{pid}/task/{pid}/children")
            try:
                for number in [str(pid), *children.read_text().split()]:
                    found.add(Path(f"/proc/{number}/cmdline").read_bytes())
            except OSError:
                continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
