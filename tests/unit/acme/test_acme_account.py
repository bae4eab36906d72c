import pytest

from certwright.acme import account
from certwright.acme.account import ExternalAccount
from certwright.acme.client import AcmeClient
from certwright.acme.errors import ConnectionFailed, NoAccount, ServerProblem, UnexpectedAnswer
from certwright.acme.jws import SigningKey
from unit.acme import jws_verifier
from unit.acme.memory_ca import BASE, DIRECTORY, Lost, MemoryCA, Refused, answer

CONTACT = ["mailto:admin@example.org"]


def test_register(ca: MemoryCA, newcomer: AcmeClient) -> None:
    made = account.register(newcomer, contact=CONTACT, agree_to_terms=True)
    assert made == account.Account(f"{BASE}/account/1", "valid", tuple(CONTACT))
    assert newcomer.account_url == made.url
    assert ca.accounts[made.url]["key"] == newcomer.account_key.jwk


def test_registering_again_finds_the_account(ca: MemoryCA, client: AcmeClient) -> None:
    again = AcmeClient(ca, DIRECTORY, client.account_key, clock=ca.time.clock())
    assert account.register(again, agree_to_terms=True).url == client.account_url
    assert len(ca.accounts) == 1


def test_the_terms_are_not_agreed_to_unasked(newcomer: AcmeClient) -> None:
    with pytest.raises(ServerProblem, match="agree to the terms"):
        account.register(newcomer, agree_to_terms=False)
    assert newcomer.account_url is None


@pytest.mark.parametrize(
    "text", ["c2VjcmV0LT4_LXNlY3JldC0-Pw", "c2VjcmV0LT4/LXNlY3JldC0+Pw==", " c2VjcmV0LT4_LXNlY3JldC0-Pw\n"]
)
def test_an_external_account_is_bound(ca: MemoryCA, newcomer: AcmeClient, text: str) -> None:
    ca.external_keys["kid-1"] = b"secret->?-secret->?"
    binding = ExternalAccount.from_text("kid-1", text)
    account.register(newcomer, agree_to_terms=True, external_account=binding)
    assert newcomer.account_url


def test_a_wrong_external_key_does_not_pass(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.external_keys["kid-1"] = b"right"
    with pytest.raises(jws_verifier.BadJWS):
        account.register(newcomer, agree_to_terms=True, external_account=ExternalAccount("kid-1", b"wrong"))


def test_a_missing_external_account_is_told_in_the_cas_words(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.external_keys["kid-1"] = b"right"
    with pytest.raises(ServerProblem, match="bind an external account"):
        account.register(newcomer, agree_to_terms=True)


@pytest.mark.parametrize("text", ["", "   ", "no base64!", "a"])
def test_an_external_key_that_is_not_base64url(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        ExternalAccount.from_text("kid-1", text)


def test_an_external_key_is_not_shown() -> None:
    assert "secret" not in repr(ExternalAccount("kid-1", b"secret"))


def test_find(ca: MemoryCA, client: AcmeClient) -> None:
    again = AcmeClient(ca, DIRECTORY, client.account_key, clock=ca.time.clock())
    found = account.find(again)
    assert found is not None
    assert found.url == client.account_url == again.account_url


def test_find_nothing(newcomer: AcmeClient) -> None:
    assert account.find(newcomer) is None
    assert newcomer.account_url is None


def test_update_contact(ca: MemoryCA, client: AcmeClient) -> None:
    assert account.update_contact(client, CONTACT).contact == tuple(CONTACT)
    assert ca.accounts[client.account_url or ""]["contact"] == CONTACT


def test_deactivate(client: AcmeClient) -> None:
    assert account.deactivate(client).status == "deactivated"
    with pytest.raises(ServerProblem, match="no such account"):
        account.update_contact(client, CONTACT)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_roll_over_key(ca: MemoryCA, client: AcmeClient, algorithm: str) -> None:
    new = SigningKey.generate(algorithm)
    account.roll_over_key(client, new)
    assert client.account_key is new
    assert ca.accounts[client.account_url or ""]["key"] == new.jwk
    account.update_contact(client, CONTACT)


def test_a_roll_over_whose_answer_is_lost_is_noticed(ca: MemoryCA, client: AcmeClient) -> None:
    ca.faults["key-change"] = [Lost()]
    new = SigningKey.generate()
    account.roll_over_key(client, new)
    assert client.account_key is new
    account.update_contact(client, CONTACT)


def test_a_roll_over_whose_outcome_cannot_be_known_keeps_the_old_key(ca: MemoryCA, client: AcmeClient) -> None:
    old = client.account_key
    broken = ConnectionFailed(f"{BASE}/key-change", "refused")
    ca.faults |= {"key-change": [broken] * 100, "new-account": [ConnectionFailed(BASE, "refused")] * 100}
    begun = ca.time.now
    with pytest.raises(ConnectionFailed, match="key-change: refused"):
        account.roll_over_key(client, SigningKey.generate(), client.deadline(30))
    assert client.account_key is old
    assert ca.time.now - begun <= 40


def test_a_refused_roll_over_leaves_the_old_key(ca: MemoryCA, client: AcmeClient) -> None:
    old = client.account_key
    ca.faults["key-change"] = [Refused(403, "unauthorized", "ask the owner").response]
    with pytest.raises(ServerProblem, match="ask the owner"):
        account.roll_over_key(client, SigningKey.generate())
    assert client.account_key is old
    account.update_contact(client, CONTACT)


def test_a_roll_over_to_the_key_of_another_account_is_refused(ca: MemoryCA, client: AcmeClient) -> None:
    other = AcmeClient(ca, DIRECTORY, SigningKey.generate(), clock=ca.time.clock())
    account.register(other, agree_to_terms=True)
    ca.faults["key-change"] = [Refused(409, "malformed", "that key has an account").response]
    with pytest.raises(ServerProblem, match="that key has an account"):
        account.roll_over_key(client, other.account_key)


def test_a_ca_without_key_change(ca: MemoryCA, newcomer: AcmeClient) -> None:
    least = {name: f"{BASE}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
    ca.faults["directory"] = [answer(200, least)]
    newcomer.account_url = f"{BASE}/account/1"
    with pytest.raises(UnexpectedAnswer, match="keyChange"):
        account.roll_over_key(newcomer, SigningKey.generate())


@pytest.mark.parametrize("ask", [lambda client: account.update_contact(client, []), account.deactivate])
def test_an_account_must_be_known_before_it_is_changed(newcomer: AcmeClient, ask: object) -> None:
    assert callable(ask)
    with pytest.raises(NoAccount):
        ask(newcomer)


def test_an_account_without_location_is_no_account(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.faults["new-account"] = [answer(201, {"status": "valid"})]
    with pytest.raises(UnexpectedAnswer, match="Location"):
        account.register(newcomer, agree_to_terms=True)


def test_a_registration_whose_answer_is_lost_is_found_again(ca: MemoryCA, newcomer: AcmeClient) -> None:
    ca.faults["new-account"] = [Lost(), ConnectionFailed(BASE, "refused")]
    account.register(newcomer, agree_to_terms=True)
    assert list(ca.accounts) == [newcomer.account_url]
