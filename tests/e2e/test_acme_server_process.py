"""``python -m certwright.acme_server`` as a process of its own."""

import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.acme_server import PROFILES, AcmeServerConfig, CaConfig, KeyType, ValidationConfig
from peers.acme_server import acme_server_process

pytestmark = pytest.mark.e2e


def test_the_process_serves_what_its_config_says_and_ends_by_sigterm(tmp_path: Path) -> None:
    config = AcmeServerConfig(
        external_account_keys={"kid": "AAAA"},
        ca=CaConfig(
            intermediate_keys=(KeyType.RSA_2048,),
            profiles={"short": replace(PROFILES["shortlived"], lifetime=timedelta(seconds=90))},
        ),
        validation=ValidationConfig(hosts={"*": ("127.0.0.1", "::1")}, timeout=2),
    )
    with acme_server_process(config, tmp_path) as server:
        trust = ssl.create_default_context(cafile=server.ca_file)
        with urllib.request.urlopen(server.directory_url, context=trust, timeout=10) as answer:
            assert list(json.load(answer)["meta"]["profiles"]) == ["short"]
    assert server.process.returncode == 0
    assert not server.ca_file.exists()


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", '{"unknown": 1}', '{"port": "x"}', '{"host": "192.0.2.1"}', '{"ca": {"root_key": "dsa"}}'],
)
def test_a_wrong_config_is_said_in_words(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    done = run("--config", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot start" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_config_is_said_in_words(tmp_path: Path) -> None:
    done = run("--config", str(tmp_path / "missing.json"))
    assert done.returncode == 2
    assert "No such file" in done.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "certwright.acme_server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_no_config_is_fine_and_sigint_ends_it_too() -> None:
    command = [sys.executable, "-m", "certwright.acme_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["directory"].startswith("https://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
