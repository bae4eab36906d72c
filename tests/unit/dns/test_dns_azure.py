"""What is Azure's own; the rest is in the contract of all providers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError, SolverError, Unreachable
from certwright.engine import catalog
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import read_params
from peers import dns_azure
from peers.dns_azure import AzureApi
from peers.dns_peer import ZONE

Make = Callable[..., DnsProvider[Any]]
NAME = f"_acme-challenge.{ZONE}"
MINE = TxtRecord(NAME, "mine")
UUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def peer() -> Iterator[AzureApi]:
    with dns_azure.serve() as peer:
        yield peer
        assert peer.complaints == []


def test_a_set_that_somebody_else_extends_is_not_deleted(peer: AzureApi, make: Make) -> None:
    provider = make("azure", peer)
    provider.add(ZONE, [MINE])
    peer.meanwhile = lambda: peer.put(NAME, "theirs")
    provider.remove(ZONE, [MINE])
    assert peer.read(NAME) == ["theirs"]


def test_the_metadata_of_a_set_stay(peer: AzureApi, make: Make) -> None:
    peer.put(NAME, "theirs")
    peer.metadata[NAME] = {"owner": "web team"}
    make("azure", peer).add(ZONE, [MINE])
    assert peer.metadata[NAME] == {"owner": "web team"}


def test_one_token_serves_a_whole_piece_of_work(peer: AzureApi, make: Make) -> None:
    make("azure", peer).add(ZONE, [MINE, TxtRecord(f"_acme-challenge.www.{ZONE}", "other")])
    assert sum(request.parts[-1] == "token" for request in peer.requests) == 1


def test_the_token_is_not_sent_to_another_host(peer: AzureApi, make: Make) -> None:
    peer.elsewhere = "http://127.0.0.2:9"
    with pytest.raises(Unreachable) as caught:
        make("azure", peer).check()
    assert "127.0.0.2" in caught.value.message


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AADSTS7000222", "expired"),
        ("AADSTS90002", "tenant id"),
        ("AADSTS700016", "client id"),
        ("AADSTS50034", "Compare tenant id"),
    ],
)
def test_a_sign_in_that_fails_is_told_with_what_to_mend(peer: AzureApi, make: Make, code: str, hint: str) -> None:
    peer.sign_in_error = (code, "It failed.")
    with pytest.raises(SolverError) as caught:
        make("azure", peer).check()
    assert code in "\n".join(caught.value.explain())
    assert hint in caught.value.hint
    assert "'the-account'" in caught.value.hint


def test_a_wrong_subscription_is_told(peer: AzureApi, make: Make) -> None:
    with pytest.raises(SolverError) as caught:
        make("azure", peer, subscription_id=UUID).check()
    assert "SubscriptionNotFound" in "\n".join(caught.value.explain())
    assert "subscription id" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"client_secret": UUID}, "client_secret: this is the client secret's id"),
        ({"tenant_id": "contoso.com/evil"}, "tenant_id"),
        ({"client_id": "certwright"}, "client_id"),
        ({"subscription_id": "Pay-As-You-Go"}, "subscription_id"),
        ({"cloud": "germany"}, "cloud"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(changed: dict[str, str], wrong: str) -> None:
    values = {
        "tenant_id": UUID,
        "client_id": UUID,
        "client_secret": "abc8Q~secret",
        "subscription_id": UUID,
        **changed,
    }
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", "azure").params, values, "the provider")
    assert [str(cause).startswith(wrong) for cause in caught.value.causes] == [True]
