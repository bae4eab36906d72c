"""What the probe sees of real servers."""

import hashlib
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from certwright.probe import FailureKind, Greeting, Observation, ProblemKind, StartTls, Target, Trust, probe, probe_all
from peers.daemons import TlsFiles, write_tls
from peers.dovecot import dovecot
from peers.nginx import nginx, plain_site, tls_site
from peers.ports import free_port
from peers.postfix import postfix
from peers.slapd import slapd

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def middle(authority: trustme.CA) -> trustme.CA:
    return authority.create_child_ca()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> Trust:
    return Trust.of_pem(authority.cert_pem.bytes())


@pytest.fixture(scope="module")
def tls(middle: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return write_tls(tmp_path_factory.mktemp("tls"), middle.issue_cert(NAME, "*.lab.contoso.test"))


def fingerprint(pem: bytes) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


def assert_served(seen: Observation, tls: TlsFiles) -> None:
    assert seen.failure is None
    assert [ssl.DER_cert_to_PEM_cert(der).encode() for der in seen.chain] == list(tls.pem)
    assert seen.leaf is not None
    assert seen.leaf.sha256 == fingerprint(tls.pem[0])
    assert [str(name) for name in seen.leaf.names] == [NAME, "*.lab.contoso.test"]
    assert seen.leaf.key == "ecdsa-p256"
    assert (seen.trusted, seen.covers_name, seen.matches_expected) == (True, True, True)
    assert seen.problems == ()


def look(port: int, tls: TlsFiles, trust: Trust, starttls: StartTls | None = None) -> Observation:
    return probe(Target(HOST, port, starttls, NAME), trust, fingerprint(tls.pem[0]))


def test_dovecot_is_seen_on_all_its_ports(tls: TlsFiles, trust: Trust) -> None:
    with dovecot(tls) as ports:
        targets = [
            Target(HOST, ports.imap, "imap", NAME),
            Target(HOST, ports.imaps, None, NAME),
            Target(HOST, ports.pop3, "pop3", NAME),
            Target(HOST, ports.pop3s, None, NAME),
        ]
        observations = probe_all(targets, trust, fingerprint(tls.pem[0]))
        assert [seen.target for seen in observations] == targets
        for seen in observations:
            assert_served(seen, tls)
            assert seen.protocol == "TLSv1.3"
            assert seen.cipher
        imap, imaps, pop3, _ = observations
        assert imap.greeting is not None
        assert imap.greeting.banner.startswith("* OK [CAPABILITY")
        assert pop3.greeting == Greeting("+OK Dovecot (Debian) ready.")
        assert imaps.greeting is None


@pytest.mark.parametrize("ehlo_name", [None, "probe.contoso.test"])
def test_postfix_is_seen_by_starttls(ehlo_name: str | None, tls: TlsFiles, trust: Trust) -> None:
    with postfix(tls) as port:
        target = Target(HOST, port, "smtp", NAME, ehlo_name)
        seen = probe(target, trust, fingerprint(tls.pem[0]).upper())
        assert_served(seen, tls)
        assert seen.address == target.endpoint
        assert seen.greeting == Greeting("mail.contoso.test ESMTP Postfix", "mail.contoso.test")


def test_slapd_is_seen_by_starttls(tls: TlsFiles, trust: Trust) -> None:
    with slapd(tls) as port:
        assert_served(look(port, tls, trust, "ldap"), tls)


@pytest.mark.parametrize(("server", "protocol"), [(postfix, "smtp"), (slapd, "ldap")])
def test_servers_without_a_certificate_offer_no_starttls(
    server: Callable[[TlsFiles | None], AbstractContextManager[int]], protocol: StartTls, tls: TlsFiles, trust: Trust
) -> None:
    with server(None) as port:
        seen = look(port, tls, trust, protocol)
    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.NO_STARTTLS
    assert seen.leaf is None
    assert (seen.trusted, seen.covers_name, seen.matches_expected) == (None, None, None)


def test_the_wrong_protocol_is_said_to_be_wrong(tls: TlsFiles, trust: Trust) -> None:
    with postfix(tls) as port:
        for protocol in ("imap", "pop3", "ldap"):
            failure = look(port, tls, trust, protocol).failure
            assert failure is not None
            assert failure.kind is FailureKind.BAD_GREETING
        failure = look(port, tls, trust).failure
    assert failure is not None
    assert failure.kind is FailureKind.HANDSHAKE
    assert "220 mail.contoso.test" in failure.message


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
def test_every_version_of_tls_is_observed(version: str, tls: TlsFiles, trust: Trust, tmp_path: Path) -> None:
    port = free_port()
    ciphers = f"ssl_protocols {version}; ssl_ciphers ALL:@SECLEVEL=0;"
    with nginx(tmp_path, [tls_site(port, tls, more=ciphers)], [port]):
        seen = look(port, tls, trust)
    assert_served(seen, tls)
    assert seen.protocol == version
    assert seen.is_deprecated == (version in {"TLSv1", "TLSv1.1"})


def test_what_is_served_depends_on_the_server_name(
    middle: trustme.CA, tls: TlsFiles, trust: Trust, tmp_path: Path
) -> None:
    other = write_tls(tmp_path, middle.issue_cert("default.contoso.test"))
    port = free_port()
    sites = [tls_site(port, other, more="server_name _;"), tls_site(port, tls, more=f"server_name {NAME};")]
    with nginx(tmp_path / "nginx", sites, [port]):
        with_name = look(port, tls, trust)
        without = probe(Target(HOST, port, expected_name=NAME), trust, fingerprint(tls.pem[0]))
        default = probe(Target(HOST, port, expected_name="default.contoso.test"), trust, fingerprint(other.pem[0]))
    assert_served(with_name, tls)
    assert without.leaf is not None
    assert [str(name) for name in without.leaf.names] == ["default.contoso.test"]
    assert without.matches_expected is False
    assert [problem.kind for problem in without.problems] == [ProblemKind.NAME_MISMATCH]
    assert f"not for {NAME}" in without.problems[0].message
    assert (default.matches_expected, default.problems) == (True, ())


def test_a_missing_intermediate_is_seen(middle: trustme.CA, trust: Trust, tmp_path: Path) -> None:
    tls = write_tls(tmp_path, middle.issue_cert(NAME), intermediates=False)
    port = free_port()
    with nginx(tmp_path / "nginx", [tls_site(port, tls)], [port]):
        seen = look(port, tls, trust)
    assert len(seen.chain) == 1
    assert seen.trusted is False
    assert [problem.kind for problem in seen.problems] == [ProblemKind.MISSING_INTERMEDIATE]


def test_everything_that_is_wrong_is_told_at_once(middle: trustme.CA, tmp_path: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    tls = write_tls(tmp_path, middle.issue_cert("old.contoso.test", not_after=yesterday))
    port = free_port()
    with nginx(tmp_path / "nginx", [tls_site(port, tls)], [port]):
        seen = look(port, tls, Trust.of_pem(trustme.CA().cert_pem.bytes()))
    assert [problem.kind for problem in seen.problems] == [
        ProblemKind.EXPIRED,
        ProblemKind.UNKNOWN_ISSUER,
        ProblemKind.NAME_MISMATCH,
    ]
    assert seen.matches_expected is True


@pytest.mark.parametrize(("version", "fails"), [("TLSv1.2", True), ("TLSv1.3", False)])
def test_a_server_that_wants_a_client_certificate_is_observed(
    version: str, fails: bool, authority: trustme.CA, tls: TlsFiles, trust: Trust
) -> None:
    """OpenSSL breaks off the handshake itself; nginx would go on and refuse the request."""
    from peers.nonsense import nonsense

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.chain, tls.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
    authority.configure_trust(context)

    def serve(connection: object, over: object) -> None:
        context.wrap_socket(connection, server_side=True).close()  # type: ignore[arg-type]

    with nonsense(serve) as port:
        seen = look(port, tls, trust)
    assert len(seen.chain) == 2
    assert seen.matches_expected is True
    assert (seen.failure is not None) == fails


def test_http_on_a_tls_port_is_said_to_be_no_tls(tls: TlsFiles, trust: Trust, tmp_path: Path) -> None:
    port = free_port()
    with nginx(tmp_path, [plain_site(port, "return 200;")], [port]):
        failure = look(port, tls, trust).failure
    assert failure is not None
    assert failure.kind is FailureKind.HANDSHAKE
    assert "HTTP/1.1 400" in failure.message
