"""Transitions of the store, selection of what is served, and how names and flags are written."""

import dataclasses
import datetime as dt

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from certwright.exchange_simulator import Refused, ServerState, Services, Status, StoredCertificate, Version
from certwright.exchange_simulator.certificates import (
    best_for,
    distinguished_name,
    read_bundle,
    self_signed,
    utc_now,
)
from certwright.exchange_simulator.configuration import AuthConfig, OrganisationState
from peers.exchange_shell import Issued, TestAuthority

AUTHORITY = TestAuthority()
AUTH = StoredCertificate(*self_signed("Microsoft Exchange Server Auth Certificate", (), now=utc_now()))
TEMPLATE = self_signed("EX01", ("EX01", "ex01.contoso.test"), now=utc_now())


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> ServerState:
    return ServerState(
        name="EX01",
        fqdn="ex01.contoso.test",
        version=Version.EXCHANGE_2019_CU15,
        organisation=OrganisationState(AuthConfig(AUTH.thumbprint)),
        auth_certificate=dataclasses.replace(AUTH),
        smtp_fqdn="mail.contoso.test",
        smtp_delay=0.0,
        mail_access=True,
    )


def add(state: ServerState, issued: Issued) -> StoredCertificate:
    return state.import_certificate(read_bundle(issued.pfx("x"), "x"), exportable=True, friendly_name="a certificate")


def stored(issued: Issued) -> StoredCertificate:
    return StoredCertificate(issued.certificate, issued.key)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("IIS,SMTP", Services.IIS | Services.SMTP),
        ("pop, Imap", Services.POP | Services.IMAP),
        ("UMCallRouter", Services.UM_CALL_ROUTER),
        ("None", Services.NONE),
        ("", Services.NONE),
    ],
)
def test_services_are_read(text: str, flags: Services) -> None:
    assert Services.parse(text) == flags


def test_unknown_services_are_refused() -> None:
    with pytest.raises(ValueError, match="WWW"):
        Services.parse("IIS, WWW")


def test_the_letters_of_services() -> None:
    assert Services.parse("IMAP,POP,IIS,SMTP").letters == "IP.WS.."
    assert Services.NONE.letters == "......."


def test_names_are_written_as_windows_writes_them() -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Bayern"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Contoso, "the" GmbH'),
            x509.NameAttribute(NameOID.COMMON_NAME, "mail.contoso.test"),
        ]
    )
    assert distinguished_name(name) == 'CN=mail.contoso.test, O="Contoso, ""the"" GmbH", S=Bayern, C=DE'


def test_import_knows_what_is_there(state: ServerState) -> None:
    issued = AUTHORITY.issue("mail.contoso.test")
    assert add(state, issued).friendly_name == "a certificate"
    with pytest.raises(Refused, match="already exists"):
        add(state, issued)
    assert state.chain(state.certificate(issued.thumbprint.lower())) == [issued.certificate, AUTHORITY.intermediate]
    with pytest.raises(Refused, match="was not found"):
        state.certificate("00" * 20)


def test_import_reads_the_name_in_the_file(state: ServerState) -> None:
    bundle = read_bundle(AUTHORITY.issue("mail.contoso.test").pfx("x"), "x")
    assert state.import_certificate(bundle, exportable=False, friendly_name=None).friendly_name == "in the file"


@pytest.mark.parametrize("data", [b"", b"garbage", AUTHORITY.issue("a.test").pfx("right")])
def test_what_is_no_bundle(data: bytes) -> None:
    with pytest.raises(Refused, match="password specified is incorrect"):
        read_bundle(data, "wrong")


def test_an_expired_certificate_is_not_enabled(state: ServerState) -> None:
    issued = AUTHORITY.issue("mail.contoso.test", age=dt.timedelta(days=90), life=dt.timedelta(days=80))
    expired = add(state, issued)
    with pytest.raises(Refused, match="DateInvalid"):
        state.enable(expired.thumbprint, Services.IIS, replace_internal_transport=False)
    assert expired.status_at(utc_now()) is Status.DATE_INVALID


def test_federation_is_not_for_enable(state: ServerState) -> None:
    issued = add(state, AUTHORITY.issue("mail.contoso.test"))
    with pytest.raises(Refused, match="Federation"):
        state.enable(issued.thumbprint, Services.FEDERATION, replace_internal_transport=False)


def test_iis_requires_ssl_of_the_default_web_site_alone_unless_told_otherwise(state: ServerState) -> None:
    thumbprint = add(state, AUTHORITY.issue("mail.contoso.test")).thumbprint
    state.require_ssl |= {1: False, 2: False}
    state.enable(thumbprint, Services.SMTP, replace_internal_transport=True)
    state.enable(thumbprint, Services.IIS, replace_internal_transport=False, require_ssl=False)
    assert state.require_ssl == {1: False, 2: False}
    state.enable(thumbprint, Services.IIS, replace_internal_transport=False)
    assert state.require_ssl == {1: True, 2: False}
    state.enable(thumbprint, Services.IIS, replace_internal_transport=False, require_ssl=False)
    assert state.require_ssl == {1: True, 2: False}


def test_a_certificate_without_common_name_is_not_taken_for_pop(state: ServerState) -> None:
    nameless = add(state, AUTHORITY.issue("mail.contoso.test", common_name=""))
    warnings = state.enable(
        nameless.thumbprint, Services.POP | Services.IMAP | Services.SMTP, replace_internal_transport=False
    )
    assert len(warnings) == 2
    assert nameless.services == Services.SMTP
    # Naming it in the settings is enough.
    state.pop.x509_certificate_name = "mail.contoso.test"
    state.start_service("MSExchangePOP3")
    assert state.served(110) is nameless


def test_pop_loads_at_start_only(state: ServerState) -> None:
    before = state.served(995)
    newer = add(state, AUTHORITY.issue("mail.contoso.test"))
    state.enable(newer.thumbprint, Services.POP, replace_internal_transport=False)
    assert state.served(995) is before
    state.start_service("MSExchangePOP3BE")
    assert state.served(995) is before
    state.start_service("MSExchangePOP3")
    assert state.served(995) is newer


def test_iis_rebinds_the_default_web_site_alone(state: ServerState) -> None:
    setup = state.internal_transport
    newer = add(state, AUTHORITY.issue("mail.contoso.test"))
    state.enable(newer.thumbprint, Services.IIS, replace_internal_transport=True)
    assert (state.iis_sites(newer), state.iis_sites(state.certificate(setup))) == ([1], [2])
    assert state.internal_transport == setup  # only SMTP moves it


def test_the_best_certificate() -> None:
    now = utc_now()
    older = stored(AUTHORITY.issue("mail.contoso.test", age=dt.timedelta(days=30)))
    newer = stored(AUTHORITY.issue("mail.contoso.test", age=dt.timedelta(days=1)))
    longer = stored(AUTHORITY.issue("mail.contoso.test", age=dt.timedelta(days=1), life=dt.timedelta(days=200)))
    own = StoredCertificate(*self_signed("x", ["mail.contoso.test"], now=now + dt.timedelta(days=30)))
    expired = stored(AUTHORITY.issue("mail.contoso.test", age=dt.timedelta(hours=2), life=dt.timedelta(hours=1)))
    keyless = StoredCertificate(AUTHORITY.issue("mail.contoso.test").certificate)
    other = stored(AUTHORITY.issue("other.contoso.test"))
    assert own.self_signed
    assert not newer.self_signed
    assert best_for("Mail.Contoso.Test.", [older, newer, own, expired, keyless, other], now) is newer
    assert best_for("mail.contoso.test", [longer, newer], now) is longer
    assert best_for("mail.contoso.test", [own, expired], now) is own
    assert best_for("mail.contoso.test", [expired, other], now) is expired
    newer.status = Status.REVOKED
    assert best_for("mail.contoso.test", [older, newer], now) is older
    assert best_for("mail.contoso.test", [keyless, other], now) is None


@pytest.mark.parametrize(
    ("name", "covered"),
    [("a.contoso.test", True), ("A.CONTOSO.TEST", True), ("contoso.test", False), ("a.b.contoso.test", False)],
)
def test_a_wildcard_stands_for_one_label(name: str, covered: bool) -> None:
    assert stored(AUTHORITY.issue("*.contoso.test")).covers(name) is covered


def test_nothing_secret_is_shown(state: ServerState) -> None:
    issued = add(state, AUTHORITY.issue("mail.contoso.test"))
    assert "key" not in repr(issued).lower().replace("exportable", "")
