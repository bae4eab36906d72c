"""The ACME client against a real CA in strict mode: Pebble, which rejects nonces, sleeps, reuses and refuses on demand.

Pebble 2.4 deadlocks when many orders are in flight: here never more than four.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.acme import account, certificate, flow, problem
from certwright.acme.account import ExternalAccount
from certwright.acme.certificate import Chain, RevocationReason
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.errors import OrderInvalid, ServerProblem, TLSFailed
from certwright.acme.flow import Obtained, Step
from certwright.acme.https_transport import HttpsTransport
from certwright.acme.identifier import Identifier
from certwright.acme.jws import SigningKey
from certwright.acme.transport import Response
from peers.pebble import Pebble, pebble

pytestmark = pytest.mark.e2e

SECONDS = 60.0
Start = Callable[..., AbstractContextManager[tuple[Pebble, AcmeClient]]]


class Counting:
    """Counts requests by method and first path segment, and passes them on."""

    def __init__(self, transport: HttpsTransport) -> None:
        self.counts = Counter[str]()
        self._transport = transport

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        self.counts[f"{method} {url.split('/')[3]}"] += 1
        return self._transport.request(method, url, headers=headers, body=body, timeout=timeout)


class Stop(Exception):
    """Ends a run, as a crash would."""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a Pebble with the given properties, and a registered client of it."""

    @contextmanager
    def started(**properties: Any) -> Iterator[tuple[Pebble, AcmeClient]]:
        with pebble(tmp_path, **properties) as ca, HttpsTransport("certwright/test", ca.ca_file) as transport:
            client = AcmeClient(transport, ca.directory_url, SigningKey.generate())
            account.register(client, agree_to_terms=True)
            yield ca, client

    return started


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture
def transport(ca: Pebble) -> Iterator[HttpsTransport]:
    with HttpsTransport("certwright/test", ca.ca_file) as made:
        yield made


@pytest.fixture
def newcomer(ca: Pebble, transport: HttpsTransport) -> AcmeClient:
    return AcmeClient(transport, ca.directory_url, SigningKey.generate())


@pytest.fixture
def client(newcomer: AcmeClient) -> AcmeClient:
    account.register(newcomer, contact=["mailto:admin@example.org"], agree_to_terms=True)
    return newcomer


def solve_by(ca: Pebble, kind: str) -> flow.Solve:
    ways: dict[str, tuple[Callable[[Answer], None], Callable[[Answer], None]]] = {
        "http-01": (
            lambda answer: ca.add_http01(answer.token, answer.key_authorization),
            lambda answer: ca.del_http01(answer.token),
        ),
        "dns-01": (
            lambda answer: ca.add_txt(answer.dns_name, answer.dns_value),
            lambda answer: ca.del_txt(answer.dns_name),
        ),
        "tls-alpn-01": (
            lambda answer: ca.add_tlsalpn01(answer.identifier.value, answer.key_authorization),
            lambda answer: ca.del_tlsalpn01(answer.identifier.value),
        ),
    }
    show, remove = ways[kind]

    @contextmanager
    def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        chosen = [answer for answer in answers if answer.type == kind]
        for answer in chosen:
            show(answer)
        try:
            yield chosen
        finally:
            for answer in chosen:
                remove(answer)

    return solve


def request(key: ec.EllipticCurvePrivateKey, *names: str) -> bytes:
    general: list[x509.GeneralName] = [
        x509.IPAddress(ip_address(name)) if name[0].isdecimal() else x509.DNSName(name) for name in names
    ]
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def obtain(
    ca: Pebble,
    client: AcmeClient,
    *names: str,
    by: str = "http-01",
    key: ec.EllipticCurvePrivateKey | None = None,
    **options: Any,
) -> Obtained:
    identifiers = [Identifier.ip(name) if name[0].isdecimal() else Identifier.dns(name) for name in names]
    csr = request(key or ec.generate_private_key(ec.SECP256R1()), *names)
    return flow.obtain(client, identifiers, csr, options.pop("solve", solve_by(ca, by)), seconds=SECONDS, **options)


def covered(chain: Chain) -> set[str]:
    names = chain.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def assert_leads_to(chain: Chain, root: x509.Certificate) -> None:
    links = [*chain.certificates, root]
    for issued, issuer in pairwise(links):
        issued.verify_directly_issued_by(issuer)


@pytest.mark.parametrize(
    "properties",
    [
        {"nonce_reject": 0},
        {"nonce_reject": 20},
        {"nonce_reject": 90},
        {"authz_reuse": 50},
        {"authz_reuse": 100},
        {"nonce_reject": 20, "authz_reuse": 50, "va_sleep": 2},
        {"chain_length": 3},
    ],
    ids=lambda properties: ",".join(f"{name}={value}" for name, value in properties.items()),
)
def test_every_temper_of_the_ca(start: Start, properties: dict[str, int]) -> None:
    names = ["example.org", "www.example.org", "mail.example.org"]
    with start(**properties) as (ca, client):
        for _ in range(3):
            chain = obtain(ca, client, *names).chain
            assert covered(chain) == set(names)
            assert len(chain.certificates) == 1 + properties.get("chain_length", 1)
            assert_leads_to(chain, x509.load_pem_x509_certificate(ca.root()))


def test_valid_authorizations_are_not_proved_again(start: Start) -> None:
    with start(authz_reuse=100) as (ca, client):
        obtain(ca, client, "example.org")
        told: dict[Step, str] = {}
        obtain(ca, client, "example.org", "www.example.org", on_step=told.__setitem__)
        assert told[Step.ANSWERED] == "www.example.org by http-01"


def test_alternate_chains_are_chosen_by_their_root(start: Start) -> None:
    with start(alternate_roots=2) as (ca, client):
        for index in range(3):
            root = x509.load_pem_x509_certificate(ca.root(index))
            [name] = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            obtained = obtain(ca, client, "example.org", preferred_chain=str(name.value))
            assert obtained.chain.ends_at(str(name.value))
            assert_leads_to(obtained.chain, root)
        default = x509.load_pem_x509_certificate(ca.root())
        assert_leads_to(obtain(ca, client, "example.org", preferred_chain="No such root").chain, default)


def test_external_account_binding(tmp_path: Path) -> None:
    secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    with (
        pebble(tmp_path, external_accounts={"kid-1": secret}) as ca,
        HttpsTransport("certwright/test", ca.ca_file) as transport,
    ):
        client = AcmeClient(transport, ca.directory_url, SigningKey.generate())
        assert client.directory().meta.external_account_required
        with pytest.raises(ServerProblem) as caught:
            account.register(client, agree_to_terms=True)
        assert caught.value.problem.type == problem.EXTERNAL_ACCOUNT_REQUIRED
        wrong = ExternalAccount("kid-1", b"w" * 48)
        with pytest.raises(ServerProblem):
            account.register(client, agree_to_terms=True, external_account=wrong)
        account.register(client, agree_to_terms=True, external_account=ExternalAccount.from_text("kid-1", secret))
        assert covered(obtain(ca, client, "example.org").chain) == {"example.org"}


def test_orders_in_parallel_share_one_client(start: Start) -> None:
    with start(nonce_reject=20) as (ca, client), ThreadPoolExecutor(4) as threads:
        names = [f"host{number}.example.org" for number in range(12)]
        chains = threads.map(lambda name: obtain(ca, client, name).chain, names)
        assert [covered(chain) for chain in chains] == [{name} for name in names]


def test_what_a_warm_order_costs(ca: Pebble, transport: HttpsTransport, client: AcmeClient) -> None:
    counting = Counting(transport)
    warm = AcmeClient(counting, ca.directory_url, client.account_key, client.account_url)
    obtain(ca, warm, "cold.example.org")
    assert counting.counts["GET dir"] == counting.counts["HEAD nonce-plz"] == 1
    counting.counts.clear()
    obtain(ca, warm, "warm.example.org")
    looks = counting.counts.pop("POST my-order")
    assert looks >= 2, "validation, then Pebble's asynchronous finalize"
    assert counting.counts == {
        "POST order-plz": 1,
        "POST authZ": 1,
        "POST chalZ": 1,
        "POST finalize-order": 1,
        "POST certZ": 1,
    }


@pytest.mark.parametrize("kind", ["http-01", "dns-01", "tls-alpn-01"])
def test_each_challenge(ca: Pebble, client: AcmeClient, kind: str) -> None:
    names = [f"a.{kind}.example.org", f"b.{kind}.example.org"]
    assert covered(obtain(ca, client, *names, by=kind).chain) == set(names)


def test_a_wildcard_beside_its_base_name(ca: Pebble, client: AcmeClient) -> None:
    names = ["wild.example.org", "*.wild.example.org"]
    assert covered(obtain(ca, client, *names, by="dns-01").chain) == set(names)


def test_an_address(ca: Pebble, client: AcmeClient) -> None:
    assert covered(obtain(ca, client, "127.0.0.1").chain) == {"127.0.0.1"}


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256"])
def test_each_account_key_that_pebble_takes(ca: Pebble, transport: HttpsTransport, algorithm: str) -> None:
    client = AcmeClient(transport, ca.directory_url, SigningKey.generate(algorithm))
    account.register(client, agree_to_terms=True)
    assert obtain(ca, client, "key.example.org").order.status == "valid"


def test_a_failed_order_gives_the_cas_words_and_the_identifier(ca: Pebble, client: AcmeClient) -> None:
    @contextmanager
    def wrong_for_one(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        chosen = [answer for answer in answers if answer.type == "http-01"]
        for answer in chosen:
            good = answer.identifier.value == "good.example.org"
            ca.add_http01(answer.token, answer.key_authorization if good else "something else")
        yield chosen

    with pytest.raises(OrderInvalid) as caught:
        obtain(ca, client, "good.example.org", "bad.example.org", solve=wrong_for_one)
    [failure] = caught.value.failures
    assert failure.identifier == Identifier.dns("bad.example.org")
    assert failure.challenge == "http-01"
    assert failure.problem.type in {problem.UNAUTHORIZED, problem.INCORRECT_RESPONSE}
    assert "something else" in failure.problem.detail
    assert str(caught.value).startswith("bad.example.org (http-01): ")


def test_a_refused_order_gives_the_cas_words(ca: Pebble, client: AcmeClient) -> None:
    with pytest.raises(ServerProblem) as caught:
        obtain(ca, client, "under_score.example.org")
    assert caught.value.problem.type in {problem.MALFORMED, problem.REJECTED_IDENTIFIER}
    assert "illegal character: '_'" in str(caught.value)


@pytest.mark.parametrize(
    "last", [Step.ORDERED, Step.AUTHORIZATIONS_READ, Step.ANSWERED, Step.VALIDATED, Step.FINALIZED]
)
def test_a_run_that_stopped_after_any_step_goes_on(
    ca: Pebble, transport: HttpsTransport, client: AcmeClient, last: Step
) -> None:
    name = f"{last.name.lower().replace('_', '-')}.example.org"
    key = ec.generate_private_key(ec.SECP256R1())
    orders: list[str] = []

    @contextmanager
    def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        """Leaves the answers where they are, as a killed process does."""
        chosen = [answer for answer in answers if answer.type == "http-01"]
        for answer in chosen:
            ca.add_http01(answer.token, answer.key_authorization)
        yield chosen

    def until(step: Step, _: str) -> None:
        if step is last:
            raise Stop

    with pytest.raises(Stop):
        obtain(ca, client, name, key=key, solve=solve, on_order=orders.append, on_step=until)
    counting = Counting(transport)
    again = AcmeClient(counting, ca.directory_url, client.account_key, client.account_url)
    obtained = obtain(ca, again, name, key=key, solve=solve, order_url=orders[0])
    assert obtained.chain.leaf.public_key() == key.public_key()
    assert counting.counts["POST order-plz"] == 0
    assert counting.counts["POST finalize-order"] == (0 if last is Step.FINALIZED else 1)

    finished = AcmeClient(counting, ca.directory_url, client.account_key, client.account_url)
    assert obtain(ca, finished, name, key=key, order_url=orders[0]).chain == obtained.chain


def test_the_account_is_found_by_its_key(ca: Pebble, transport: HttpsTransport, client: AcmeClient) -> None:
    again = AcmeClient(transport, ca.directory_url, client.account_key)
    found = account.find(again)
    assert found is not None
    assert found.url == client.account_url
    assert account.find(AcmeClient(transport, ca.directory_url, SigningKey.generate())) is None


def test_the_contact_is_changed(client: AcmeClient) -> None:
    assert account.update_contact(client, ["mailto:else@example.org"]).contact == ("mailto:else@example.org",)


def test_the_terms_must_be_agreed_to(newcomer: AcmeClient) -> None:
    with pytest.raises(ServerProblem, match="terms"):
        account.register(newcomer, agree_to_terms=False)


def test_the_key_is_rolled_over(ca: Pebble, transport: HttpsTransport, client: AcmeClient) -> None:
    old, new = client.account_key, SigningKey.generate("RS256")
    account.roll_over_key(client, new)
    assert covered(obtain(ca, client, "rolled.example.org").chain) == {"rolled.example.org"}
    former = AcmeClient(transport, ca.directory_url, old, client.account_url)
    with pytest.raises(ServerProblem):
        account.update_contact(former, [])


def test_a_key_of_another_account_is_not_rolled_over_to(
    ca: Pebble, transport: HttpsTransport, client: AcmeClient
) -> None:
    other = AcmeClient(transport, ca.directory_url, SigningKey.generate())
    account.register(other, agree_to_terms=True)
    with pytest.raises(ServerProblem):
        account.roll_over_key(client, other.account_key, client.deadline(2))  # an HTTP 500, so asked again
    account.update_contact(client, ["mailto:still@example.org"])


def test_the_account_is_deactivated(ca: Pebble, client: AcmeClient) -> None:
    assert account.deactivate(client).status == "deactivated"
    with pytest.raises(ServerProblem):
        obtain(ca, client, "late.example.org")


def test_a_certificate_is_revoked_by_its_account(ca: Pebble, client: AcmeClient) -> None:
    leaf = obtain(ca, client, "revoked.example.org").chain.leaf
    der = leaf.public_bytes(Encoding.DER)
    assert ca.certificate_status(leaf.serial_number)["Status"] == "Valid"
    assert certificate.revoke(client, der, RevocationReason.SUPERSEDED)
    status = ca.certificate_status(leaf.serial_number)
    assert (status["Status"], status["Reason"]) == ("Revoked", 4)
    assert not certificate.revoke(client, der)


def test_a_certificate_is_revoked_by_its_own_key(ca: Pebble, transport: HttpsTransport, client: AcmeClient) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = obtain(ca, client, "lost.example.org", key=key).chain.leaf
    stranger = AcmeClient(transport, ca.directory_url, SigningKey.generate())
    der = leaf.public_bytes(Encoding.DER)
    with pytest.raises(ServerProblem):
        certificate.revoke(stranger, der, RevocationReason.KEY_COMPROMISE, key=SigningKey.generate())
    assert certificate.revoke(stranger, der, RevocationReason.KEY_COMPROMISE, key=SigningKey(key))
    assert ca.certificate_status(leaf.serial_number)["Reason"] == 1


def test_a_ca_that_is_not_trusted_gets_nothing(ca: Pebble) -> None:
    with HttpsTransport("certwright/test") as transport:
        client = AcmeClient(transport, ca.directory_url, SigningKey.generate())
        with pytest.raises(TLSFailed, match="not trusted"):
            account.register(client, agree_to_terms=True)
