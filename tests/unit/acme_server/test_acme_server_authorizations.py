from collections.abc import Iterator
from datetime import timedelta

import pytest

from certwright.acme_server import AcmeServerConfig
from peers.acme_server import dns_server
from unit.acme_server.wire import Answer, SettableClock, Wire, wire


@pytest.fixture
def client() -> Iterator[Wire]:
    with wire() as each:
        yield each


def fail(client: Wire, order: Answer, index: int = 0) -> Answer:
    """Answer a challenge that nothing proves; the authorization afterwards."""
    url = order.json["authorizations"][index]
    challenge = next(each for each in client.post(url).json["challenges"] if each["type"] == "http-01")
    assert client.post(challenge["url"], {}).status == 200
    return client.until(url, lambda read: read["status"] != "pending")


def test_an_authorization_offers_challenges_with_one_token_each(client: Wire) -> None:
    authorization = client.post(client.order("a.contoso.test").json["authorizations"][0]).json
    assert authorization["identifier"] == {"type": "dns", "value": "a.contoso.test"}
    assert authorization["status"] == "pending"
    assert "wildcard" not in authorization
    challenges = authorization["challenges"]
    assert [each["type"] for each in challenges] == ["http-01", "dns-01", "tls-alpn-01"]
    assert len({each["token"] for each in challenges}) == 3
    assert all(len(each["token"]) >= 22 for each in challenges)


def test_a_wildcard_is_proven_by_dns_only(client: Wire) -> None:
    authorization = client.post(client.order("*.contoso.test").json["authorizations"][0]).json
    assert authorization["identifier"] == {"type": "dns", "value": "contoso.test"}
    assert authorization["wildcard"] is True
    assert [each["type"] for each in authorization["challenges"]] == ["dns-01"]


def test_what_no_offered_challenge_can_prove_is_refused() -> None:
    with wire(AcmeServerConfig(challenge_types=("http-01",))) as client:
        assert client.order("*.contoso.test").error == "rejectedIdentifier"


def test_a_proven_challenge_is_the_only_one_left_to_see(client: Wire) -> None:
    order = client.order("a.contoso.test")
    client.prove(order)
    authorization = client.post(order.json["authorizations"][0])
    (challenge,) = authorization.json["challenges"]
    assert (authorization.json["status"], challenge["status"], challenge["type"]) == ("valid", "valid", "http-01")
    assert challenge["validated"].endswith("Z")


def test_a_challenge_names_its_authorization_and_can_be_read(client: Wire) -> None:
    order = client.order("a.contoso.test")
    (url,) = order.json["authorizations"]
    challenge = client.post(url).json["challenges"][0]
    read = client.post(challenge["url"])
    assert read.json == challenge
    assert read.links("up") == [url]


def test_a_failed_challenge_fails_its_authorization_and_its_order(client: Wire) -> None:
    order = client.order("good.contoso.test", "bad.contoso.test")
    authorization = fail(client, order, 1).json
    (challenge,) = authorization["challenges"]
    assert (authorization["status"], challenge["status"]) == ("invalid", "invalid")
    assert challenge["error"]["type"] == "urn:ietf:params:acme:error:unauthorized"
    assert "HTTP status 404" in challenge["error"]["detail"]
    failed = client.post(order.header("Location")).json
    assert failed["status"] == "invalid"
    assert failed["error"]["identifier"] == {"type": "dns", "value": "bad.contoso.test"}
    assert failed["error"]["detail"] == challenge["error"]["detail"]


def test_an_order_that_fails_for_several_names_tells_all(client: Wire) -> None:
    order = client.order("one.contoso.test", "two.contoso.test")
    fail(client, order, 0)
    fail(client, order, 1)
    error = client.post(order.header("Location")).json["error"]
    assert {problem["identifier"]["value"] for problem in error["subproblems"]} == {
        "one.contoso.test",
        "two.contoso.test",
    }


def test_a_challenge_that_failed_is_not_tried_again(client: Wire) -> None:
    order = client.order("a.contoso.test")
    url = fail(client, order).json["challenges"][0]["url"]
    assert client.post(url, {}).json["status"] == "invalid"


def test_valid_authorizations_are_reused_if_so_configured() -> None:
    clock = SettableClock()
    with wire(AcmeServerConfig(reuse_authorizations=True), clock) as client:
        first = client.obtain("a.contoso.test")
        second = client.order("a.contoso.test", "b.contoso.test")
        assert second.json["authorizations"][0] == first.json["authorizations"][0]
        assert client.order("a.contoso.test").json["status"] == "ready"
        assert client.other().order("a.contoso.test").json["status"] == "pending"
        clock.advance(timedelta(days=10))
        assert client.order("a.contoso.test").json["status"] == "pending"
        assert client.post(first.json["authorizations"][0]).json["status"] == "expired"


def test_authorizations_are_not_reused_otherwise(client: Wire) -> None:
    client.obtain("a.contoso.test")
    assert client.order("a.contoso.test").json["status"] == "pending"


def test_a_deactivated_authorization_is_not_reused() -> None:
    with wire(AcmeServerConfig(reuse_authorizations=True)) as client:
        (url,) = client.obtain("a.contoso.test").json["authorizations"]
        assert client.post(url, {"status": "deactivated"}).json["status"] == "deactivated"
        assert client.post(url, {"status": "deactivated"}).error == "malformed"
        assert client.order("a.contoso.test").json["status"] == "pending"


def test_an_authorization_takes_no_other_change(client: Wire) -> None:
    (url,) = client.order("a.contoso.test").json["authorizations"]
    for change in ({}, {"status": "valid"}, {"status": "deactivated", "more": 1}):
        assert client.post(url, change).error == "malformed"


def test_another_accounts_authorization_is_not_shown(client: Wire) -> None:
    (url,) = client.order("a.contoso.test").json["authorizations"]
    challenge = client.post(url).json["challenges"][0]["url"]
    other = client.other()
    for answer in (other.post(url), other.post(challenge), other.post(challenge, {})):
        assert (answer.status, answer.error) == (403, "unauthorized")


def test_a_pending_authorization_expires() -> None:
    clock = SettableClock()
    with wire(clock=clock) as client:
        (url,) = client.order("a.contoso.test").json["authorizations"]
        clock.advance(timedelta(hours=8))
        assert client.post(url).json["status"] == "invalid"


def test_clients_are_told_when_to_ask_again_if_so_configured() -> None:
    with wire(AcmeServerConfig(retry_after=7)) as client:
        order = client.order("a.contoso.test")
        assert client.post(order.json["authorizations"][0]).header("Retry-After") == "7"


PERSIST = AcmeServerConfig(caa_identities=("CA.contoso.test",), reuse_authorizations=True)


def test_dns_persist_01_is_offered_by_a_ca_that_has_a_name_and_not_for_addresses() -> None:
    with wire(PERSIST) as client:
        account = client.other()
        for name in ("a.contoso.test", "*.contoso.test"):
            offered = account.post(account.order(name).json["authorizations"][0]).json["challenges"]
            (challenge,) = (each for each in offered if each["type"] == "dns-persist-01")
            assert "token" not in challenge
            assert challenge["issuer-domain-names"] == ["ca.contoso.test"]
            assert challenge["accounturi"] == account.kid


def test_a_name_proven_by_a_record_is_relied_on_for_the_records_ttl_only() -> None:
    clock = SettableClock()
    with dns_server() as (resolver, records), wire(PERSIST, clock, resolver=resolver) as client:
        text = f'"ca.contoso.test; accounturi={client.kid}; policy=wildcard"'
        records["_validation-persist.contoso.test", "TXT"] = [text]
        assert client.prove(client.order("*.contoso.test"), "dns-persist-01").json["status"] == "ready"
        assert client.order("*.contoso.test").json["status"] == "ready"
        clock.advance(timedelta(seconds=60))
        assert client.order("*.contoso.test").json["status"] == "pending"


def test_caa_is_asked_again_when_the_validation_is_old() -> None:
    clock = SettableClock()
    with dns_server() as (resolver, records), wire(PERSIST, clock, resolver=resolver, hosts={}) as client:
        records["a.contoso.test", "A"] = ["127.0.0.1"]
        first = client.obtain("a.contoso.test")
        records["contoso.test", "CAA"] = ['0 issue "other.test"']
        assert client.finalize(client.order("a.contoso.test")).json["status"] == "valid"
        clock.advance(timedelta(hours=9))
        order = client.finalize(client.order("a.contoso.test"))
        url = order.header("Location")
        failed = client.until(url, lambda read: read["status"] != "processing").json
        assert failed["status"] == "invalid"
        assert failed["error"]["type"] == "urn:ietf:params:acme:error:caa"
        assert failed["error"]["identifier"] == {"type": "dns", "value": "a.contoso.test"}
        records["a.contoso.test", "CAA"] = ['0 issue "ca.contoso.test"']
        again = client.finalize(client.order("a.contoso.test"))
        client.until(again.header("Location"), lambda read: read["status"] == "valid")
        assert first.json["authorizations"] == again.json["authorizations"]
