"""What is Google's own; the rest is in the contract of all providers."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certwright.domain.errors import ConfigurationError, SolverError
from certwright.engine import catalog
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import read_params
from peers import dns_google
from peers.dns_google import GoogleApi
from peers.dns_peer import ZONE

Make = Callable[..., DnsProvider[Any]]
NAME = f"_acme-challenge.{ZONE}"
MINE = TxtRecord(NAME, "mine")


@pytest.fixture
def peer() -> Iterator[GoogleApi]:
    with dns_google.serve() as peer:
        yield peer
        assert peer.complaints == []


def test_all_names_are_changed_at_once(peer: GoogleApi, make: Make) -> None:
    records = [TxtRecord(f"_acme-challenge.n{number}.{ZONE}", str(number)) for number in range(20)]
    make("google", peer).add(ZONE, records)
    assert sum(request.parts[-1] == "changes" for request in peer.requests) == 1
    assert all(peer.read(record.name) == [record.value] for record in records)


def test_another_project_than_the_accounts_own_is_asked_if_it_is_given(peer: GoogleApi, make: Make) -> None:
    own = json.loads(peer.params["key"]) | {"project_id": "elsewhere"}
    assert ZONE in make("google", peer, key=json.dumps(own), project=dns_google.PROJECT).check()
    with pytest.raises(SolverError) as caught:
        make("google", peer, key=json.dumps(own)).check()
    assert "dns.googleapis.com" in caught.value.hint


def test_a_wrong_clock_is_a_possible_cause(peer: GoogleApi, make: Make) -> None:
    with pytest.raises(SolverError) as caught:
        make("google", peer, now=lambda: datetime.now(UTC) - timedelta(hours=2)).check()
    assert "short-lived" in "\n".join(caught.value.explain())
    assert "clock" in caught.value.hint


def elliptic() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"type": "authorized_user"}, "key: this is no service account's key"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----"}, "key: the private key"),
        ({"private_key": elliptic()}, "key: the private key"),
        ({"project_id": ""}, "all together: the key names no project"),
    ],
)
def test_a_key_that_cannot_be_right_is_refused_at_once(peer: GoogleApi, changed: dict[str, str], wrong: str) -> None:
    key = json.dumps(json.loads(peer.params["key"]) | changed)
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", "google").params, {"key": key}, "the provider")
    assert [str(cause).startswith(wrong) for cause in caught.value.causes] == [True]
    assert "canary" not in "\n".join(caught.value.explain())
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("key", ["", "no JSON", "[]", "[" * 100_000, '"text"'])
def test_a_file_that_is_no_key_is_refused_at_once(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", "google").params, {"key": key}, "the provider")
    assert "no service account's key" in str(caught.value.causes[0])
