"""Our own client against our own server: they share no code, only the RFCs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.acme import account, certificate, flow, renewal_info
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.errors import (
    CertificateMismatch,
    OrderInvalid,
    RateLimited,
    ServerProblem,
)
from certwright.acme.https_transport import HttpsTransport
from certwright.acme.identifier import Identifier
from certwright.acme.jws import SigningKey
from certwright.acme_server import AcmeServer, AcmeServerConfig, CaConfig, Endpoint, KeyType
from peers.acme_server import challenge_responder, dns_server, loopback_config

pytestmark = pytest.mark.e2e
NAMES = ("mail.contoso.test", "autodiscover.contoso.test")


@dataclass(frozen=True, slots=True)
class World:
    server: AcmeServer
    client: AcmeClient
    tokens: dict[str, str]

    @contextmanager
    def solve(self, answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        """By http-01, on a web server."""
        chosen = [answer for answer in answers if answer.type == "http-01"]
        self.tokens.update((answer.token, answer.key_authorization) for answer in chosen)
        yield chosen

    def obtain(self, *names: str, request: bytes | None = None, **options: object) -> flow.Obtained:
        identifiers = [Identifier.dns(name) for name in names]
        return flow.obtain(self.client, identifiers, request or csr(*names), self.solve, **options)  # type: ignore[arg-type]


@contextmanager
def world(config: AcmeServerConfig | None = None, algorithm: str = "ES256") -> Iterator[World]:
    config = loopback_config(config)
    with (
        challenge_responder(config.validation.http_port) as tokens,
        AcmeServer(config) as server,
        HttpsTransport("certwright-tests", server.ca_file) as transport,
    ):
        client = AcmeClient(transport, server.directory_url, SigningKey.generate(algorithm))
        account.register(client, contact=["mailto:admin@contoso.test"], agree_to_terms=True)
        yield World(server, client, tokens)


def csr(*names: str) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    key = ec.generate_private_key(ec.SECP256R1())
    request = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.DER)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256", "EdDSA"])
def test_a_certificate_is_obtained_whatever_key_the_account_has(algorithm: str) -> None:
    with world(algorithm=algorithm) as here:
        obtained = here.obtain(*NAMES)
        (issued,) = here.server.issued
    assert obtained.chain.certificates == issued.chains[0]
    assert obtained.order.url == issued.order_url


def test_an_order_costs_no_more_requests_than_it_must() -> None:
    with world() as here:
        here.obtain(NAMES[0])
        before = here.server.requests
        here.obtain(NAMES[0])
        spent = here.server.requests - before
    polls = spent.pop(Endpoint.ORDER)
    assert polls >= 1
    steps = (Endpoint.NEW_ORDER, Endpoint.AUTHORIZATION, Endpoint.CHALLENGE, Endpoint.FINALIZE, Endpoint.CERTIFICATE)
    assert spent == dict.fromkeys(steps, 1)


@pytest.mark.parametrize("percent", [20, 90])
def test_refused_nonces_cost_nothing_but_time(percent: int) -> None:
    with world(AcmeServerConfig(nonce_rejection_percent=percent)) as here:
        here.obtain(*NAMES)
        assert len(here.server.issued) == 1


def test_an_account_lives_its_life() -> None:
    keys = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
    with world(AcmeServerConfig(external_account_keys=keys)) as here:
        fresh = AcmeClient(here.client._transport, here.server.directory_url, SigningKey.generate("EdDSA"))
        bound = account.ExternalAccount.from_text("kid-1", keys["kid-1"])
        made = account.register(fresh, agree_to_terms=True, external_account=bound)
        assert account.find(fresh) == made
        assert account.update_contact(fresh, ["mailto:new@contoso.test"]).contact == ("mailto:new@contoso.test",)
        account.roll_over_key(fresh, SigningKey.generate("RS256"))
        with pytest.raises(ServerProblem) as taken:
            account.roll_over_key(fresh, here.client.account_key)
        assert taken.value.problem.status == 409
        found = account.find(fresh)
        assert found is not None
        assert found.url == made.url
        assert account.deactivate(fresh).status == "deactivated"
        with pytest.raises(ServerProblem, match="deactivated"):
            account.update_contact(fresh, [])


def test_profiles_are_chosen() -> None:
    with world() as here:
        for profile, subject in (("classic", [NAMES[0]]), ("tlsserver", [])):
            obtained = here.obtain(*NAMES, profile=profile)
            names = obtained.chain.leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            assert [name.value for name in names] == subject
        assert [issued.profile for issued in here.server.issued] == ["classic", "tlsserver"]


def test_a_renewal_names_its_predecessor_once() -> None:
    with world() as here:
        first = here.obtain(*NAMES).chain.leaf
        predecessor = renewal_info.certificate_id(first)
        here.obtain(*NAMES, replaces=predecessor)
        refused: list[str] = []
        here.obtain(*NAMES, replaces=predecessor, on_step=lambda step, detail: refused.append(f"{step}: {detail}"))
        assert [issued.replaces for issued in here.server.issued] == [None, predecessor, None]
        assert here.server.issued[0].certificate_id == predecessor
        assert [step for step in refused if step.startswith("replaces refused") and "Another order" in step]


def test_the_renewal_window_moves() -> None:
    with world(AcmeServerConfig(renewal_info_retry_after=3600)) as here:
        leaf = here.obtain(*NAMES).chain.leaf
        advice = renewal_info.fetch(here.client, renewal_info.certificate_id(leaf))
        assert advice is not None
        assert leaf.not_valid_before_utc < advice.start < advice.end < leaf.not_valid_after_utc
        assert (advice.explanation_url, advice.retry_after) == (None, 3600)
        past = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        here.server.set_renewal_window(leaf, past, past + timedelta(hours=1), "https://ca.contoso.test/incident")
        advice = renewal_info.fetch(here.client, renewal_info.certificate_id(leaf))
        assert advice is not None
        assert (advice.start, advice.explanation_url) == (past, "https://ca.contoso.test/incident")


@pytest.mark.parametrize(
    ("wanted", "root", "requests"), [("Root 1", 0, 0), ("Root 2", 1, 1), ("E1", 0, 1), ("Nobody", 0, 1)]
)
def test_the_chain_is_chosen_by_the_name_of_an_issuer(wanted: str, root: int, requests: int) -> None:
    with world(AcmeServerConfig(ca=CaConfig(alternate_root=True))) as here:
        chain = here.obtain(*NAMES, preferred_chain=f"Certwright Test CA {wanted}").chain
        chain.certificates[-1].verify_directly_issued_by(here.server.ca.roots[root])
        assert here.server.requests[Endpoint.ALTERNATE] == requests


def test_issuers_change_from_one_certificate_to_the_next() -> None:
    with world(AcmeServerConfig(ca=CaConfig(intermediate_keys=(KeyType.ECDSA_P256, KeyType.ECDSA_P384)))) as here:
        issuers = [here.obtain(NAMES[0]).chain.leaf.issuer for _ in range(3)]
    assert issuers[0] == issuers[2] != issuers[1]


@pytest.mark.parametrize("retry_after", [0, 1])
def test_an_asynchronous_order_is_waited_for(retry_after: int) -> None:
    with world(AcmeServerConfig(finalize_delay=0.3, retry_after=retry_after)) as here:
        here.obtain(*NAMES)
        assert len(here.server.issued) == 1


def test_valid_authorizations_are_not_proved_again() -> None:
    with world(AcmeServerConfig(reuse_authorizations=True)) as here:
        here.obtain(*NAMES)
        here.obtain(*NAMES)
        assert here.server.requests[Endpoint.CHALLENGE] == 2


@pytest.mark.parametrize(
    "endpoint", ["newAccount", "newOrder", "authorization", "challenge", "finalize", "certificate"]
)
def test_a_lost_answer_is_made_good_and_no_second_certificate_issued(endpoint: str) -> None:
    with world() as here:
        here.server.faults.drop_next(endpoint)
        account.register(here.client, agree_to_terms=True)
        here.obtain(*NAMES)
        assert len(here.server.issued) == 1


def test_a_finalized_order_is_resumed_by_its_url_after_the_answer_was_lost() -> None:
    with world() as here:
        request, urls = csr(*NAMES), list[str]()
        here.server.faults.drop_next("finalize")
        here.server.faults.http_error_next("order", 503, retry_after=600, count=100)
        with pytest.raises(ServerProblem, match="503"):
            here.obtain(*NAMES, request=request, on_order=urls.append, seconds=5)
        here.server.faults.clear()
        obtained = here.obtain(*NAMES, request=request, order_url=urls[0])
        assert [issued.certificate for issued in here.server.issued] == [obtained.chain.leaf]
        with pytest.raises(CertificateMismatch):
            here.obtain(*NAMES, order_url=urls[0])


def test_an_order_is_resumed_at_a_server_that_was_started_anew() -> None:
    with world() as here:
        request, urls = csr(*NAMES), list[str]()
        here.server.faults.http_error_next("finalize", 503, retry_after=600)
        with pytest.raises(ServerProblem):
            here.obtain(*NAMES, request=request, on_order=urls.append, seconds=5)
        here.server.close()
        port = int(here.server.directory_url.split(":")[2].split("/")[0])
        config = replace(here.server._context.config, port=port)
        with AcmeServer(config, ca=here.server.ca, state=here.server.state) as again:
            obtained = here.obtain(*NAMES, request=request, order_url=urls[0])
            assert [issued.certificate for issued in again.issued] == [obtained.chain.leaf]


def test_a_server_in_trouble_is_asked_again_when_it_says() -> None:
    with world() as here:
        here.server.faults.http_error_next("newOrder", 503, retry_after=1)
        here.server.faults.problem_next("finalize", "serverInternal", "Database is locked.")
        here.obtain(*NAMES)
        assert here.server.requests[Endpoint.NEW_ORDER] == 2


def test_a_rate_limit_is_told_with_the_servers_words_and_the_time() -> None:
    with world() as here:
        here.server.faults.problem_next("newOrder", detail="Too many certificates for contoso.test.", retry_after=7200)
        with pytest.raises(RateLimited, match=r"Too many certificates for contoso\.test") as limited:
            here.obtain(*NAMES, seconds=30)
        assert limited.value.retry_after == 7200


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda here: here.tokens.clear(), "HTTP status 404"),
        (lambda here: here.tokens.update(dict.fromkeys(here.tokens, "wrong")), "got 'wrong'"),
    ],
)
def test_a_failed_validation_is_told_with_the_servers_words(break_it: Callable[[World], None], words: str) -> None:
    with world() as here:

        @contextmanager
        def badly(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
            with here.solve(answers) as chosen:
                break_it(here)
                yield chosen

        with pytest.raises(OrderInvalid) as failed:
            flow.obtain(here.client, [Identifier.dns(name) for name in NAMES], csr(*NAMES), badly)
    assert words in str(failed.value)
    assert {failure.identifier.value for failure in failed.value.failures} <= set(NAMES)


def test_refused_identifiers_are_all_told() -> None:
    with world(AcmeServerConfig(forbidden_domains=("contoso.test",))) as here:
        with pytest.raises(ServerProblem) as refused:
            here.obtain(*NAMES)
        assert {str(each.identifier) for each in refused.value.problem.subproblems} == set(NAMES)


def test_wildcards_and_plain_names_are_proved_by_dns_01_together() -> None:
    with dns_server() as (resolver, records):
        config = loopback_config()
        config = replace(config, validation=replace(config.validation, resolver=resolver))
        with AcmeServer(config) as server, HttpsTransport("certwright-tests", server.ca_file) as transport:
            client = AcmeClient(transport, server.directory_url, SigningKey.generate())
            account.register(client, agree_to_terms=True)

            @contextmanager
            def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
                chosen = [answer for answer in answers if answer.type == "dns-01"]
                for answer in chosen:
                    records.setdefault((answer.dns_name, "TXT"), []).append(f'"{answer.dns_value}"')
                yield chosen

            names = ("*.contoso.test", "contoso.test")
            flow.obtain(client, [Identifier.dns(name) for name in names], csr(*names), solve)
            assert [identifier.value for identifier in server.issued[0].identifiers] == list(names)


def test_revocation_is_by_the_account_and_only_once() -> None:
    with world() as here:
        leaf = here.obtain(*NAMES).chain.leaf.public_bytes(Encoding.DER)
        assert certificate.revoke(here.client, leaf, certificate.RevocationReason.SUPERSEDED)
        assert not certificate.revoke(here.client, leaf)
        (issued,) = here.server.issued
        assert issued.revocation is not None
        assert issued.revocation.reason == 4
