"""No secret leaves the place it was given for: a canary is looked for in all that a life of commands leaves behind."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from certwright.acme_server import AcmeServerConfig
from certwright.domain.keys import KeyType, generate, load_own_key, private_key_pem
from world.exchange import Exchange, exchange
from world.leaks import Watch, forms
from world.site import NAMES, Authority, Site, authority
from world.terminal import Terminal

pytestmark = pytest.mark.e2e

EXCHANGE_PASSWORD = "c4nary-Exchange \"$(id)' {0} 7fQ"
WRONG_PASSWORD = "c4nary-wrong !%&/ 8gR"
PFX_PASSWORD = "c4nary-Pfx ;-- \\u00e4 9hS"
EAB_KEY = base64.urlsafe_b64encode(b"c4nary-EAB-32-bytes-of-mac-key!!").rstrip(b"=").decode()
BAD_EAB_KEY = "c4nary-EAB that is no base64url"


def test_a_leak_would_be_seen() -> None:
    secret = EXCHANGE_PASSWORD.encode()
    for start in range(3):
        header = base64.b64encode(b"u" * start + b":" + secret)
        assert any(form in header for form in forms(secret))
    assert any(form in EXCHANGE_PASSWORD.encode("utf-16-le") for form in forms(secret))


@pytest.fixture
def ca() -> Iterator[Authority]:
    config = AcmeServerConfig(external_account_keys={"kid-1": EAB_KEY}, external_account_required=True)
    with authority(config) as made:
        yield made


def test_no_secret_is_seen_anywhere_but_in_what_is_exported(ca: Authority, tmp_path: Path) -> None:
    with exchange(tmp_path, EXCHANGE_PASSWORD) as target:
        watch = Watch(Site(tmp_path / "site"), tmp_path)
        (tmp_path / "given").mkdir()
        key = generate(KeyType.RSA_2048)
        assert isinstance(key, rsa.RSAPrivateKey)
        _live(watch, ca, target, tmp_path / "given", private_key_pem(key))

        numbers = key.private_numbers()
        primes = [prime.to_bytes(128, "big") for prime in (numbers.p, numbers.q)]
        body = private_key_pem(key).splitlines()[5:10]
        words = [EXCHANGE_PASSWORD, WRONG_PASSWORD, PFX_PASSWORD, EAB_KEY, BAD_EAB_KEY]
        assert watch.leaks([*(word.encode() for word in words), *primes, *body]) == []
        assert not list((tmp_path / "tmp").iterdir())
        assert b"INFO:pypsrp" in watch.seen["debug.log"]

        out = tmp_path / "out"
        assert load_own_key((out / "mail.contoso.test.key.pem").read_bytes()).private_numbers() == numbers
        opened = subprocess.run(
            ["openssl", "pkcs12", "-in", str(out / "mail.contoso.test.pfx"), "-nodes", "-passin", "stdin"],
            input=PFX_PASSWORD.encode(),
            capture_output=True,
            timeout=30,
            check=True,
        )
        assert b"BEGIN PRIVATE KEY" in opened.stdout


def _live(watch: Watch, ca: Authority, target: Exchange, given: Path, own_key: bytes) -> None:
    """A life of commands, with failures."""
    for name, data in {
        "exchange": EXCHANGE_PASSWORD.encode(),
        "eab": EAB_KEY.encode() + b"\n",
        "bad-eab": BAD_EAB_KEY.encode(),
        "key": own_key,
        "broken-key": own_key.replace(b"A", b"B", 40),
    }.items():
        (given / name).write_bytes(data)
    name, run = NAMES[0], watch.run
    issuer = ["issuer", "add", "acme", "ca", *ca.issuer_options, "--eab-kid", "kid-1", "--eab-key-file"]
    described = [*NAMES, "--issuer", "ca", *ca.http_options, "--pfx-password-credential", "files", "--key-file"]
    run("init", "--json")
    run(*issuer, str(given / "bad-eab"), "--json", code=2)
    run(*issuer, str(given / "eab"), "--json")
    run(
        "credential",
        "add",
        "exchange",
        "exchange",
        "--username",
        "nobody",
        "--password-file",
        "-",
        given=WRONG_PASSWORD,
    )
    run("credential", "add", "pfx", "files", "--password-file", "-", "--json", given=PFX_PASSWORD)
    run("certificate", "new", *described, str(given / "broken-key"), code=2)
    run("certificate", "new", *described, str(given / "key"), "--json")
    run("certificate", "request", name, "--json")
    run("task", "add", name, "exchange", *target.options, "--json")
    run("deploy", name, "--yes", "--json", code=1)
    user = ["--username", "svc-certwright@contoso.test"]
    run("credential", "add", "exchange", "exchange", *user, "--password-file", str(given / "exchange"))
    run("certificate", "preview", name, "--json")
    run("deploy", name, "--yes", "--json")
    run("certificate", "show", name, "--json")
    run("certificate", "log", name, "--runs", "20", "--json")
    run("credential", "list", "--json")
    run("task", "show", name, "exchange", "--json")
    out = str(given.parent / "out")
    run("certificate", "export", name, "--to", out, "--format", "pem")
    run("certificate", "export", name, "--to", out, "--format", "pfx", "--cipher", "modern")


def test_a_password_that_is_typed_is_not_shown(tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    command = [sys.executable, "-m", "certwright", "credential", "add", "exchange", "typed", "--username", "u"]
    terminal = Terminal(command, {**os.environ, **site.environment, "TERM": "xterm"})
    try:
        terminal.read_until("Password: ", 60)
        terminal.type(f"{EXCHANGE_PASSWORD}\n")
        terminal.read_until(None, 60)
        assert terminal.process.wait(timeout=20) == 0
        assert "is stored" in terminal.shown
        assert "c4nary" not in terminal.shown
    finally:
        terminal.close()
    with site.engine() as engine, engine.store.read() as unit:
        assert unit.credentials.get("typed", "exchange").password == EXCHANGE_PASSWORD
