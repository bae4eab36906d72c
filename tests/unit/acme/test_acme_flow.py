from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certwright.acme import authorization, challenge, flow, order
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.errors import (
    CertificateMismatch,
    ChallengeNotAnswered,
    ConnectionFailed,
    DeadlineExceeded,
    OrderInvalid,
    ProfileNotOffered,
    RateLimited,
    ServerProblem,
    UnexpectedAnswer,
)
from certwright.acme.flow import Obtained, Step
from certwright.acme.identifier import Identifier
from unit.acme import memory_pki
from unit.acme.memory_ca import BASE, Lost, MemoryCA, Refused, answer

NAME = "www.example.org"
KEY = ec.generate_private_key(ec.SECP256R1())
ORDER = f"{BASE}/order/1"

WARM = [
    "POST new-order",
    "POST authorization",
    "POST challenge",
    "POST order",
    "POST finalize",
    "POST certificate",
]


class Stop(Exception):
    """Ends a run, as a crash would."""


def obtain(ca: MemoryCA, client: AcmeClient, *names: str, **options: object) -> Obtained:
    wanted = names or (NAME,)
    identifiers = [Identifier.dns(name) for name in wanted]
    csr = memory_pki.request(*wanted, key=KEY)
    return flow.obtain(client, identifiers, csr, options.pop("solve", ca.solve), **options)  # type: ignore[arg-type]


def stop(*_: object) -> None:
    raise Stop


@contextmanager
def silent(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
    """A solver that claims to have answered and has not."""
    yield [each for each in answers if each.type == "http-01"]


# -- what an order costs


def test_a_warm_order_for_one_name_costs_six_requests(ca: MemoryCA, client: AcmeClient) -> None:
    obtained = obtain(ca, client)
    assert ca.requests == WARM
    assert obtained.order.status == "valid"
    assert obtained.chain.leaf.public_key() == KEY.public_key()
    assert ca.shown == {}


def test_an_asynchronous_finalize_costs_one_more(ca: MemoryCA, client: AcmeClient) -> None:
    ca.issuance_looks = 1
    obtain(ca, client)
    assert ca.requests == [*WARM[:5], "POST order", "POST certificate"]


def test_a_cold_order_costs_directory_and_nonce_more(ca: MemoryCA, client: AcmeClient) -> None:
    cold = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    obtain(ca, cold)
    assert ca.requests == ["GET directory", "HEAD new-nonce", *WARM]


def test_each_further_name_costs_an_authorization_and_a_challenge(ca: MemoryCA, client: AcmeClient) -> None:
    names = [f"host{number}.example.org" for number in range(20)]
    obtain(ca, client, *names)
    assert ca.counted("POST authorization") == ca.counted("POST challenge") == 20
    assert ca.counted("POST order") == 1
    assert ca.counted("HEAD new-nonce") <= 7  # requests in parallel need a nonce each: 8 threads


def test_valid_authorizations_are_reused(ca: MemoryCA, client: AcmeClient) -> None:
    ca.reuse = {NAME}
    obtain(ca, client, NAME, "mail.example.org")
    assert ca.counted("POST challenge") == 1


def test_an_order_that_needs_no_proof_is_finalized_at_once(ca: MemoryCA, client: AcmeClient) -> None:
    ca.reuse = {NAME}
    obtain(ca, client, solve=stop)
    assert ca.requests == ["POST new-order", "POST finalize", "POST certificate"]


# -- waiting


def test_the_order_is_looked_at_soon_and_then_less_often(ca: MemoryCA, client: AcmeClient) -> None:
    ca.validation_looks = 20
    obtain(ca, client)
    waits = ca.time.slept
    assert waits[0] == 0.01
    assert waits == sorted(waits)
    assert waits[-1] == 5


def test_retry_after_is_obeyed(ca: MemoryCA, client: AcmeClient) -> None:
    ca.validation_looks, ca.issuance_looks, ca.retry_after = 2, 2, "3"
    obtain(ca, client)
    assert ca.time.slept == [3, 3, 3, 3, 3]


def test_a_retry_after_of_zero_does_not_make_it_spin(ca: MemoryCA, client: AcmeClient) -> None:
    ca.validation_looks, ca.retry_after = 5, "0"
    obtain(ca, client)
    assert ca.time.slept == sorted(ca.time.slept)
    assert ca.time.slept[0] == 0.01


def test_a_validation_that_never_ends_meets_the_deadline(ca: MemoryCA, client: AcmeClient) -> None:
    ca.validation_looks = 1_000_000
    begun = ca.time.now
    with pytest.raises(DeadlineExceeded, match=r"'pending'; it can be resumed"):
        obtain(ca, client, seconds=90)
    assert ca.time.now - begun <= 90
    assert ca.shown == {}, "cleaned up"


def test_a_pause_beyond_the_deadline_is_told_at_once(ca: MemoryCA, client: AcmeClient) -> None:
    ca.retry_after = "7200"
    with pytest.raises(DeadlineExceeded, match="asks to be asked again in 7200 s"):
        obtain(ca, client)
    assert ca.time.slept == []


# -- what the caller is told, and when


def test_the_order_is_handed_out_before_anything_else_happens(ca: MemoryCA, client: AcmeClient) -> None:
    with pytest.raises(Stop):
        obtain(ca, client, on_order=stop)
    assert ca.requests == ["POST new-order"]


def test_the_steps(ca: MemoryCA, client: AcmeClient) -> None:
    ca.reuse = {"mail.example.org"}
    told: list[tuple[Step, str]] = []
    urls: list[str] = []
    obtain(
        ca,
        client,
        NAME,
        "mail.example.org",
        on_step=lambda *step: told.append(step),
        on_order=urls.append,
    )
    assert urls == [ORDER]
    assert told == [
        (Step.ORDERED, ORDER),
        (Step.AUTHORIZATIONS_READ, "1 of 2 still to be proved"),
        (Step.ANSWERED, f"{NAME} by http-01"),
        (Step.VALIDATED, f"{NAME} by http-01"),
        (Step.FINALIZED, f"{ORDER} is valid"),
        (Step.DOWNLOADED, "issued by CN=Intermediate 1, valid until 2026-04-01 00:00 UTC"),
    ]


def test_the_solver_sees_every_challenge_of_every_name_at_once(ca: MemoryCA, client: AcmeClient) -> None:
    seen: list[Answer] = []

    @contextmanager
    def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        seen.extend(answers)
        by_dns = [each for each in answers if each.type == "dns-01"]
        ca.shown |= {each.token: each.key_authorization for each in by_dns}
        yield by_dns

    obtain(ca, client, "example.org", "*.example.org", solve=solve)
    kinds = [(each.identifier.value, each.wildcard, each.type) for each in seen]
    assert kinds == [
        ("example.org", False, "http-01"),
        ("example.org", False, "dns-01"),
        ("example.org", False, "tls-alpn-01"),
        ("example.org", True, "dns-01"),
    ]
    assert seen[3].dns_name == "_acme-challenge.example.org"
    assert seen[1].dns_value != seen[3].dns_value
    assert ca.authorizations[f"{BASE}/authorization/token-2"].wildcard


def test_a_name_that_the_solver_leaves_out_is_told(ca: MemoryCA, client: AcmeClient) -> None:
    with pytest.raises(ChallengeNotAnswered, match=r"example\.org was answered; it offers: dns-01, sometime-01"):
        obtain(ca, client, NAME, "*.example.org")
    assert ca.counted("POST challenge") == 0
    assert ca.shown == {}


def test_a_solver_that_fails_fails_the_run_before_the_ca_is_told(ca: MemoryCA, client: AcmeClient) -> None:
    with pytest.raises(Stop):
        obtain(ca, client, solve=stop)
    assert ca.requests[-1] == "POST authorization"


# -- failure


def test_a_failed_validation_gives_the_cas_words_for_each_identifier(ca: MemoryCA, client: AcmeClient) -> None:
    ca.reuse = {"mail.example.org"}
    with pytest.raises(OrderInvalid) as caught:
        obtain(ca, client, NAME, "mail.example.org", "ftp.example.org", solve=silent)
    assert caught.value.order_url == ORDER
    assert {failure.identifier.value: failure.problem.name for failure in caught.value.failures} == {
        NAME: "incorrectResponse",
        "ftp.example.org": "incorrectResponse",
    }
    assert f"{NAME} (http-01): found None [incorrectResponse]" in str(caught.value)


def test_an_order_that_fails_by_itself_gives_its_own_error(ca: MemoryCA, client: AcmeClient) -> None:
    made = order.create(client, [Identifier.dns(NAME)])
    problem = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA record forbids it"}
    document = {"status": "invalid", "authorizations": [], "finalize": f"{BASE}/finalize/1", "error": problem}
    ca.faults["order"] = [answer(200, document)]
    with pytest.raises(OrderInvalid, match=r"CAA record forbids it \[caa\]"):
        obtain(ca, client, order_url=made.url)


def test_an_order_that_fails_without_a_word(ca: MemoryCA, client: AcmeClient) -> None:
    document = {"status": "invalid", "authorizations": [f"{BASE}/authorization/x"], "finalize": BASE}
    ca.faults["order"] = [answer(200, document)]
    ca.faults["authorization"] = [Refused(404, "malformed").response]
    with pytest.raises(OrderInvalid, match="gave no reason"):
        obtain(ca, client, order_url=ORDER)


def test_an_expired_authorization_is_named(ca: MemoryCA, client: AcmeClient) -> None:
    made = order.create(client, [Identifier.dns(NAME)])
    ca.authorizations[made.authorizations[0]].status = "expired"
    ca.orders[made.url].status = "invalid"
    with pytest.raises(OrderInvalid, match=rf"{NAME}: the authorization is expired"):
        obtain(ca, client, order_url=made.url)


def test_a_refused_csr_is_told(ca: MemoryCA, client: AcmeClient) -> None:
    other = memory_pki.request("other.example.org")
    with pytest.raises(ServerProblem, match="other names than ordered"):
        flow.obtain(client, [Identifier.dns(NAME)], other, ca.solve)


def test_a_refused_challenge_is_told(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["challenge"] = [Refused(403, "unauthorized", "not yours").response]
    with pytest.raises(ServerProblem, match="not yours"):
        obtain(ca, client)


def test_an_order_that_is_valid_without_a_certificate(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["order"] = [answer(200, {"status": "valid", "authorizations": [], "finalize": BASE})]
    with pytest.raises(UnexpectedAnswer, match="valid but has no certificate"):
        obtain(ca, client, order_url=ORDER)


# -- resuming


@pytest.mark.parametrize(
    "last", [Step.ORDERED, Step.AUTHORIZATIONS_READ, Step.ANSWERED, Step.VALIDATED, Step.FINALIZED]
)
@pytest.mark.parametrize("issuance_looks", [0, 2])
def test_a_run_that_stopped_after_any_step_goes_on(
    ca: MemoryCA, client: AcmeClient, last: Step, issuance_looks: int
) -> None:
    def until(step: Step, _: str) -> None:
        if step is last:
            raise Stop

    ca.validation_looks, ca.issuance_looks = 1, issuance_looks
    with pytest.raises(Stop):
        obtain(ca, client, on_step=until)
    again = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    obtained = obtain(ca, again, order_url=ORDER)
    assert obtained.chain.leaf.public_key() == KEY.public_key()
    assert list(ca.orders) == [ORDER]
    assert ca.counted("POST challenge") == 1
    assert ca.counted("POST finalize") == 1


def test_a_finished_order_is_downloaded_again(ca: MemoryCA, client: AcmeClient) -> None:
    first = obtain(ca, client)
    ca.requests.clear()
    assert obtain(ca, client, order_url=ORDER).chain == first.chain
    assert ca.requests == ["POST order", "POST certificate"]


def test_an_order_with_another_csr_cannot_be_resumed(ca: MemoryCA, client: AcmeClient) -> None:
    obtain(ca, client)
    with pytest.raises(CertificateMismatch, match=ORDER):
        flow.obtain(client, [Identifier.dns(NAME)], memory_pki.request(NAME), ca.solve, order_url=ORDER)


def test_a_certificate_for_another_key_is_not_taken(ca: MemoryCA, client: AcmeClient) -> None:
    ca.deaf_to_csr = True
    with pytest.raises(CertificateMismatch):
        obtain(ca, client)


def test_an_order_that_the_ca_forgot_is_told(ca: MemoryCA, client: AcmeClient) -> None:
    with pytest.raises(ServerProblem) as caught:
        obtain(ca, client, order_url=f"{BASE}/order/99")
    assert caught.value.problem.status == 404


@pytest.mark.parametrize("segment", ["new-order", "authorization", "challenge", "order", "finalize", "certificate"])
def test_any_answer_may_be_lost(ca: MemoryCA, client: AcmeClient, segment: str) -> None:
    ca.faults[segment] = [Lost()]
    assert obtain(ca, client).order.status == "valid"
    assert ca.faults[segment] == []


@pytest.mark.parametrize("segment", ["new-order", "authorization", "challenge", "order", "finalize", "certificate"])
def test_a_connection_that_stays_broken_ends_the_run_in_time(ca: MemoryCA, client: AcmeClient, segment: str) -> None:
    ca.faults[segment] = [ConnectionFailed(BASE, "refused")] * 1000
    begun = ca.time.now
    with pytest.raises(ConnectionFailed):
        obtain(ca, client, seconds=60)
    assert ca.time.now - begun <= 60
    assert ca.shown == {}


def test_nine_nonces_out_of_ten_rejected(ca: MemoryCA, client: AcmeClient) -> None:
    ca.reject_nonces = 55
    obtain(ca, client)
    assert len(ca.requests) == len(WARM) + 55


# -- options


def test_a_renewal_names_its_predecessor(ca: MemoryCA, client: AcmeClient) -> None:
    ca.renewal = answer(200, {})
    fresh = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    obtain(ca, fresh, replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
    assert ca.orders[ORDER].asked["replaces"] == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_a_ca_without_ari_is_not_told_of_the_predecessor(ca: MemoryCA, client: AcmeClient) -> None:
    obtain(ca, client, replaces="aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
    assert "replaces" not in ca.orders[ORDER].asked


@pytest.mark.parametrize("kind", ["alreadyReplaced", "malformed", "unauthorized", "conflict"])
def test_a_refused_predecessor_does_not_stop_the_renewal(ca: MemoryCA, client: AcmeClient, kind: str) -> None:
    ca.renewal, ca.refuse_replaces = answer(200, {}), kind
    fresh = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    told: list[tuple[Step, str]] = []
    obtain(ca, fresh, replaces="a.b", on_step=lambda *step: told.append(step))
    assert "replaces" not in ca.orders[ORDER].asked
    assert told[0] == (Step.REPLACES_REFUSED, f"that certificate was replaced [{kind}]")
    assert ca.counted("POST new-order") == 2


def test_another_refusal_is_not_tried_without_the_predecessor(ca: MemoryCA, client: AcmeClient) -> None:
    ca.renewal, ca.refuse_replaces = answer(200, {}), "rateLimited"
    fresh = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    with pytest.raises(RateLimited):
        obtain(ca, fresh, replaces="a.b")
    assert ca.counted("POST new-order") == 1


def test_a_profile_that_the_ca_lists_is_asked_for(ca: MemoryCA, newcomer: AcmeClient, client: AcmeClient) -> None:
    ca.meta = {"profiles": {"classic": "https://ca.test/docs#classic"}}
    fresh = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    obtain(ca, fresh, profile="classic")
    assert ca.orders[ORDER].asked["profile"] == "classic"


def test_a_profile_that_the_ca_does_not_list_is_not_ordered(ca: MemoryCA, client: AcmeClient) -> None:
    ca.meta = {"profiles": {"classic": "", "tlsserver": ""}}
    fresh = AcmeClient(ca, client.directory_url, client.account_key, client.account_url, clock=ca.time.clock())
    with pytest.raises(ProfileNotOffered, match="'shortlived'; it offers: classic, tlsserver"):
        obtain(ca, fresh, profile="shortlived")
    assert ca.orders == {}


def test_the_end_of_validity_can_be_asked_for(ca: MemoryCA, client: AcmeClient) -> None:
    obtain(ca, client, not_after=datetime(2026, 12, 1, 12, tzinfo=UTC))
    assert ca.orders[ORDER].asked["notAfter"] == "2026-12-01T12:00:00Z"


def test_the_preferred_chain_is_taken(ca: MemoryCA, client: AcmeClient) -> None:
    assert obtain(ca, client, preferred_chain="Root 2").chain.ends_at("Root 2")


def test_addresses_are_identifiers_too(ca: MemoryCA, client: AcmeClient) -> None:
    made = order.create(client, [Identifier.ip("2001:db8::1"), Identifier.ip("192.0.2.1")])
    assert made.identifiers == (Identifier("ip", "2001:db8::1"), Identifier("ip", "192.0.2.1"))


def test_what_has_to_be_shown_for_each_type(client: AcmeClient) -> None:
    """RFC 8555 sections 8.3 and 8.4, RFC 8737 section 3; the digest computed by sha256sum."""
    made = order.create(client, [Identifier.dns(NAME)])
    found = authorization.fetch(client, made.authorizations[0])
    [http, dns, alpn] = found.answers("9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI", "https://ca.test/account/1")
    assert http.key_authorization == "token-1.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
    assert http.http_path == "/.well-known/acme-challenge/token-1"
    assert dns.dns_value == "LfoX13Pd8PnddWDGInoJgiDx5J2OPsw6EnfWKN1-YL4"
    assert alpn.digest.hex() == "2dfa17d773ddf0f9dd7560c6227a098220f1e49d8e3ecc3a1277d628dd7e60be"
    challenge.respond(client, http.challenge)
    assert authorization.fetch(client, made.authorizations[0]).challenges[0].status == "processing"
