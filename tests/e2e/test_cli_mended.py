"""Streams, users and places as they are on real machines: closed, full, foreign, unreadable, unknown."""

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from world.site import Authority, Site, authority

pytestmark = pytest.mark.e2e
TITLE = "Mail & Bücher"
STRANGER = 54321
UNPRIVILEGED = "setpriv --bounding-set=-dac_override,-dac_read_search"  # root, but other users' folders are closed
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@dataclass(frozen=True, slots=True)
class Shell:
    """Commands to a shell in which `cw` is Certwright, on one installation."""

    site: Site

    def __call__(self, script: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run the script to its end."""
        command = self.site.folder / "cw"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m certwright "$@"\n')
        command.chmod(0o700)
        ended = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{script}"],
            env={"PATH": f"{self.site.folder}:{os.environ['PATH']}", **self.site.environment, **environ},
            cwd="/",
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )
        for sign in ("Traceback", "Logging error", "Exception ignored", "AttributeError"):
            assert sign not in ended.stdout + ended.stderr, ended.stderr
        return ended


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority() as running:
        yield running


@pytest.fixture(scope="module")
def site(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("mended")).initialise()
    made.cli("issuer", "add", "acme", "ca", *ca.issuer_options, code=0)
    options = ["--issuer", "ca", "--key", "ecdsa-p256", *ca.http_options]
    made.cli("certificate", "new", "bücher.contoso.test", "--title", TITLE, *options, code=0)
    return made


@pytest.fixture(scope="module")
def shell(site: Site) -> Shell:
    return Shell(site)


def test_a_relative_ca_file_is_found_from_another_folder(ca: Authority, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    (tmp_path / "root.pem").write_bytes(ca.server.ca_file.read_bytes())
    options = ["--directory", ca.server.directory_url, "--email", "a@contoso.test", "--agree-tos"]
    in_folder = f"cd {shlex.quote(str(tmp_path))}; cw issuer add acme ca --ca-file root.pem {shlex.join(options)}"
    assert Shell(site)(in_folder).returncode == 0
    site.cli("certificate", "new", "a.contoso.test", "--issuer", "ca", "--key", "ecdsa-p256", *ca.http_options, code=0)
    ended = Shell(site)("cw certificate request a.contoso.test")
    assert ended.returncode == 0, ended.stderr


def test_a_full_disk_behind_standard_output_is_said(shell: Shell) -> None:
    for options in ("", "--json"):
        ended = shell(f"cw certificate list {options} >/dev/full")
        assert (ended.returncode, "No space left" in ended.stderr) == (1, True)
        assert shell(f"cw certificate show nobody {options} >/dev/full").returncode == 2


def test_closed_streams_stop_nothing(shell: Shell) -> None:
    assert shell("cw certificate list >&-").returncode == 0
    assert shell("cw certificate list 2>&-").returncode == 0
    for stdin in ("<&-", "</dev/null"):
        ended = shell(f"cw credential add exchange x --username u {stdin}")
        assert (ended.returncode, "nobody can be asked" in ended.stderr) == (2, True)
        assert shell(f"cw credential add exchange x --username u --password-file - {stdin}").returncode == 2


def test_a_reader_who_leaves_stops_no_work(shell: Shell, ca: Authority, site: Site) -> None:
    site.cli("certificate", "new", "pipe.contoso.test", "--issuer", "ca", *ca.http_options, code=0)
    assert shell("cw certificate request pipe.contoso.test 2>&1 | true").returncode == 0
    shown = json.loads(shell("cw certificate show pipe.contoso.test --json").stdout)
    assert len(shown["versions"]) == 1
    assert shell("cw certificate show pipe.contoso.test --json | true").returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_every_encoding_can_show_every_name(shell: Shell, ca: Authority, site: Site, encoding: str) -> None:
    name = f"пример-{encoding.replace('-', '')}.contoso.test"
    site.cli("certificate", "new", name, "--issuer", "ca", *ca.http_options, code=0)
    commands = ["list", "list --json", f"show {name}", f"preview {name}", "show 'nöbody'"]
    for command, code in zip(commands, [0, 0, 0, 0, 2], strict=True):
        ended = shell(f"cw certificate {command}", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert ended.returncode == code, ended.stderr
    listed = json.loads(shell("cw certificate list --json", PYTHONIOENCODING=encoding).stdout)
    assert TITLE in [certificate["title"] for certificate in listed]


def test_what_to_type_next_can_be_typed(shell: Shell) -> None:
    ended = shell(f"cw certificate request {shlex.quote(TITLE)}")
    assert ended.returncode == 0, ended.stderr
    following = ended.stdout.partition("Next: ")[2]
    assert following.startswith("certwright task add ")
    export = following.partition("certwright certificate export ")[2].strip()
    assert shell(f"cd {shlex.quote(str(shell.site.folder))}; cw certificate export {export}").returncode == 0


def test_a_home_folder_that_is_not_known_is_said(shell: Shell) -> None:
    ended = shell("cw certificate list --data '~no-such-user/x'")
    assert (ended.returncode, "home folder" in ended.stderr) == (2, True)


@as_root
def test_places_of_another_user(shell: Shell, tmp_path: Path) -> None:
    os.chown(tmp_path, STRANGER, -1)
    for command in ("init", "certificate list"):
        ended = shell(f"{UNPRIVILEGED} cw {command}", CERTWRIGHT_DATA=str(tmp_path / "data"))
        assert (ended.returncode, "Permission denied" in ended.stderr) == (1, True), ended.stderr
    with TemporaryDirectory() as own:
        places = {"CERTWRIGHT_DATA": f"{own}/data", "CERTWRIGHT_MASTER_KEY_FILE": str(tmp_path / "key")}
        ended = shell(f"{UNPRIVILEGED} cw init", **places)
    assert (ended.returncode, "Permission denied" in ended.stderr) == (1, True), ended.stderr


@as_root
def test_a_log_of_another_users_is_left_alone(tmp_path: Path) -> None:
    shell = Shell(Site(tmp_path).initialise())
    assert shell("cw certificate show nobody").returncode == 2
    os.chown(tmp_path / "data" / "logs" / "certwright.log", STRANGER, -1)
    ended = shell(f"{UNPRIVILEGED} cw certificate show nobody")
    assert ended.returncode == 2
    assert ended.stderr.startswith("There is no"), ended.stderr


def test_the_log_is_private_whatever_the_umask(tmp_path: Path) -> None:
    ended = Shell(Site(tmp_path).initialise())("umask 0; cw certificate show nobody")
    assert ended.returncode == 2
    assert stat.S_IMODE((tmp_path / "data" / "logs" / "certwright.log").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("printf pw | cw credential add exchange x --password-file -", "--username"),
        (r"printf 's\0e\0' | cw credential add exchange x --username u --password-file -", "UTF-8"),
        (r"printf '\xff\xfes\0' | cw credential add exchange x --username u --password-file -", "not text"),
        (r"printf 'a\nb\n' | cw credential add exchange x --username u --password-file -", "line breaks"),
        ("printf pw | cw credential add exchange '' --username u --password-file -", "empty"),
        ("cw certificate new a.contoso.test --issuer ca --title ''", "empty"),
        (r"cw certificate new a.contoso.test --issuer ca --title $'a\nb'", "line breaks"),
        (r"cw certificate new a.contoso.test --issuer ca --title $'a\eb'", "control characters"),
        ("cw certificate new a.contoso.test --issuer ca --csr /dev/null", "empty"),
        ("cw certificate new a.contoso.test --issuer ca --key-file /dev/null", "empty"),
        ("cw certificate new a.contoso.test --issuer ca --no-http-check --http-check-via a:1", "exclude"),
        ("cw certificate new a.contoso.test --issuer ca --http-address :x", "port"),
    ],
)
def test_what_cannot_be_meant_is_refused(shell: Shell, command: str, said: str) -> None:
    ended = shell(command)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_a_byte_order_mark_is_no_part_of_a_password(site: Site, shell: Shell) -> None:
    ended = shell(r"printf '\xef\xbb\xbfgeheim\r\n' | cw credential add exchange bom --username u --password-file -")
    assert ended.returncode == 0, ended.stderr
    with site.engine() as engine, engine.store.read() as unit:
        assert unit.credentials.get("bom", "exchange").password == "geheim"


def test_the_listener_everywhere_and_no_look_at_the_answers(shell: Shell) -> None:
    ended = shell("cw certificate new every.contoso.test --issuer ca --http-address :8080 --no-http-check --json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["validations"][0]["params"] == {"port": 8080, "precheck": False}


def test_a_probe_takes_a_name_in_its_own_letters_and_lists_the_chain(shell: Shell, ca: Authority) -> None:
    where = ca.server.directory_url.split("/")[2]
    probe = f"cw probe {where} --ca-file {shlex.quote(str(ca.server.ca_file))} --name bücher.test"
    seen = json.loads(shell(f"{probe} --json").stdout)
    assert seen["failure"] is None
    assert [set(link) for link in seen["chain"]] == [{"subject", "issuer"}] * seen["chain_length"]
    assert f"{seen['chain'][0]['subject']} <- {seen['chain'][0]['issuer']}" in shell(probe).stdout
