import dataclasses
import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.acme_server import PROFILES, AcmeServerConfig, CaConfig
from unit.acme_server.wire import SettableClock, Wire, b64, csr, new_key, wire


@pytest.fixture
def client() -> Iterator[Wire]:
    with wire() as each:
        yield each


def names_of(certificate: x509.Certificate) -> list[Any]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [name.value for name in extension.value]


def test_an_order_goes_from_pending_to_valid(client: Wire) -> None:
    order = client.order("mail.contoso.test", "autodiscover.contoso.test")
    assert (order.status, order.json["status"], len(order.json["authorizations"])) == (201, "pending", 2)
    assert order.json["profile"] == "classic"
    ready = client.prove(order)
    assert ready.json["status"] == "ready"
    done = client.finalize(ready)
    assert (done.json["status"], done.header("Location")) == ("valid", order.header("Location"))
    certificate, *_ = client.certificates(done)
    assert names_of(certificate) == ["mail.contoso.test", "autodiscover.contoso.test"]
    (issued,) = client.server.issued
    assert issued.certificate == certificate
    assert (issued.order_url, issued.account_url) == (order.header("Location"), client.kid)
    assert (issued.profile, issued.replaces, issued.revocation) == ("classic", None, None)


def test_identifiers_are_lower_case_and_counted_once(client: Wire) -> None:
    order = client.order("Mail.Contoso.test", "mail.contoso.test")
    assert order.json["identifiers"] == [{"type": "dns", "value": "mail.contoso.test"}]


@pytest.mark.parametrize("identifiers", [None, [], {}, "a.contoso.test", ["a.contoso.test"], [{}], [{"type": "dns"}]])
def test_an_order_has_identifiers(client: Wire, identifiers: Any) -> None:
    answer = client.post(client.directory["newOrder"], {"identifiers": identifiers})
    assert (answer.status, answer.error) == (400, "malformed")


def test_one_wrong_identifier_is_named(client: Wire) -> None:
    answer = client.order("good.contoso.test", "bad_name.contoso.test")
    assert answer.error == "malformed"
    assert answer.json["identifier"] == {"type": "dns", "value": "bad_name.contoso.test"}
    assert "subproblems" not in answer.json


def test_several_wrong_identifiers_are_named_each_with_its_fault() -> None:
    with wire(AcmeServerConfig(allow_internal_names=False, forbidden_domains=("bank.com",))) as client:
        identifiers = [
            {"type": "dns", "value": "www.bank.com"},
            {"type": "dns", "value": "mail.contoso.test"},
            {"type": "dns", "value": "exchange01"},
            {"type": "ip", "value": "10.0.0.1"},
            {"type": "dns", "value": "-.com"},
            {"type": "email", "value": "a@contoso.com"},
            {"type": "dns", "value": "good.contoso.com"},
        ]
        answer = client.post(client.directory["newOrder"], {"identifiers": identifiers})
    assert (answer.status, answer.error) == (400, "compound")
    told = [(p["identifier"]["value"], p["type"].rpartition(":")[2]) for p in answer.json["subproblems"]]
    assert told == [
        ("www.bank.com", "rejectedIdentifier"),
        ("mail.contoso.test", "rejectedIdentifier"),
        ("exchange01", "rejectedIdentifier"),
        ("10.0.0.1", "rejectedIdentifier"),
        ("-.com", "malformed"),
        ("a@contoso.com", "unsupportedIdentifier"),
    ]


def test_several_faults_of_one_kind_are_of_that_kind() -> None:
    with wire(AcmeServerConfig(forbidden_domains=("contoso.test",))) as client:
        answer = client.order("a.contoso.test", "b.contoso.test")
    assert answer.error == "rejectedIdentifier"
    assert len(answer.json["subproblems"]) == 2


def test_another_accounts_order_is_not_shown(client: Wire) -> None:
    order, other = client.order("a.contoso.test"), client.other()
    for url in (order.header("Location"), order.json["finalize"]):
        answer = other.post(url, {"csr": csr(["a.contoso.test"])} if "finalize" in url else None)
        assert (answer.status, answer.error) == (403, "unauthorized")


def test_an_unproven_order_cannot_be_finalized(client: Wire) -> None:
    answer = client.finalize(client.order("a.contoso.test"))
    assert (answer.status, answer.error) == (403, "orderNotReady")


def test_an_order_is_finalized_once(client: Wire) -> None:
    done = client.obtain("a.contoso.test")
    assert client.finalize(done).error == "orderNotReady"
    assert len(client.server.issued) == 1


def test_an_order_expires() -> None:
    clock = SettableClock()
    with wire(clock=clock) as client:
        order = client.order("a.contoso.test")
        clock.advance(timedelta(hours=8))
        read = client.post(order.header("Location")).json
        assert (read["status"], read["error"]["type"].rpartition(":")[2]) == ("invalid", "unauthorized")


def test_a_ready_order_expires_too() -> None:
    clock = SettableClock()
    with wire(clock=clock) as client:
        ready = client.prove(client.order("a.contoso.test"))
        clock.advance(timedelta(hours=8))
        assert client.finalize(ready).error == "orderNotReady"
        assert "expired" in client.post(ready.header("Location")).json["error"]["detail"]


def test_an_asynchronous_order_is_processing_until_the_certificate_is_there() -> None:
    with wire(AcmeServerConfig(finalize_delay=0.2)) as client:
        done = client.finalize(client.prove(client.order("a.contoso.test")))
        assert (done.json["status"], done.header("Retry-After")) == ("processing", "1")
        assert "certificate" not in done.json
        order = client.until(done.header("Location"), lambda read: read["status"] != "processing")
        assert order.json["status"] == "valid"
        assert client.certificates(order)


@pytest.mark.parametrize(
    ("request_text", "reason"),
    [
        (csr(["other.contoso.test"]), "not those of the order"),
        (csr(["a.contoso.test", "b.contoso.test"]), "not those of the order"),
        (csr([]), "not those of the order"),
        (csr(["a.contoso.test"], common_name="b.contoso.test"), "common name"),
        (csr(["a.contoso.test"], rsa.generate_private_key(65537, 1024)), "2048, 3072 or 4096"),
        (csr(["a.contoso.test"], rsa.generate_private_key(3, 2048)), "exponent"),
        (csr(["a.contoso.test"], ec.generate_private_key(ec.SECP521R1())), "P-256 or P-384"),
        ("AAAA", "cannot be read"),
    ],
)
def test_a_wrong_csr_is_refused_and_the_order_stays_ready(client: Wire, request_text: str, reason: str) -> None:
    ready = client.prove(client.order("a.contoso.test"))
    answer = client.finalize(ready, request_text)
    assert (answer.status, answer.error) == (400, "badCSR")
    assert reason in answer.json["detail"]
    assert client.post(ready.header("Location")).json["status"] == "ready"


def test_the_account_key_is_not_certified(client: Wire) -> None:
    ready = client.prove(client.order("a.contoso.test"))
    assert client.finalize(ready, csr(["a.contoso.test"], client.key)).error == "badCSR"


def test_a_csr_is_base64url_of_der(client: Wire) -> None:
    ready = client.prove(client.order("a.contoso.test"))
    for text in (None, 5, "-----BEGIN CERTIFICATE REQUEST-----", "AA=="):
        assert client.post(ready.json["finalize"], {"csr": text}).error == "malformed"


def test_the_csrs_common_name_is_kept_where_the_profile_has_one(client: Wire) -> None:
    names = ["a.contoso.test", "b.contoso.test"]
    request = csr(names, common_name="b.contoso.test")
    done = client.finalize(client.prove(client.order(*names)), request)
    subject = client.certificates(done)[0].subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["b.contoso.test"]


def test_a_csr_of_an_old_client_may_have_its_only_name_as_common_name(client: Wire) -> None:
    done = client.finalize(client.prove(client.order("a.contoso.test")), csr([], common_name="a.contoso.test"))
    assert names_of(client.certificates(done)[0]) == ["a.contoso.test"]


def test_addresses_are_certified_by_the_profile_that_allows_them(client: Wire) -> None:
    wanted = {"identifiers": [{"type": "ip", "value": "127.0.0.1"}]}
    order = client.post(client.directory["newOrder"], wanted)
    assert order.json["profile"] == "shortlived"
    challenges = client.post(order.json["authorizations"][0]).json["challenges"]
    assert {challenge["type"] for challenge in challenges} == {"http-01", "tls-alpn-01"}
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    request = builder.add_extension(address, critical=False)

    der = request.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER)
    done = client.finalize(client.prove(order), b64(der))
    assert names_of(client.certificates(done)[0]) == [ipaddress.ip_address("127.0.0.1")]


# draft-ietf-acme-profiles


def test_a_profile_is_advertised_chosen_and_told(client: Wire) -> None:
    assert "tlsserver" in client.directory["meta"]["profiles"]
    done = client.obtain("a.contoso.test", profile="tlsserver")
    assert done.json["profile"] == "tlsserver"
    certificate = client.certificates(done)[0]
    assert not list(certificate.subject)
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc + timedelta(seconds=1)
    assert lifetime == PROFILES["tlsserver"].lifetime


@pytest.mark.parametrize("profile", ["nonesuch", "", 5, {}])
def test_a_profile_that_is_not_advertised_is_refused(client: Wire, profile: Any) -> None:
    answer = client.order("a.contoso.test", profile=profile)
    assert (answer.status, answer.error) == (400, "invalidProfile")


def test_a_profile_that_does_not_fit_the_identifiers_is_refused(client: Wire) -> None:
    names = [{"type": "dns", "value": f"n{n}.contoso.test"} for n in range(26)]
    for identifiers, profile in ((names, "tlsserver"), ([{"type": "ip", "value": "127.0.0.1"}], "classic")):
        answer = client.post(client.directory["newOrder"], {"identifiers": identifiers, "profile": profile})
        assert answer.error == "invalidProfile"


def test_too_many_identifiers_fit_no_profile(client: Wire) -> None:
    assert client.order(*(f"n{n}.contoso.test" for n in range(101))).error == "malformed"


def test_a_profile_the_ca_gave_up_meanwhile_is_told_at_finalize(client: Wire) -> None:
    ready = client.prove(client.order("a.contoso.test", profile="tlsserver"))
    left = CaConfig(profiles={"classic": PROFILES["classic"]})
    client.server.ca.config = dataclasses.replace(client.server.ca.config, profiles=left.profiles)
    assert client.finalize(ready).error == "invalidProfile"


# notBefore, notAfter


def test_the_validity_may_be_chosen_within_the_profiles() -> None:
    clock = SettableClock()
    with wire(clock=clock) as client:
        start, end = clock.now + timedelta(hours=1), clock.now + timedelta(days=2)
        done = client.obtain("a.contoso.test", notBefore=start.isoformat(), notAfter=end.isoformat())
        assert done.json["notBefore"] == start.isoformat().replace("+00:00", "Z")
        certificate = client.certificates(done)[0]
        assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (start, end)


def test_an_order_expires_before_the_certificate_it_asks_for() -> None:
    clock = SettableClock()
    with wire(clock=clock) as client:
        end = clock.now + timedelta(minutes=30)
        ready = client.prove(client.order("a.contoso.test", notAfter=end.isoformat()))
        clock.advance(timedelta(minutes=29))
        assert client.post(ready.header("Location")).json["status"] == "ready"
        clock.advance(timedelta(minutes=1))
        assert client.finalize(ready).error == "orderNotReady"


@pytest.mark.parametrize(
    ("not_before", "not_after"),
    [
        (None, timedelta(days=65)),
        (None, timedelta(0)),
        (timedelta(days=65), None),
        (-timedelta(days=65), None),
        (timedelta(days=2), timedelta(days=1)),
    ],
)
def test_a_validity_beyond_the_profiles_is_refused(not_before: timedelta | None, not_after: timedelta | None) -> None:
    clock = SettableClock()
    with wire(clock=clock) as client:
        spans = {"notBefore": not_before, "notAfter": not_after}
        times = {name: (clock.now + span).isoformat() for name, span in spans.items() if span is not None}
        assert client.order("a.contoso.test", **times).error == "malformed"


@pytest.mark.parametrize("time", ["tomorrow", "2026-01-01", "2026-01-01T00:00:00", 1, "0001-01-01T00:00:00+23:00"])
def test_a_validity_is_in_rfc3339(client: Wire, time: Any) -> None:
    assert client.order("a.contoso.test", notAfter=time).error == "malformed"
