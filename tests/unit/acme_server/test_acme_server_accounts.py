import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from certwright.acme_server import AcmeServerConfig
from unit.acme_server.wire import Wire, b64, jwk, mac, new_key, sign, wire

MAC_KEY = secrets.token_bytes(32)


@pytest.fixture
def client() -> Iterator[Wire]:
    with wire() as each:
        yield each


def test_an_account_is_created_once_and_found_by_its_key(client: Wire) -> None:
    again = client.register(contact=["mailto:other@contoso.test"])
    found = client.post(client.directory["newAccount"], {"onlyReturnExisting": True}, by_key=True)
    assert (again.status, again.header("Location")) == (200, client.kid)
    assert (found.status, found.header("Location")) == (200, client.kid)
    assert found.json["contact"] == []


def test_a_new_account_answers_created_with_its_orders_url(client: Wire) -> None:
    answer = Wire(client.server, {}).register(contact=["mailto:admin@contoso.test"])
    assert answer.status == 201
    assert answer.json["status"] == "valid"
    assert answer.json["contact"] == ["mailto:admin@contoso.test"]
    assert answer.json["orders"].startswith(client.server.directory_url.removesuffix("directory"))


def test_an_unknown_key_is_told_so_when_only_existing_accounts_are_wanted(client: Wire) -> None:
    answer = client.post(client.directory["newAccount"], {"onlyReturnExisting": True}, by_key=True, key=new_key())
    assert (answer.status, answer.error) == (400, "accountDoesNotExist")


def test_the_terms_of_service_must_be_agreed_to(client: Wire) -> None:
    answer = Wire(client.server, {}).register(termsOfServiceAgreed=False)
    assert (answer.status, answer.error) == (403, "userActionRequired")
    assert answer.links("terms-of-service") == [client.directory["meta"]["termsOfService"]]
    assert client.get(client.directory["meta"]["termsOfService"]).status == 200


@pytest.mark.parametrize(
    ("contact", "error"),
    [
        (["tel:+49301234"], "unsupportedContact"),
        (["mailto:"], "invalidContact"),
        (["mailto:a@contoso.test,b@contoso.test"], "invalidContact"),
        (["mailto:a@contoso.test?subject=hi"], "invalidContact"),
        (["mailto:a@contoso.test"] * 11, "invalidContact"),
        ("mailto:a@contoso.test", "malformed"),
        ([1], "malformed"),
    ],
)
def test_bad_contacts_are_refused(client: Wire, contact: Any, error: str) -> None:
    assert Wire(client.server, {}).register(contact=contact).error == error
    assert client.post(client.kid, {"contact": contact}).error == error


def test_contacts_are_updated(client: Wire) -> None:
    assert client.post(client.kid, {"contact": ["mailto:new@contoso.test"]}).status == 200
    assert client.post(client.kid).json["contact"] == ["mailto:new@contoso.test"]


def test_another_account_is_nobodys_business(client: Wire) -> None:
    other = client.other()
    for url in (other.kid, client.post(client.kid).json["orders"].replace(*_ids(client, other))):
        answer = client.post(url)
        assert (answer.status, answer.error) == (403, "unauthorized")


def test_a_deactivated_account_can_do_nothing_any_more(client: Wire) -> None:
    assert client.post(client.kid, {"status": "deactivated"}).json["status"] == "deactivated"
    for answer in (client.post(client.kid), client.order("a.contoso.test"), client.register()):
        assert (answer.status, answer.error) == (401, "unauthorized")


def test_the_orders_list_has_pages_and_leaves_invalid_orders_out(client: Wire) -> None:
    lost = client.order("lost.contoso.test")
    client.post(lost.json["authorizations"][0], {"status": "deactivated"})
    made = [client.order(f"n{number}.contoso.test").header("Location") for number in range(101)]
    url = client.post(client.kid).json["orders"]
    first = client.post(url)
    second = client.post(first.links("next")[0])
    assert first.json["orders"] + second.json["orders"] == made
    assert not second.links("next")
    assert client.post(url + "/0").status == 404


def test_a_key_is_rolled_over(client: Wire) -> None:
    url, fresh = client.directory["keyChange"], new_key()
    answer = client.post(url, key_change(client, fresh))
    assert (answer.status, answer.header("Location")) == (200, client.kid)
    assert client.post(client.kid).error == "malformed"  # the old key's signature
    client.key = fresh
    assert client.post(client.kid).status == 200


def test_a_key_that_another_account_has_is_not_taken_over(client: Wire) -> None:
    other = client.other()
    answer = client.post(client.directory["keyChange"], key_change(client, other.key))
    assert (answer.status, answer.header("Location")) == (409, other.kid)


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ({"url": "https://elsewhere.contoso.test/"}, {}),
        ({"nonce": "abc"}, {}),
        ({}, {"account": "https://elsewhere.contoso.test/1"}),
        ({}, {"oldKey": jwk(new_key())}),
        ({}, {"oldKey": None}),
    ],
)
def test_a_wrong_key_change_is_refused(client: Wire, header: dict[str, Any], payload: dict[str, Any]) -> None:
    fresh = new_key()
    answer = client.post(client.directory["keyChange"], key_change(client, fresh, header, payload))
    assert (answer.status, answer.error) == (400, "malformed")
    assert client.post(client.kid).status == 200


def test_the_new_key_must_sign_the_key_change(client: Wire) -> None:
    inner = key_change(client, new_key()) | {"signature": b64(bytes(64))}
    assert client.post(client.directory["keyChange"], inner).error == "malformed"


def test_an_external_account_is_bound() -> None:
    with external() as client:
        account = client.register(externalAccountBinding=binding(client))
        assert account.status == 201
        assert account.json["externalAccountBinding"]["payload"] == b64(json.dumps(jwk(client.key)).encode())
        assert client.directory["meta"]["externalAccountRequired"] is True


def test_an_external_account_is_required() -> None:
    with external() as client:
        answer = client.register()
        assert (answer.status, answer.error) == (403, "externalAccountRequired")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"header": {"kid": "nobody"}}, "unauthorized"),
        ({"key": bytes(32)}, "unauthorized"),
        ({"header": {"alg": "ES256"}}, "badSignatureAlgorithm"),
        ({"header": {"nonce": "x"}}, "malformed"),
        ({"header": {"url": "https://elsewhere.contoso.test/"}}, "malformed"),
        ({"payload": jwk(new_key())}, "malformed"),
    ],
)
def test_a_wrong_binding_is_refused(change: dict[str, Any], error: str) -> None:
    with external() as client:
        assert client.register(externalAccountBinding=binding(client, **change)).error == error
        assert client.register(externalAccountBinding=[]).error == "malformed"


def external() -> Any:
    keys = {"kid-1": b64(MAC_KEY)}
    return wire(AcmeServerConfig(external_account_required=True, external_account_keys=keys))


def binding(
    client: Wire, *, key: bytes = MAC_KEY, header: dict[str, Any] | None = None, payload: Any = None
) -> dict[str, str]:
    full = {"alg": "HS256", "kid": "kid-1", "url": client.directory["newAccount"], **(header or {})}
    return mac(key, full, json.dumps(payload or jwk(client.key)).encode())


def key_change(
    client: Wire, fresh: Any, header: dict[str, Any] | None = None, payload: dict[str, Any] | None = None
) -> dict[str, str]:
    change = {"account": client.kid, "oldKey": jwk(client.key), **(payload or {})}
    full = {"alg": "ES256", "jwk": jwk(fresh), "url": client.directory["keyChange"], **(header or {})}
    return sign(fresh, full, json.dumps(change).encode())


def _ids(one: Wire, two: Wire) -> tuple[str, str]:
    return one.kid.rpartition("/")[2], two.kid.rpartition("/")[2]
