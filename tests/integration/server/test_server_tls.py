"""What the service presents, seen on the wire."""

import logging
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from starlette.applications import Starlette

from certwright.domain import certificates
from certwright.domain.errors import ConfigurationError, InUse
from certwright.domain.identifiers import Identifier, parse_all
from certwright.domain.keys import KeyType, PrivateKey, generate, private_key_pem
from certwright.domain.managed import CertificateVersion, KeyForm, ManagedCertificate
from certwright.engine.context import Engine
from certwright.engine.managed import remove
from certwright.probe import Endpoint, Observation, Target, probe
from certwright.server import tls as own_tls
from certwright.server.http import listening
from certwright.server.tls import OwnTls
from certwright.settings import Settings
from peers.ports import free_port
from unit.domain.workshop import Authority, general_names
from world.processes import until

NAMES = parse_all(["localhost", "127.0.0.1"])
DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "data", key_folder=tmp_path / "keys")


@contextmanager
def served(tls: OwnTls) -> Iterator[Endpoint]:
    at = Endpoint("127.0.0.1", free_port())
    with listening(at, Starlette(), tls, tls.covers):
        yield at


def seen(at: Endpoint, server_name: str | None = None) -> Observation:
    found = probe(Target(at.host, at.port, server_name=server_name))
    assert found.failure is None, found.failure
    return found


def sha256(at: Endpoint) -> str:
    leaf = seen(at).leaf
    assert leaf
    return leaf.sha256


def test_at_first_it_presents_one_that_it_has_signed_itself_and_keeps(engine: Engine, settings: Settings) -> None:
    tls = OwnTls(engine, settings, NAMES)
    with served(tls) as at:
        found = seen(at, "localhost")
        assert found.leaf == tls.presented.facts
        assert (found.protocol, tls.is_trusted) == ("TLSv1.3", False)
    assert tls.presented.facts.names == NAMES
    assert tls.presented.fingerprint.replace(":", "").lower() == tls.presented.facts.sha256
    assert OwnTls(engine, settings, NAMES).presented.facts == tls.presented.facts
    assert OwnTls(engine, settings, NAMES[:1]).presented.facts == tls.presented.facts


def test_another_name_or_a_near_end_makes_another_one_for_the_earlier_names_too(
    engine: Engine, settings: Settings
) -> None:
    first = OwnTls(engine, settings, NAMES).presented.facts
    second = OwnTls(engine, settings, parse_all(["certs.contoso.com"])).presented.facts
    assert set(second.names) == {*first.names, Identifier.parse("certs.contoso.com")}
    near = replace(engine, now=lambda: second.not_after - 20 * DAY)
    third = OwnTls(near, settings, NAMES).presented.facts
    assert third.not_after > second.not_after + 700 * DAY


def issue(engine: Engine, managed: ManagedCertificate, kind: KeyType, *, with_key: bool = True) -> str:
    """A new version; its SHA-256."""
    key = generate(kind)
    names = general_names(["certs.contoso.com"])
    leaf = Authority("CA").certify("certs", key, names=names, start=engine.now() - DAY, lifetime=90 * DAY)
    version = CertificateVersion(
        managed_id=managed.id,
        issuer="le",
        chain_pem=certificates.pem([leaf]).decode(),
        key_form=KeyForm.HERE if with_key else KeyForm.ELSEWHERE,
        fingerprint="f",
        issued_at=engine.now(),
    )
    with engine.store.write() as unit:
        unit.versions.add(version, private_key_pem(key) if with_key else None)
    return certificates.CertificateFacts.of(leaf).sha256


def test_each_new_version_is_presented_at_once_and_open_connections_stay(engine: Engine, settings: Settings) -> None:
    managed = ManagedCertificate(title="certs", identifiers=parse_all(["certs.contoso.com"]), issuer="le")
    tls = OwnTls(engine, replace(settings, own_certificate="certs"), NAMES)
    assert "certs" in tls.presented.told  # there is none of that name yet
    with engine.store.write() as unit:
        unit.managed.add(managed)
    tls.look()
    assert "was not issued yet" in tls.presented.told
    with served(tls) as at, _open(at) as before:
        assert sha256(at) == tls.presented.facts.sha256
        for kind in (KeyType.RSA_2048, KeyType.ECDSA_P256, KeyType.RSA_2048):
            wanted = issue(engine, managed, kind)
            tls.look()
            assert (sha256(at), tls.presented.told) == (wanted, "")
        assert tls.is_trusted
        shown = sha256(at)
        issue(engine, managed, KeyType.ECDSA_P256, with_key=False)
        with pytest.raises(ConfigurationError, match="The key of 'certs' is not here"):
            tls.look()
        assert sha256(at) == shown
        before.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert before.recv(100).startswith(b"HTTP/1.1 404")


def test_what_is_presented_already_is_neither_made_nor_told_of_again(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tls = OwnTls(engine, settings, NAMES)
    caplog.set_level(logging.INFO, "certwright")
    monkeypatch.setattr(tempfile, "tempdir", str(settings.data_folder / "gone"))
    tls.look()
    assert caplog.messages == []


def test_whatever_keeps_it_from_being_presented_a_new_one_is_presented_later(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    managed = ManagedCertificate(title="certs", identifiers=parse_all(["certs.contoso.com"]), issuer="le")
    with engine.store.write() as unit:
        unit.managed.add(managed)
    faults: list[Exception] = []

    def now() -> datetime:
        if faults:
            raise faults.pop()
        return engine.now()

    tls = OwnTls(replace(engine, now=now), replace(settings, own_certificate="certs"), NAMES)
    wanted = issue(engine, managed, KeyType.ECDSA_P256)
    caplog.clear()
    faults.extend([OverflowError("no such moment")] * 2)
    monkeypatch.setattr(own_tls, "EVERY_SECONDS", 0.01)
    stop = threading.Event()
    running = threading.Thread(target=tls.run, args=(stop,))
    with monkeypatch.context() as gone:
        gone.setattr(tempfile, "tempdir", str(settings.data_folder / "gone"))
        running.start()
        until(lambda: len(caplog.messages) > 1)
    until(lambda: tls.presented.facts.sha256 == wanted)
    stop.set()
    running.join()
    unexpected, known = caplog.messages
    assert unexpected == "unexpected, at the certificate of the pages"
    assert known.endswith("OpenSSL cannot be given the service's certificate: No such file or directory.")


def test_none_takes_the_place_of_what_the_settings_meant_at_first(engine: Engine, settings: Settings) -> None:
    name = "certs.contoso.com"
    ours = ManagedCertificate(title="ours", identifiers=parse_all([name]), issuer="le")
    settings = replace(settings, own_certificate=name)
    with engine.store.write() as unit:
        unit.managed.add(ours)
    wanted = issue(engine, ours, KeyType.ECDSA_P256)
    tls = OwnTls(engine, settings, NAMES)
    for title in (name, "of the same name", ours.id):
        other = ManagedCertificate(title=title, identifiers=parse_all([name]), issuer="le")
        with engine.store.write() as unit:
            unit.managed.add(other)
        issue(engine, other, KeyType.ECDSA_P256)
        tls.look()
        assert tls.presented.facts.sha256 == wanted
        assert OwnTls(engine, settings, NAMES).presented.facts.sha256 == wanted
    with engine.store.write() as unit:
        unit.managed.remove(ours.id)
    with pytest.raises(ConfigurationError, match=f"{ours.id} was removed. Name another one by its id"):
        tls.look()
    assert tls.presented.facts.sha256 == wanted
    assert f"{ours.id} was removed" in OwnTls(engine, settings, NAMES).presented.told


def later(engine: Engine, minutes: int) -> Engine:
    moment = engine.now() + timedelta(minutes=minutes)
    return replace(engine, now=lambda: moment)


def test_what_is_presented_is_not_removed(engine: Engine, settings: Settings) -> None:
    managed = ManagedCertificate(title="certs", identifiers=parse_all(["certs.contoso.com"]), issuer="le")
    with engine.store.write() as unit:
        unit.managed.add(managed)
    for minutes in (0, 55):
        OwnTls(later(engine, minutes), replace(settings, own_certificate="certs"), NAMES)
    with pytest.raises(InUse, match="'certs' is what the service presents itself"):
        remove(later(engine, 100), managed.id)
    remove(later(engine, 120), managed.id)


@contextmanager
def _open(at: Endpoint, context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
    """A connection that believes whatever is presented."""
    context = context or ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((at.host, at.port), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        yield wrapped


def test_a_browser_that_comes_again_is_given_the_newest(engine: Engine, settings: Settings) -> None:
    managed = ManagedCertificate(title="certs", identifiers=parse_all(["certs.contoso.com"]), issuer="le")
    with engine.store.write() as unit:
        unit.managed.add(managed)
    issue(engine, managed, KeyType.ECDSA_P256)
    tls = OwnTls(engine, replace(settings, own_certificate="certs"), NAMES)
    context = ssl.create_default_context()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, version
        with served(tls) as at:
            with _open(at, context) as first:
                session = first.session
            wanted = issue(engine, managed, KeyType.ECDSA_P256)
            tls.look()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with (
                socket.create_connection((at.host, at.port), timeout=30) as raw,
                context.wrap_socket(raw, server_hostname="localhost", session=session) as again,
            ):
                assert again.session_reused is False
                der = again.getpeercert(binary_form=True)
        assert der
        assert certificates.CertificateFacts.of(x509.load_der_x509_certificate(der)).sha256 == wanted


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_tls_of_earlier_days_is_refused(engine: Engine, settings: Settings) -> None:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        served(OwnTls(engine, settings, NAMES)) as at,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol"),
        _open(at, context),
    ):
        pass


def test_browsers_are_held_to_https_once_somebody_vouches_for_it(engine: Engine, settings: Settings) -> None:
    managed = ManagedCertificate(title="certs", identifiers=parse_all(["certs.contoso.com"]), issuer="le")
    with engine.store.write() as unit:
        unit.managed.add(managed)
    tls = OwnTls(engine, replace(settings, own_certificate="certs"), NAMES)
    answers = []
    with served(tls) as at:
        for _ in range(2):
            with _open(at) as browser:
                browser.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answers.append(b"strict-transport-security: max-age=" in browser.recv(10_000))
            issue(engine, managed, KeyType.ECDSA_P256)
            tls.look()
        with _open(at) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: certs.contoso.com\r\nConnection: close\r\n\r\n")
            assert browser.recv(10_000).startswith(b"HTTP/1.1 404")  # it knows that name now
    assert answers == [False, True]


class TestFiles:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return replace(settings, tls_certificate_file=tmp_path / "own.pem", tls_key_file=tmp_path / "own.key")

    def test_they_are_read_again_when_they_change(self, engine: Engine, settings: Settings) -> None:
        self._write(settings, *_issued(engine))
        tls = OwnTls(engine, settings, NAMES)
        with served(tls) as at:
            first = sha256(at)
            self._write(settings, *_issued(engine))
            tls.look()
            second = sha256(at)
            assert second == tls.presented.facts.sha256 != first
            assert settings.tls_key_file
            settings.tls_key_file.write_text("broken")
            with pytest.raises(ConfigurationError, match="tls_key_file cannot be used"):
                tls.look()
            assert sha256(at) == second

    def test_files_that_do_not_fit_or_are_missing_are_told(self, engine: Engine, settings: Settings) -> None:
        with pytest.raises(ConfigurationError, match=r"tls_certificate_file cannot be used: .*cannot be read"):
            OwnTls(engine, settings, NAMES)
        chain, _ = _issued(engine)
        self._write(settings, chain, generate(KeyType.ECDSA_P256))
        with pytest.raises(ConfigurationError, match="is not that of"):
            OwnTls(engine, settings, NAMES)
        with pytest.raises(ConfigurationError, match="It is missing"):
            OwnTls(engine, replace(settings, tls_key_file=None), NAMES)

    @staticmethod
    def _write(settings: Settings, chain: Sequence[x509.Certificate], key: PrivateKey) -> None:
        assert settings.tls_certificate_file
        assert settings.tls_key_file
        settings.tls_certificate_file.write_bytes(certificates.pem(chain))
        settings.tls_key_file.write_bytes(private_key_pem(key))


def _issued(engine: Engine) -> tuple[list[x509.Certificate], PrivateKey]:
    key = generate(KeyType.ECDSA_P256)
    names = general_names(["certs.contoso.com"])
    leaf = Authority("CA").certify("certs", key, names=names, start=engine.now() - DAY, lifetime=90 * DAY)
    return [leaf], key
