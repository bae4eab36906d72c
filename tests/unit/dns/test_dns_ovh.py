"""What is particular to `ovh`; what all DNS providers keep is in `tests/contract/test_dns_providers.py`."""

import pytest

from certwright.domain.errors import SolverError
from certwright.sdk.dns import TxtRecord
from peers import dns_ovh
from peers.dns_peer import ZONE
from world.dns_accounts import CREDENTIAL, reached, refusal

NAME = f"_acme-challenge.{ZONE}"
OURS = TxtRecord(NAME, "ours" * 10)
CANARY = "canary-4711"


def test_ovh_adds_records_with_keys_that_may_not_list_zones() -> None:
    with dns_ovh.serve() as peer, reached("ovh", peer) as make:
        peer.lists_zones = False
        provider = make()
        provider.add(ZONE, [OURS])
        assert peer.read(NAME) == [OURS.value]
        with pytest.raises(SolverError, match="lacks a right") as caught:
            provider.check()
        assert "four rights" in caught.value.hint
        with pytest.raises(SolverError, match=r"no zone tailspintoys\.com"):
            provider.add("tailspintoys.com", [OURS])


@pytest.mark.parametrize(
    ("key", "said"),
    [("consumer_key", "consumer key"), ("application_key", "endpoint"), ("application_secret", "new one")],
)
def test_ovh_says_which_of_the_three_keys_is_wrong(key: str, said: str) -> None:
    with dns_ovh.serve() as peer, reached("ovh", peer) as make, pytest.raises(SolverError) as caught:
        make(**{key: CANARY}).check()
    assert said in caught.value.hint
    assert CREDENTIAL in caught.value.hint
    assert CANARY not in "\n".join(caught.value.explain())


def test_ovh_knows_three_regions() -> None:
    keys = {"application_key": CANARY, "application_secret": CANARY, "consumer_key": CANARY}
    assert "endpoint" in refusal("ovh", endpoint="ovh-mars", **keys)
