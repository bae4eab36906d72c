from dataclasses import replace

import pytest

from certwright.exchange.discovery.differences import Difference, differences
from certwright.exchange.model import Certificate, Connector, Rival, ServerInfo, ServerState, Service, Unknown
from certwright.exchange.model import WebAddress as Address
from certwright.exchange.snapshot import AcceptedDomain, Hybrid, SigningCertificates, Snapshot

INFO = ServerInfo("EX01", "ex01.contoso.test", "Mailbox", "Version 15.2 (Build 1544.4)")
OLD, NEW = "A" * 40, "B" * 40
CONNECTOR = Connector("Out", "send", fqdn="mail.contoso.test", tls_certificate_name="<I>CN=A<S>CN=mail")
SERVER = ServerState(
    "ex01.contoso.test",
    INFO,
    (Certificate(OLD, services=Service.IIS, status="Valid", iis_sites=frozenset({1})),),
    internal_transport=OLD,
    addresses=(Address("OWA", "https://mail.contoso.test/owa"),),
    components={"ServerWideOffline": "Active"},
    wire_form="selected",
)
ORGANISATION = Snapshot(
    (SERVER,),
    (CONNECTOR,),
    organisation="Contoso",
    accepted_domains=(AcceptedDomain("contoso.test", "Authoritative"),),
    auth=SigningCertificates(OLD),
    rights={"Get-ExchangeCertificate": frozenset()},
)


def with_server(**changed: object) -> Snapshot:
    return replace(ORGANISATION, servers=(replace(SERVER, **changed),))  # type: ignore[arg-type]


def texts(new: Snapshot, old: Snapshot = ORGANISATION) -> list[str]:
    return [difference.text for difference in differences(old, new)]


def test_the_same_is_no_difference() -> None:
    assert differences(ORGANISATION, ORGANISATION) == ()


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (with_server(internal_transport=NEW), f"EX01: the internal transport certificate is now {NEW}; it was {OLD}."),
        (with_server(away="it is in maintenance"), "EX01: the reason to leave it alone is now it is in maintenance"),
        (with_server(addresses=(Address("OWA", "https://x/owa"),)), "EX01: OWA inside is now https://x/owa"),
        (with_server(components={"ServerWideOffline": "Inactive"}), "component ServerWideOffline is now Inactive"),
        (with_server(info=replace(INFO, version="15.2.1748.10")), "server EX01 is now 2019 CU15; it was 2019 CU14."),
        (replace(ORGANISATION, auth=SigningCertificates(NEW)), f"the current Auth certificate is now {NEW}"),
        (replace(ORGANISATION, hybrid=Hybrid("<I>x<S>y")), "the hybrid configuration is new: there."),
        (replace(ORGANISATION, accepted_domains=()), "accepted domain contoso.test is gone; it was: Authoritative."),
        (replace(ORGANISATION, rights={}), "the account's right to Get-ExchangeCertificate is gone"),
        (replace(ORGANISATION, rivals=(Rival("EX01", "win-acme", "a task"),)), "win-acme on EX01 is new: a task."),
        (
            replace(ORGANISATION, send_connectors=(replace(CONNECTOR, tls_certificate_name=None),)),
            "TlsCertificateName of send connector Out is now not set; it was <I>CN=A<S>CN=mail.",
        ),
    ],
)
def test_each_difference_is_told_once(new: Snapshot, told: str) -> None:
    (text,) = texts(new)
    assert told in text


def test_a_certificate_that_came_and_one_that_was_rebound() -> None:
    rebound = replace(SERVER.certificates[0], iis_sites=frozenset(), status="Revoked")
    found = texts(with_server(certificates=(rebound, Certificate(NEW, services=Service.NONE))))
    assert f"EX01: the web sites of certificate {OLD} is now none; it was 1." in found
    assert f"EX01: the status of certificate {OLD} is now Revoked; it was Valid." in found
    assert f"EX01: certificate {NEW} is new: there." in found


def test_a_connector_that_came_is_told_once() -> None:
    (text,) = texts(replace(ORGANISATION, send_connectors=(CONNECTOR, replace(CONNECTOR, name="Two"))))
    assert text == "send connector Two is new: enabled."


def test_what_is_unknown_is_no_difference() -> None:
    blind = with_server(internal_transport=None, connectors=None, addresses=None, components=None, wire_form="")
    blind = replace(blind, send_connectors=None, accepted_domains=None, rights=None, auth=None, organisation="")
    blind = replace(blind, unknown=(Unknown("", "the Auth certificates", "no right"),))
    assert texts(blind) == []
    assert texts(ORGANISATION, old=blind) == []


def test_a_server_that_cannot_be_read_is_not_gone() -> None:
    assert texts(replace(ORGANISATION, servers=(), unread=(INFO,))) == []
    (text,) = texts(replace(ORGANISATION, servers=()))
    assert text == "server EX01 is gone; it was: 2019 CU14."


def test_differences_are_values() -> None:
    assert Difference("", "a", "", "b") == Difference("", "a", "", "b")
