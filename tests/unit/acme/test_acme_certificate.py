import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import certificate, flow, problem
from certwright.acme.certificate import Chain, RevocationReason
from certwright.acme.client import AcmeClient
from certwright.acme.errors import ServerProblem, UnexpectedAnswer
from certwright.acme.identifier import Identifier
from certwright.acme.jws import SigningKey
from certwright.acme.transport import Headers, Response
from unit.acme import memory_pki
from unit.acme.memory_ca import BASE, MemoryCA, Refused, answer

NAME = "www.example.org"


def obtain(ca: MemoryCA, client: AcmeClient, key: ec.EllipticCurvePrivateKey | None = None) -> flow.Obtained:
    return flow.obtain(client, [Identifier.dns(NAME)], memory_pki.request(NAME, key=key), ca.solve)


def issuers(chain: Chain) -> list[str]:
    return [each.issuer.rfc4514_string() for each in chain.certificates]


@pytest.mark.parametrize(
    ("preferred", "expected", "downloads"),
    [
        (None, ["CN=Intermediate 1", "CN=Root 1"], 1),
        ("Root 1", ["CN=Intermediate 1", "CN=Root 1"], 1),
        ("Root 2", ["CN=Intermediate 1", "CN=Root 1", "CN=Root 2"], 2),
        ("Intermediate 1", ["CN=Intermediate 1", "CN=Root 1"], 2),
        ("Root 3", ["CN=Intermediate 1", "CN=Root 1"], 2),
    ],
)
def test_the_chain_is_chosen_by_an_issuers_common_name(
    ca: MemoryCA, client: AcmeClient, preferred: str | None, expected: list[str], downloads: int
) -> None:
    url = obtain(ca, client).order.certificate
    assert url
    ca.requests.clear()
    assert issuers(certificate.download(client, url, preferred)) == expected
    assert ca.counted("POST certificate") == downloads


def test_a_chain_is_written_as_it_came(ca: MemoryCA, client: AcmeClient) -> None:
    chain = obtain(ca, client).chain
    assert x509.load_pem_x509_certificates(chain.pem.encode()) == list(chain.certificates)
    assert chain.pem.count("BEGIN CERTIFICATE") == 2
    names = chain.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_chain(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="PEM chain"):
        Chain.parse(Response(200, Headers(), body))


def test_a_chain_without_end_is_refused() -> None:
    [intermediate] = memory_pki.chains()["Root 1"]
    with pytest.raises(UnexpectedAnswer, match="more than 20"):
        Chain.parse(Response(200, Headers(), intermediate.public_bytes(Encoding.PEM) * 21))


def test_only_a_few_alternates_are_looked_at(ca: MemoryCA, client: AcmeClient) -> None:
    url = obtain(ca, client).order.certificate
    assert url
    pem = client.post(url, None).body
    many = ", ".join(f'<{url}/{number}>;rel="alternate"' for number in range(50))
    ca.faults["certificate"] = [answer(200, pem, Link=many), *[answer(200, pem)] * 50]
    ca.requests.clear()
    assert issuers(certificate.download(client, url, "Root 9")) == ["CN=Intermediate 1", "CN=Root 1"]
    assert ca.counted("POST certificate") == 11


def test_revoke_by_the_account(ca: MemoryCA, client: AcmeClient) -> None:
    leaf = obtain(ca, client).chain.leaf
    der = leaf.public_bytes(Encoding.DER)
    assert certificate.revoke(client, der, RevocationReason.SUPERSEDED)
    assert ca.revoked == {leaf.serial_number: 4}
    assert not certificate.revoke(client, der), "it is revoked already"


def test_revoke_by_the_certificates_key_without_an_account(
    ca: MemoryCA, client: AcmeClient, newcomer: AcmeClient
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = obtain(ca, client, key).chain.leaf
    newcomer.account_url = None
    assert certificate.revoke(newcomer, leaf.public_bytes(Encoding.DER), key=SigningKey(key))
    assert ca.revoked == {leaf.serial_number: None}


def test_a_refused_revocation_is_told(ca: MemoryCA, client: AcmeClient) -> None:
    der = obtain(ca, client).chain.leaf.public_bytes(Encoding.DER)
    ca.faults["revoke-cert"] = [Refused(400, "badRevocationReason", "not that reason").response]
    with pytest.raises(ServerProblem) as caught:
        certificate.revoke(client, der, RevocationReason.CESSATION_OF_OPERATION)
    assert caught.value.problem.type == problem.BAD_REVOCATION_REASON


def test_a_ca_without_revocation(ca: MemoryCA, newcomer: AcmeClient) -> None:
    least = {name: f"{BASE}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
    ca.faults["directory"] = [answer(200, least)]
    with pytest.raises(UnexpectedAnswer, match="revokeCert"):
        certificate.revoke(newcomer, b"")
