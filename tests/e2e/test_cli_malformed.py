"""Whatever is typed or lies in a file: one sentence on standard error, exit code 1 or 2, never a traceback."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from certwright.domain.certificates import build_request
from certwright.domain.identifiers import parse_all
from certwright.domain.keys import KeyType, generate, private_key_pem
from peers.ports import free_port
from world.processes import Ended
from world.site import Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority() as made:
        yield made


@pytest.fixture(scope="module")
def site(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site")).initialise()
    register(made, ca, name="ca")
    with made.engine() as engine:
        register(made, ca)
        describe(engine, ca, NAME)
    made.cli("credential", "add", "exchange", "exchange", "--username", "u", "--password-file", "-", given="p", code=0)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are not what they should be, by name."""
    folder = tmp_path_factory.mktemp("files")
    key = generate(KeyType.ECDSA_P256)
    pem = private_key_pem(key)
    plain = PrivateFormat.PKCS8, NoEncryption()
    request = x509.load_der_x509_csr(build_request(parse_all([NAME]), key)).public_bytes(Encoding.PEM)
    contents = {
        "empty": b"",
        "text": b"This is no key.\n",
        "binary": bytes(range(256)) * 40,
        "zeros": bytes(5000),
        "huge": b"A" * 3_000_000,
        "cut key": pem[: len(pem) // 2],
        "mixed key": pem.replace(b"A", b"B"),
        "public key": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "ed25519 key": ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, *plain),
        "dsa key": dsa.generate_private_key(1024).private_bytes(Encoding.PEM, *plain),
        "cut request": request[:-60],
        "changed request": request.replace(b"M", b"N", 3),
        "other request": x509.load_der_x509_csr(build_request(parse_all(["other.test"]), key)).public_bytes(
            Encoding.PEM
        ),
        "utf-16": "-----BEGIN PRIVATE KEY-----".encode("utf-16"),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "folder").mkdir()
    return folder


def _is_said(ended: Ended) -> None:
    """In one sentence, with perhaps its causes and a hint, and no word of Python's."""
    assert ended.code in (1, 2), ended.told
    lines = ended.err.strip().splitlines()
    assert lines, "nothing was said"
    assert "unexpected" not in ended.err, ended.err
    assert not any(word in ended.err for word in ("Error(", "Exception", "errno", "<class", "object at 0x"))
    assert not ended.out.strip()


NAMES: dict[str, str] = {
    "empty": "",
    "blank": " ",
    "dot": ".",
    "two dots": "mail..contoso.test",
    "space": "mail contoso.test",
    "label too long": f"{'a' * 64}.contoso.test",
    "name too long": ".".join(["a" * 60] * 5),
    "underscore": "_dmarc.contoso.test",
    "two wildcards": "*.*.contoso.test",
    "wildcard inside": "mail.*.contoso.test",
    "wildcard over http": "*.contoso.test",
    "part of a label": "m*.contoso.test",
    "address with port": "192.0.2.1:443",
    "cut IPv6 address": "2001:db8::1::2",
    "url": "https://mail.contoso.test/",
    "mail address": "admin@contoso.test",
    "control": "mail\x07.contoso.test",
    "quote": "mail'.contoso.test",
    "right to left": "\u202email.contoso.test",
    "emoji": "\U0001f4a9.contoso.test",
    "surrogate": "mail\udcff.contoso.test",
    "hyphen first": "-mail.contoso.test",
    "broken punycode": "xn--99999999999.contoso.test",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_none_is_refused(name: str, site: Site) -> None:
    _is_said(site.cli("certificate", "new", "--issuer", "ca", "--", NAMES[name]))


@pytest.mark.parametrize("option", ["--key-file", "--csr"])
@pytest.mark.parametrize(
    "name",
    ["empty", "text", "binary", "zeros", "huge", "utf-16", "cut key", "public key", "folder", "missing", "cut request"],
)
def test_a_file_that_holds_something_else_is_refused(name: str, option: str, site: Site, files: Path) -> None:
    _is_said(site.cli("certificate", "new", "k.contoso.test", "--issuer", "ca", option, str(files / name)))


@pytest.mark.parametrize("name", ["mixed key", "ed25519 key", "dsa key"])
def test_a_key_that_cannot_be_used_is_refused(name: str, site: Site, files: Path) -> None:
    _is_said(site.cli("certificate", "new", "k.contoso.test", "--issuer", "ca", "--key-file", str(files / name)))


@pytest.mark.parametrize("name", ["changed request", "other request"])
def test_a_signing_request_that_does_not_fit_is_refused(name: str, site: Site, files: Path) -> None:
    _is_said(site.cli("certificate", "new", NAME, "--title", "x", "--issuer", "ca", "--csr", str(files / name)))


def test_the_users_files_come_from_standard_input_too(site: Site) -> None:
    _is_said(site.cli("certificate", "new", "k.contoso.test", "--issuer", "ca", "--key-file", "-", given=b"\x00\xff"))


URLS = (
    "",
    "localhost",
    "http://127.0.0.1/directory",
    "https://",
    "https://127.0.0.1:99999/",
    "https://[::1/",
    "https://127.0.0.1:0x1/",
    "https://user:c4nary@127.0.0.1:{closed}/directory",
    "https://127.0.0.1:{closed}/directory",
    "ftp://127.0.0.1/",
)


@pytest.mark.parametrize("url", URLS)
def test_an_address_that_is_none_or_where_nobody_answers_is_refused(url: str, site: Site) -> None:
    where = url.format(closed=free_port())
    account = ["--email", "a@contoso.test", "--agree-tos"]
    ended = site.cli("issuer", "add", "acme", "x", "--directory", where, *account)
    _is_said(ended)
    assert "c4nary" not in ended.told


def test_an_authority_that_speaks_something_else_is_refused(site: Site, ca: Authority) -> None:
    """Its certificate is that of the authority; what it serves is no directory."""
    elsewhere = ca.server.directory_url.replace("/directory", "/terms")
    options = ["--email", "a@contoso.test", "--agree-tos", "--ca-file", str(ca.server.ca_file)]
    _is_said(site.cli("issuer", "add", "acme", "x", "--directory", elsewhere, *options))


@pytest.mark.parametrize("name", ["empty", "text", "binary", "huge", "folder", "missing", "cut key"])
def test_a_file_of_roots_that_holds_none_is_refused(name: str, site: Site, ca: Authority, files: Path) -> None:
    ca_file = ["--ca-file", str(files / name)]
    account = ["--directory", ca.server.directory_url, "--email", "a@contoso.test", "--agree-tos"]
    _is_said(site.cli("issuer", "add", "acme", "x", *account, *ca_file))
    _is_said(site.cli("probe", ca.server.directory_url.split("/")[2], *ca_file))
    task = [
        "--server",
        "ex01",
        "--auth",
        "basic",
        "--credential",
        "exchange",
        "--endpoint",
        ca.server.directory_url,
        "--title",
        name,
    ]
    added = site.cli("task", "add", NAME, "exchange", *task, *ca_file)
    if added.code:  # else the plan says so
        _is_said(added)


ADDRESSES = ("", ":", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:-1", "::1:80")


@pytest.mark.parametrize("resolvers", ["9.9.9.9;1.1.1.1", "9.9.9.9,dns.contoso.test", "9.9.9.9:x"])
def test_resolvers_that_cannot_be_read_are_told_before_anything_is_done(resolvers: str, site: Site) -> None:
    for command in (("status",), ("certificate", "request", "mail")):
        ended = site.begin(*command, CERTWRIGHT_RESOLVERS=resolvers).wait()
        assert ended.code == 2
        assert "CERTWRIGHT_RESOLVERS: resolvers cannot be used" in ended.err
        assert "with commas between them" in ended.err
        assert "Ordered" not in ended.told


@pytest.mark.parametrize("address", [each for each in ADDRESSES if each])
def test_a_listening_address_that_is_none_is_refused(address: str, site: Site) -> None:
    _is_said(site.cli("certificate", "new", "l.contoso.test", "--issuer", "ca", "--http-address", address))


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_port_to_probe_that_is_none_is_refused(address: str, site: Site) -> None:
    _is_said(site.cli("probe", address))


BASIC = ["task", "add", NAME, "exchange", "--server", "x", "--auth", "basic", "--credential", "exchange"]
WRONG_COMMANDS: dict[str, list[str]] = {
    "no such plugin": ["task", "add", NAME, "exchnage", "--server", "x"],
    "no rule": ["validation", "set", NAME, "dns", "--credential", "manual", "--for", "bad rule!!"],
    "no rule either": ["validation", "set", NAME, "dns", "--credential", "manual", "--for", "*.*.x"],
    "no rule to remove": ["validation", "remove", NAME, "--for", "bad rule!!"],
    "no resolver": ["validation", "set", NAME, "dns", "--credential", "manual", "--resolver", "foo"],
    "no such issuer kind": ["issuer", "add", "acmee", "x"],
    "no such option": ["certificate", "list", "--jsn"],
    "no such issuer": ["certificate", "new", "i.contoso.test", "--issuer", "nobody"],
    "no issuer": ["certificate", "new", "i.contoso.test"],
    "no such way of proof": ["certificate", "new", "i.contoso.test", "--issuer", "ca", "--dns", "carrier-pigeon"],
    "no such key": ["certificate", "new", "i.contoso.test", "--issuer", "ca", "--key", "rsa-512"],
    "no such credential": ["certificate", "new", "i.contoso.test", "--issuer", "ca", "--pfx-password-credential", "x"],
    "two keys": ["certificate", "new", "i.contoso.test", "--issuer", "ca", "--key", "rsa-2048", "--csr", "/dev/null"],
    "title taken": ["certificate", "new", "i.contoso.test", "--issuer", "ca", "--title", NAME],
    "webroot and address": [
        *["certificate", "new", "i.contoso.test", "--issuer", "ca"],
        *["--webroot", "/tmp", "--http-address", "127.0.0.1:80"],
    ],
    "several ports": [
        *["certificate", "new", "i.contoso.test", "--issuer", "ca"],
        *["--http-address", "127.0.0.1:80,[::1]:8080"],
    ],
    "two listeners for one challenge": [
        *["certificate", "new", "i.contoso.test", "--issuer", "ca"],
        *["--tls-alpn", ":443", "--http-address", "127.0.0.1:80"],
    ],
    "half an EAB": ["issuer", "add", "acme", "x", "--eab-kid", "k"],
    "no directory": ["issuer", "add", "acme", "x", "--email", "a@contoso.test"],
    "no mail address": ["issuer", "add", "acme", "x", "--directory", "https://127.0.0.1/", "--email", "nobody"],
    "no server": ["task", "add", NAME, "exchange", "--auth", "basic", "--credential", "exchange"],
    "no such service": [*BASIC, "--services", "FTP"],
    "plain http": [*BASIC, "--endpoint", "http://x/PowerShell/"],
    "two ways to sign in": ["task", "add", NAME, "exchange", "--server", "x", "--credential", "exchange"],
    "nobody to sign in as": ["task", "add", NAME, "exchange", "--server", "x", "--auth", "kerberos"],
    "verify what": [*BASIC, "--verify", "443"],
    "no such credential to sign in": [*BASIC[:-1], "nobody"],
    "no such task": ["task", "run", NAME, "nothing"],
    "no such certificate": ["task", "list", "nobody"],
    "no such reason": ["certificate", "revoke", NAME, "--reason", "boredom", "--yes"],
    "issuer in use": ["issuer", "remove", "house-ca"],
    "kind of credential": ["credential", "add", "ftp", "x", "--password-file", "/dev/null"],
    "empty password": ["credential", "add", "exchange", "x", "--password-file", "/dev/null"],
    "no such starttls": ["probe", "127.0.0.1:25", "--starttls", "ftp"],
    "runs": ["certificate", "log", NAME, "--runs", "many"],
    "null byte": ["certificate", "show", "a\udc00b"],
    "recovery key": ["init", "--recover", "--recovery-key-file", "/dev/null"],
}


@pytest.mark.parametrize("what", WRONG_COMMANDS)
def test_a_command_that_makes_no_sense_is_refused(what: str, site: Site) -> None:
    _is_said(site.cli(*WRONG_COMMANDS[what]))


# --- the data folder itself ----------------------------------------------------------------------------------------


def _broken(folder: Path, how: str) -> Site:
    site = Site(folder)
    if how == "none":
        return site
    if how == "a file in its place":
        site.settings.data_folder.write_text("x")
        return site
    site.initialise()
    match how:
        case "no master key":
            site.key_file.unlink()
        case "another master key":
            site.key_file.write_bytes(site.key_file.read_bytes().swapcase())
        case "rubbish as master key":
            site.key_file.write_bytes(os.urandom(300))
        case "an empty database":
            site.settings.database.write_bytes(b"")
        case "no database":
            site.settings.database.write_bytes(b"This is no database at all. " * 200)
        case "another database":
            site.settings.database.unlink()
            with closing(sqlite3.connect(site.settings.database)) as other:
                other.execute("CREATE TABLE things (name)")
        case "a later version":
            with closing(sqlite3.connect(site.settings.database, isolation_level=None)) as database:
                database.execute("UPDATE alembic_version SET version_num = '9999'")
    return site


@pytest.mark.parametrize(
    "how",
    [
        "none",
        "a file in its place",
        "no master key",
        "another master key",
        "rubbish as master key",
        "an empty database",
        "no database",
        "another database",
        "a later version",
    ],
)
def test_a_data_folder_that_cannot_be_used_is_told(how: str, tmp_path: Path) -> None:
    site = _broken(tmp_path, how)
    _is_said(site.cli("certificate", "list"))
    _is_said(site.cli("certificate", "new", "x.contoso.test", "--issuer", "ca"))
