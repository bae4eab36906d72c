"""The program for a computer elsewhere, run as a user would, with Python alone, against real servers."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from certwright.probe import StartTls, Target, outside_prober
from certwright.probe.outside import OutsideReport, outside_script, read_outside_report
from peers.daemons import TlsFiles, write_tls
from peers.dovecot import dovecot
from peers.nginx import nginx, tls_site
from peers.nonsense import Behaviour, closes, converses, drips, floods, nonsense, says, silent
from peers.ports import free_port
from peers.postfix import postfix

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Elsewhere:
    """Another computer, with what it trusts."""

    folder: Path
    roots: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-I", self.folder / "certwright-outside.py", *arguments],
            env={**os.environ, "SSL_CERT_FILE": str(self.roots)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def report(self) -> OutsideReport:
        """What it brings back; the exit code says the same."""
        done = self.run("--json")
        assert done.stderr == ""
        found = read_outside_report(done.stdout)
        assert done.returncode == (0 if found.good else 1)
        return found

    def script(self, targets: list[Target], expected: str) -> None:
        (self.folder / "certwright-outside.py").write_text(outside_script(targets, expected, []))

    def job(self, expected: str, *targets: dict[str, Any]) -> None:
        """Write a job by hand, into the file beside the program."""
        (self.folder / "certwright-outside.py").write_text(
            (Path(__file__).parents[2] / "src/certwright/probe/outside_prober.py").read_text()
        )
        job = {"expected_sha256": expected, "targets": targets}
        (self.folder / "certwright-outside.json").write_text(json.dumps(job))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return write_tls(tmp_path_factory.mktemp("tls"), authority.issue_cert(NAME))


@pytest.fixture(scope="module")
def expected(tls: TlsFiles) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(tls.pem[0].decode())).hexdigest()


@pytest.fixture
def elsewhere(authority: trustme.CA, tmp_path: Path) -> Elsewhere:
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    return Elsewhere(tmp_path, roots)


def verdicts(found: OutsideReport) -> list[str]:
    return [row.verdict for row in found.rows]


def test_mail_servers_are_seen_on_all_their_ports(elsewhere: Elsewhere, tls: TlsFiles, expected: str) -> None:
    web = free_port()
    with (
        dovecot(tls) as ports,
        postfix(tls) as smtp,
        nginx(elsewhere.folder / "nginx", [tls_site(web, tls)], [web]),
    ):
        ways: list[tuple[int, StartTls | None]] = [
            (web, None),
            (smtp, "smtp"),
            (ports.imap, "imap"),
            (ports.imaps, None),
            (ports.pop3, "pop3"),
            (ports.pop3s, None),
        ]
        elsewhere.script([Target(HOST, port, starttls, NAME) for port, starttls in ways], expected)
        found = elsewhere.report()
        shown = elsewhere.run()
    assert verdicts(found) == ["ok"] * 6
    assert {(row.address, row.sha256, row.trusted) for row in found.rows} == {(HOST, expected, True)}
    assert {row.protocol for row in found.rows} <= {"TLSv1.2", "TLSv1.3"}
    assert shown.returncode == 0
    assert f"ok  {HOST}:{smtp}" in shown.stdout
    assert shown.stdout.endswith("All is as it should be.\n")


def test_what_is_served_without_a_name_may_differ(
    elsewhere: Elsewhere, authority: trustme.CA, tls: TlsFiles, expected: str
) -> None:
    other = write_tls(elsewhere.folder, authority.issue_cert("default.contoso.test"))
    port = free_port()
    sites = [tls_site(port, other, more="server_name _;"), tls_site(port, tls, more=f"server_name {NAME};")]
    with nginx(elsewhere.folder / "nginx", sites, [port]):
        elsewhere.script([Target(HOST, port, server_name=NAME), Target(HOST, port, expected_name=NAME)], expected)
        found = elsewhere.report()
        shown = elsewhere.run().stdout
    assert verdicts(found) == ["ok", "other"]
    assert found.rows[1].sha256 not in {None, expected}
    assert f"!!  {HOST}:{port}  TLS  none" in shown


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.2"])
def test_old_servers_are_seen_too(elsewhere: Elsewhere, tls: TlsFiles, expected: str, version: str) -> None:
    port = free_port()
    old = f"ssl_protocols {version}; ssl_ciphers ALL:@SECLEVEL=0;"
    with nginx(elsewhere.folder / "nginx", [tls_site(port, tls, more=old)], [port]):
        elsewhere.script([Target(HOST, port, server_name=NAME)], expected)
        (row,) = elsewhere.report().rows
    assert (row.verdict, row.protocol) == ("ok", version)


def test_a_certificate_that_is_not_trusted_there_is_told_with_the_reason(
    elsewhere: Elsewhere, authority: trustme.CA, tls: TlsFiles, expected: str
) -> None:
    middle = authority.create_child_ca()
    lonely = write_tls(elsewhere.folder, middle.issue_cert(NAME), intermediates=False)
    its_own = hashlib.sha256(ssl.PEM_cert_to_DER_cert(lonely.pem[0].decode())).hexdigest()
    one, two = free_port(), free_port()
    with nginx(elsewhere.folder / "nginx", [tls_site(one, lonely), tls_site(two, tls)], [one, two]):
        elsewhere.script([Target(HOST, one, server_name=NAME)], its_own)
        (incomplete,) = elsewhere.report().rows
        elsewhere.script([Target(HOST, two, server_name="other.contoso.test"), Target(HOST, two)], expected)
        misnamed, unnamed = elsewhere.report().rows
    assert (incomplete.verdict, incomplete.trusted) == ("untrusted", False)
    assert "unable to get local issuer certificate" in incomplete.detail
    assert misnamed.verdict == "untrusted"
    assert "other.contoso.test" in misnamed.detail
    assert unnamed.verdict == "ok"


def test_a_closed_port_is_a_fault_only_where_it_is_required(elsewhere: Elsewhere, tls: TlsFiles, expected: str) -> None:
    port, closed = free_port(), free_port()
    open_one = {"host": HOST, "port": port, "server_name": NAME, "required": True}
    with nginx(elsewhere.folder / "nginx", [tls_site(port, tls)], [port]):
        elsewhere.job(expected, open_one, {"host": HOST, "port": closed})
        optional = elsewhere.report()
        elsewhere.job(expected, open_one, {"host": HOST, "port": closed, "required": True})
        required = elsewhere.report()
        elsewhere.job(expected, open_one, {"host": "nothing.invalid", "port": 443, "required": True})
        nameless = elsewhere.report()
    assert verdicts(optional) == verdicts(required) == verdicts(nameless) == ["ok", "closed"]
    assert (optional.good, required.good, nameless.good) == (True, False, False)
    assert nameless.rows[1].address is None


@pytest.mark.parametrize(
    ("starttls", "behave", "detail"),
    [
        (None, closes, ""),
        (None, says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "WRONG_VERSION_NUMBER"),
        ("smtp", closes, "closed the connection"),
        ("smtp", says(b"554 go away\x1b[31m\r\n"), "the server says: 554 go away.[31m"),
        ("smtp", converses(b"220 mail\r\n", b"250-mail\r\n250 HELP\r\n"), "offers no STARTTLS"),
        ("smtp", converses(b"220 mail\r\n", b"250 STARTTLS\r\n", b"454 no\r\n"), "454 no"),
        ("smtp", converses(b"220 mail\r\n", b"250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"), "went on in clear"),
        ("smtp", floods(b"220-x\r\n"), "does not come to an end"),
        ("smtp", floods(b"2"), "does not come to an end"),
        ("imap", converses(b"* OK ready\r\n", b"c NO\r\n"), "c NO"),
        ("imap", says(b"* BYE\r\n"), "* BYE"),
        ("pop3", converses(b"+OK ready\r\n", b"-ERR\r\n"), "-ERR"),
    ],
)
def test_what_speaks_otherwise_is_a_fault(
    elsewhere: Elsewhere, starttls: StartTls | None, behave: Behaviour, detail: str
) -> None:
    with nonsense(behave) as port:
        elsewhere.script([Target(HOST, port, starttls, NAME)], "ab" * 32)
        (row,) = elsewhere.report().rows
    assert row.verdict == "fault"
    assert detail in row.detail


@pytest.mark.parametrize("starttls", [None, "smtp"])
@pytest.mark.parametrize("behave", [silent, drips(b"220-x\r\n", 0.05)])
def test_a_server_that_takes_its_time_is_left(
    starttls: StartTls | None, behave: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_prober, "SECONDS", 1)
    with nonsense(behave) as port:
        target = {"host": HOST, "port": port, "starttls": starttls, "server_name": NAME, "required": True}
        (row,) = outside_prober.look(target, "ab" * 32)
    assert row["verdict"] == "fault"
    assert "timed out" in row["detail"] or "does not come to an end" in row["detail"] or "WRONG" in row["detail"]


def test_every_address_of_a_name_is_looked_at(
    tls: TlsFiles, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> list[Any]:
        addresses = ("127.0.0.2", HOST, HOST) if host == NAME else (host,)
        return [found for address in addresses for found in really(address, *rest, **more)]

    port = free_port()
    target = {"host": NAME, "port": port, "starttls": None, "server_name": None, "required": True}
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with nginx(tmp_path, [tls_site(port, tls, more="ssl_protocols TLSv1.2;")], [port]):
        rows = outside_prober.look(target, expected)
    assert [(row["address"], row["verdict"]) for row in rows] == [("127.0.0.2", "closed"), (HOST, "untrusted")]


@pytest.mark.parametrize("job", ["", "[]", "{}", '{"expected_sha256": "ab", "targets": [{"host": "a", "port": "b"}]}'])
def test_a_job_that_cannot_be_read_is_told_in_a_sentence(elsewhere: Elsewhere, job: str) -> None:
    elsewhere.job("")
    (elsewhere.folder / "certwright-outside.json").write_text(job)
    done = elsewhere.run()
    assert done.returncode == 1
    assert "What to look at cannot be read from" in done.stderr
    assert "Traceback" not in done.stderr
