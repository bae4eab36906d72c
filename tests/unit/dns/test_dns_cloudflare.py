"""What is particular to `cloudflare`; what all DNS providers keep is in `tests/contract/test_dns_providers.py`."""

import pytest

from certwright.domain.errors import SolverError
from certwright.sdk.dns import TxtRecord
from peers import dns_cloudflare
from peers.dns_cloudflare import PENDING
from peers.dns_peer import ZONE
from world.dns_accounts import CREDENTIAL, reached, refusal

NAME = f"_acme-challenge.{ZONE}"
OURS = TxtRecord(NAME, "ours" * 10)
CANARY = "canary-4711"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "either an API token"),
        ({"api_token": CANARY, "global_key": CANARY, "email": "a@b.test"}, "either an API token"),
        ({"global_key": CANARY}, "belong together"),
        ({"api_token": CANARY, "email": "a@b.test"}, "counts only with global_key"),
        ({"global_key": CANARY, "email": "a@b.test\r\nX: y"}, "email"),
    ],
)
def test_cloudflare_takes_a_token_or_the_global_key(values: dict[str, str], said: str) -> None:
    told = refusal("cloudflare", **values)
    assert said in told
    assert CANARY not in told


def test_cloudflare_takes_the_global_key_with_the_address_of_its_owner() -> None:
    with dns_cloudflare.serve() as peer, reached("cloudflare", peer) as make:
        provider = make(api_token=None, global_key=dns_cloudflare.GLOBAL_KEY, email="admin@contoso.com")
        provider.add(ZONE, [OURS])
        assert peer.read(NAME) == [OURS.value]
        wrong = make(api_token=None, global_key=CANARY, email="admin@contoso.com")
        with pytest.raises(SolverError, match="does not accept"):
            wrong.check()


def test_cloudflare_shows_no_zone_to_a_token_that_is_for_none() -> None:
    with dns_cloudflare.serve() as peer, reached("cloudflare", peer) as make:
        peer.zones.clear()
        with pytest.raises(SolverError, match="shows it no zone") as caught:
            make().check()
    assert CREDENTIAL in caught.value.hint


def test_cloudflare_of_two_zones_of_one_name_takes_the_one_that_is_delegated_to() -> None:
    with dns_cloudflare.serve() as peer, reached("cloudflare", peer) as make:
        peer.zones[PENDING] = []
        make().add(ZONE, [OURS])
        assert peer.zones[PENDING] == []
        assert OURS.value in {entry.value for entry in peer.zones[ZONE]}
        make().remove(ZONE, [OURS])
        assert peer.read(NAME) == []
