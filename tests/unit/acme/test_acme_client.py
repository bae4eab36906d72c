import logging

import pytest

from certwright.acme import account, order
from certwright.acme.client import AcmeClient
from certwright.acme.directory import LIFETIME
from certwright.acme.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    NoAccount,
    RateLimited,
    ServerProblem,
    TimedOut,
    TLSFailed,
    UnexpectedAnswer,
)
from certwright.acme.identifier import Identifier
from certwright.acme.jws import SigningKey
from unit.acme.memory_ca import BASE, DIRECTORY, Lost, MemoryCA, Refused, answer

NAMES = [Identifier.dns("www.example.org")]


def test_a_cold_request_costs_directory_and_nonce_once(ca: MemoryCA, client: AcmeClient) -> None:
    cold = AcmeClient(ca, DIRECTORY, client.account_key, client.account_url, clock=ca.time.clock())
    order.create(cold, NAMES)
    order.create(cold, NAMES)
    assert ca.requests == ["GET directory", "HEAD new-nonce", "POST new-order", "POST new-order"]


def test_the_directory_is_read_again_when_it_is_old(ca: MemoryCA, client: AcmeClient) -> None:
    ca.time.sleep(LIFETIME - 60)
    order.create(client, NAMES)
    assert ca.counted("GET directory") == 0
    ca.time.sleep(120)
    order.create(client, NAMES)
    assert ca.counted("GET directory") == 1


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256", "EdDSA"])
def test_a_ca_verifies_each_kind_of_account_key(ca: MemoryCA, algorithm: str) -> None:
    fresh = AcmeClient(ca, DIRECTORY, SigningKey.generate(algorithm), clock=ca.time.clock())
    account.register(fresh, agree_to_terms=True)
    assert order.create(fresh, NAMES).status == "pending"


@pytest.mark.parametrize("rejected", [1, 45, 200])
def test_a_rejected_nonce_is_followed_by_the_one_of_the_error(ca: MemoryCA, client: AcmeClient, rejected: int) -> None:
    ca.reject_nonces = rejected
    order.create(client, NAMES)
    assert ca.requests == ["POST new-order"] * (rejected + 1)


def test_a_ca_that_rejects_every_nonce_is_not_flooded_and_has_the_last_word(ca: MemoryCA, client: AcmeClient) -> None:
    ca.reject_nonces = 1_000_000
    with pytest.raises(DeadlineExceeded, match="nonce"):
        order.create(client, NAMES, deadline=client.deadline(10))
    assert 50 < len(ca.requests) < 200


def test_a_rejected_nonce_without_another_costs_a_new_one(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [Refused(400, "badNonce").response]
    order.create(client, NAMES)
    assert ca.requests == ["POST new-order", "HEAD new-nonce", "POST new-order"]


def test_a_nonce_that_is_not_base64url_is_ignored(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [answer(400, Refused(400, "badNonce").response.body, Replay_Nonce="no nonce!")]
    order.create(client, NAMES)
    assert ca.requests == ["POST new-order", "HEAD new-nonce", "POST new-order"]


def test_a_server_without_nonces_is_no_acme_server(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.faults["new-nonce"] = [answer(200)]
    with pytest.raises(UnexpectedAnswer, match="Replay-Nonce"):
        newcomer.post(f"{BASE}/new-account", {}, key=newcomer.account_key)


def test_broken_connections_are_tried_again_until_they_work(
    ca: MemoryCA, client: AcmeClient, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{BASE}/new-order"
    ca.faults["new-order"] = [ConnectionFailed(url, "refused"), TimedOut(url, "slow"), Lost()]
    with caplog.at_level(logging.INFO):
        order.create(client, NAMES)
    assert ca.time.slept == [0.25, 0.5, 1]
    assert len(ca.orders) == 2  # the orphan of the lost answer is harmless
    assert "refused; asking again in 0.25 s" in caplog.text


def test_a_ca_that_cannot_be_reached_is_reported_at_the_deadline(ca: MemoryCA, client: AcmeClient) -> None:
    refused = ConnectionFailed(f"{BASE}/new-order", "refused")
    ca.faults["new-order"] = [refused] * 100
    begun = ca.time.now
    with pytest.raises(ConnectionFailed) as caught:
        order.create(client, NAMES, deadline=client.deadline(30))
    assert caught.value is refused
    assert ca.time.now - begun <= 30


def test_a_ca_that_never_answered_is_given_up_soon(ca: MemoryCA) -> None:
    """A mistyped address is likelier than an outage."""
    told: list[str] = []
    fresh = AcmeClient(ca, DIRECTORY, SigningKey.generate(), clock=ca.time.clock(), on_pause=told.append)
    ca.faults["directory"] = [ConnectionFailed(DIRECTORY, "cannot connect: refused")] * 100
    with pytest.raises(ConnectionFailed):
        fresh.directory()
    assert sum(ca.time.slept) < 3
    assert told[0] == f"{DIRECTORY}: cannot connect: refused; asking again in 0.25 s"
    assert len(told) == 3


def test_an_untrusted_server_is_not_tried_again(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [TLSFailed(f"{BASE}/new-order", "self-signed certificate")]
    with pytest.raises(TLSFailed):
        order.create(client, NAMES)
    assert ca.time.slept == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_out_of_order_is_asked_again(ca: MemoryCA, client: AcmeClient, status: int) -> None:
    ca.faults["new-order"] = [answer(status, b"<html>", kind="text/html"), answer(status, None, Retry_After="7")]
    order.create(client, NAMES)
    assert ca.time.slept == [0.25, 7]


def test_a_pause_longer_than_the_deadline_is_not_waited_for(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [answer(503, None, Retry_After="3600")]
    with pytest.raises(ServerProblem) as caught:
        order.create(client, NAMES)
    assert caught.value.retry_after == 3600
    assert ca.time.slept == []


def test_a_rate_limit_that_ends_soon_is_waited_for(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [answer(429, None, Retry_After="5")]
    order.create(client, NAMES)
    assert ca.time.slept == [5]


def test_a_rate_limit_tells_the_cas_words_the_pause_and_the_links(ca: MemoryCA, client: AcmeClient) -> None:
    words = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
    limited = Refused(429, "rateLimited", words, instance="https://ca.test/unpause").response
    help_link = '<https://ca.test/docs/rate-limits>;rel="help"'
    ca.faults["new-order"] = [answer(429, limited.body, Retry_After="86400", Link=help_link)]
    with pytest.raises(RateLimited) as caught:
        order.create(client, NAMES)
    assert str(caught.value) == f"{words} [rateLimited]"
    assert caught.value.retry_after == 86400
    assert caught.value.links == ("https://ca.test/docs/rate-limits", "https://ca.test/unpause")
    assert ca.time.slept == []


def test_a_rate_limit_without_a_pause_is_final(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [Refused(403, "rateLimited", "slow down").response]
    with pytest.raises(RateLimited):
        order.create(client, NAMES)
    assert ca.requests == ["POST new-order"]


def test_a_refusal_is_final(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["new-order"] = [Refused(400, "rejectedIdentifier", "policy forbids it").response]
    with pytest.raises(ServerProblem, match="policy forbids it") as caught:
        order.create(client, NAMES)
    assert caught.value.url == f"{BASE}/new-order"
    assert not isinstance(caught.value, RateLimited)


def test_the_nonce_of_a_refusal_is_kept(ca: MemoryCA, client: AcmeClient) -> None:
    with pytest.raises(ServerProblem):
        order.fetch(client, f"{BASE}/order/none")
    order.create(client, NAMES)
    assert ca.counted("HEAD new-nonce") == 0


def test_redirects_are_not_followed(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.faults["directory"] = [answer(301, None, Location="https://elsewhere.test/")]
    with pytest.raises(UnexpectedAnswer, match=r"redirects to https://elsewhere\.test/"):
        newcomer.directory()


def test_without_an_account_only_its_key_can_speak(newcomer: AcmeClient) -> None:
    with pytest.raises(NoAccount):
        order.create(newcomer, NAMES)


def test_nothing_is_sent_after_the_deadline(ca: MemoryCA, client: AcmeClient) -> None:
    with pytest.raises(DeadlineExceeded):
        order.create(client, NAMES, deadline=client.deadline(0))
    assert ca.requests == []
