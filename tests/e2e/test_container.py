"""The container's files: what they say is right, and what they start works as plain processes on a shared store."""

import fnmatch
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import ValidationError

from peers.compose import Compose, ServiceSecret
from peers.ports import free_port
from peers.postgres import GUARDED, PASSWORD, Postgres

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "container"
COMPOSE = Compose.read(FOLDER / "compose.yaml")
NODES = {name: service for name, service in COMPOSE.services.items() if service.build}
INSTRUCTIONS = [
    (words[0], words[1])
    for line in re.sub(r" *\\\n *", " ", (FOLDER / "Containerfile").read_text()).splitlines()
    if line.strip() and not line.startswith("#")
    for words in [line.split(maxsplit=1)]
]


def said(instruction: str) -> list[str]:
    """What stands behind each such instruction."""
    return [words for name, words in INSTRUCTIONS if name == instruction]


def variables() -> dict[str, str]:
    """Those of the image."""
    return dict(word.split("=", 1) for words in said("ENV") for word in shlex.split(words))


def copied() -> list[str]:
    """What is taken from the folder of the project."""
    return [source for words in said("COPY") if "--from" not in words for source in words.split()[:-1]]


def test_the_image_is_built_of_what_is_there_and_locked() -> None:
    known = {
        "FROM",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "WORKDIR",
        "VOLUME",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert {name for name, _ in INSTRUCTIONS} == known
    assert all(re.fullmatch(r"python:3\.\d+-slim( AS build)?", words) for words in said("FROM"))
    sources = copied()
    assert sources
    assert all((ROOT / source).exists() for source in sources)
    installs = [command for words in said("RUN") for command in words.split("&&") if "pip install" in command]
    assert installs
    assert all("--require-hashes" in command or "--no-deps" in command for command in installs)
    assert "://" not in " ".join(words for _, words in INSTRUCTIONS)


def test_what_is_copied_is_let_through() -> None:
    lines = (FOLDER / "Containerfile.dockerignore").read_text().split()
    assert lines[0] == "*"
    allowed = [line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")]
    for source in copied():
        assert any(fnmatch.fnmatch(source, pattern) or source.startswith(f"{pattern}/") for pattern in allowed), source
    assert all((ROOT / pattern).exists() for pattern in allowed)


def test_it_does_not_run_as_root() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert said("USER") == ["10001:10001"]
    owned = ServiceSecret(source="db_password", uid="10001", gid="10001", mode="0400")
    assert all(owned in service.secrets for service in NODES.values())


def test_the_nodes_differ_in_their_folder_only_and_share_the_master_key() -> None:
    assert len(NODES) == 2
    one, two = (service.model_dump(exclude={"volumes"}) for service in NODES.values())
    assert one == two
    volumes = [set(service.volumes) for service in NODES.values()]
    assert volumes[0] & volumes[1] == {f"keys:{Path(variables()['CERTWRIGHT_MASTER_KEY_FILE']).parent}"}
    places = {volume.partition(":")[2] for volume in set.union(*volumes)}
    assert places == set(json.loads(said("VOLUME")[0]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("services", "one", "imagee"), "x"),
        (("services", "one", "image"), "registry.example.org/certwright"),
        (("services", "one", "healthcheck", "interval"), 30),
        (("services", "one", "volumes"), ["nowhere:/x"]),
        (("services", "one", "depends_on", "nobody"), {"condition": "service_healthy"}),
        (("services", "one", "restart"), "sometimes"),
        (("services", "one", "read_only"), True),
        (("volumes", "keys"), {"driver": "x"}),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_in_the_file_would_be_seen(path: tuple[str, ...], value: object) -> None:
    found = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    del found["x-node"]
    inner = found
    for key in path[:-1]:
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ValidationError):
        Compose.model_validate(found)


@dataclass(frozen=True)
class Container:
    """What the image and the compose file make of one node, as processes of this machine."""

    environment: Mapping[str, str]

    @classmethod
    def of(cls, name: str, folder: Path, postgres: Postgres, database: str) -> "Container":
        """In a folder, with another database and port."""
        inside = {**variables(), **NODES[name].environment}
        address = urlsplit(inside["CERTWRIGHT_STORE"])
        assert address.hostname in COMPOSE.services
        own = folder / name
        own.mkdir()
        password = own / "password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        store = f"postgresql://{GUARDED}@127.0.0.1:{postgres.port}/{database}?{address.query}"
        outside = {
            "CERTWRIGHT_DATA": str(own),
            "CERTWRIGHT_MASTER_KEY_FILE": str(folder / "master.key"),
            "CERTWRIGHT_STORE_PASSWORD_FILE": str(password),
            "CERTWRIGHT_STORE": store,
            "CERTWRIGHT_LISTEN": f"127.0.0.1:{free_port()}",
        }
        assert outside.keys() <= inside.keys()
        paths = ("PATH", "PYTHONPATH", "HOME")
        kept = {name: os.environ[name] for name in paths if name in os.environ}
        ours = {name: value for name, value in inside.items() if name.startswith("CERTWRIGHT_")}
        return cls({**ours, **outside, **kept})

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command beside the service, to its end."""
        command = self._program(*words)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    def healthy(self, name: str) -> int:
        """The exit code of the health command."""
        check = NODES[name].healthcheck.test[1:]
        assert json.loads(said("HEALTHCHECK")[0].partition("CMD")[2]) == check
        return self.run(*check[1:]).returncode

    @contextmanager
    def started(self, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """The entry point, until the block ends."""
        (entry,) = json.loads(said("ENTRYPOINT")[0])
        assert entry == "certwright"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._program(*json.loads(said("CMD")[0])), env=self.environment, stdout=output, stderr=output
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def _program(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "certwright", *words]


@pytest.mark.e2e
def test_both_nodes_become_healthy_and_end_when_they_are_told(tmp_path: Path, postgres: Postgres) -> None:
    database = urlsplit(postgres.database()).path.strip("/")
    postgres.execute(f"ALTER DATABASE {database} OWNER TO {GUARDED}")
    made = {name: Container.of(name, tmp_path, postgres, database) for name in NODES}
    first = next(iter(made.values()))
    done = first.run("init")
    assert done.returncode == 0, done.stderr
    logs = {name: tmp_path / f"{name}.log" for name in made}
    assert [each.healthy(name) for name, each in made.items()] == [1, 1]
    with made["one"].started(logs["one"]) as one, made["two"].started(logs["two"]) as two:
        end = time.monotonic() + 120
        while any(each.healthy(name) for name, each in made.items()):
            assert time.monotonic() < end, [log.read_text() for log in logs.values()]
            assert one.poll() is two.poll() is None, [log.read_text() for log in logs.values()]
        stop = signal.Signals[said("STOPSIGNAL")[0]]
        for process in (one, two):
            process.send_signal(stop)
        assert [process.wait(120) for process in (one, two)] == [0, 0]
    for log in logs.values():
        lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
        assert json.loads(lines[0])["level"] == "info"
        assert PASSWORD not in log.read_text()
