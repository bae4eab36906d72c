from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme_server import AcmeServerConfig, CaConfig
from unit.acme_server.wire import Answer, Wire, b64, csr, new_key, wire


@pytest.fixture
def client() -> Iterator[Wire]:
    with wire() as each:
        yield each


def revoke(client: Wire, certificate: x509.Certificate, reason: object = None, **how: object) -> Answer:
    payload = {"certificate": b64(certificate.public_bytes(Encoding.DER))}
    if reason is not None:
        payload["reason"] = reason  # type: ignore[assignment]  # wrong types are tried too
    return client.post(client.directory["revokeCert"], payload, **how)  # type: ignore[arg-type]


def test_a_certificate_is_downloaded_with_its_chain_and_without_the_root(client: Wire) -> None:
    done = client.obtain("a.contoso.test")
    answer = client.post(done.json["certificate"])
    assert ("Content-Type", "application/pem-certificate-chain") in answer.headers
    leaf, intermediate = x509.load_pem_x509_certificates(answer.body)
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(client.server.ca.roots[0])
    assert not answer.links("alternate")
    assert client.post(done.json["certificate"].replace("/certificate/", "/alternate/")).status == 404


def test_an_alternate_chain_ends_at_the_alternate_root() -> None:
    with wire(AcmeServerConfig(ca=CaConfig(alternate_root=True))) as client:
        default = client.post(client.obtain("a.contoso.test").json["certificate"])
        (url,) = default.links("alternate")
        alternate = client.post(url)
        assert len(alternate.links("alternate")) == 1
        one, two = (x509.load_pem_x509_certificates(answer.body) for answer in (default, alternate))
        assert one[0] == two[0]
        assert one[1].public_key() == two[1].public_key()
        one[1].verify_directly_issued_by(client.server.ca.roots[0])
        two[1].verify_directly_issued_by(client.server.ca.roots[1])


def test_another_accounts_certificate_is_not_shown(client: Wire) -> None:
    url = client.obtain("a.contoso.test").json["certificate"]
    answer = client.other().post(url)
    assert (answer.status, answer.error) == (403, "unauthorized")


def test_the_ordering_account_revokes_once(client: Wire) -> None:
    (leaf, _) = client.certificates(client.obtain("a.contoso.test"))
    assert revoke(client, leaf, 4).status == 200
    again = revoke(client, leaf, 4)
    assert (again.status, again.error) == (400, "alreadyRevoked")
    (issued,) = client.server.issued
    assert issued.revocation is not None
    assert issued.revocation.reason == 4


def test_the_certificates_own_key_revokes(client: Wire) -> None:
    key = new_key()
    done = client.finalize(client.prove(client.order("a.contoso.test")), csr(["a.contoso.test"], key))
    (leaf, _) = client.certificates(done)
    stranger = revoke(client, leaf, by_key=True, key=new_key())
    assert (stranger.status, stranger.error) == (403, "unauthorized")
    assert revoke(client, leaf, by_key=True, key=key).status == 200


def test_an_account_that_controls_all_names_revokes(client: Wire) -> None:
    (leaf, _) = client.certificates(client.obtain("a.contoso.test", "b.contoso.test"))
    other = client.other()
    other.prove(other.order("a.contoso.test"))
    assert revoke(other, leaf).error == "unauthorized"
    other.prove(other.order("b.contoso.test"))
    assert revoke(other, leaf).status == 200


@pytest.mark.parametrize("reason", [2, 6, 7, 10, -1, "1", True, 1.0, []])
def test_only_reasons_a_subscriber_may_give_are_taken(client: Wire, reason: object) -> None:
    (leaf, _) = client.certificates(client.obtain("a.contoso.test"))
    assert revoke(client, leaf, reason).error == "badRevocationReason"


def test_only_certificates_of_this_server_are_revoked(client: Wire) -> None:
    (_, intermediate) = client.certificates(client.obtain("a.contoso.test"))
    foreign = client.server.ca.issue_directly(["a.contoso.test"]).certificate
    assert revoke(client, intermediate).status == 404
    assert revoke(client, foreign).status == 404
    for text in (None, "", b64(b"nonsense"), 5):
        assert client.post(client.directory["revokeCert"], {"certificate": text}).error == "malformed"
