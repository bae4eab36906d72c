"""What is particular to `hetzner`; what all DNS providers keep is in `tests/contract/test_dns_providers.py`."""

import pytest

from certwright.domain.errors import SolverError
from certwright.sdk.dns import TxtRecord
from peers import dns_hetzner
from peers.dns_peer import ZONE
from peers.vendor import Reply
from world.dns_accounts import reached

NAME = f"_acme-challenge.{ZONE}"
OURS = TxtRecord(NAME, "ours" * 10)


@pytest.mark.parametrize(
    "hindrance",
    [
        dns_hetzner.refused(423, "locked", "item is locked (there is already an Action running)"),
        dns_hetzner.refused(409, "conflict", "resource has changed during the request, please retry"),
    ],
)
def test_hetzner_is_asked_again_when_another_change_is_under_way(hindrance: Reply) -> None:
    with dns_hetzner.serve() as peer, reached("hetzner", peer) as make:
        provider = make()
        for change, there in ((provider.add, [OURS.value]), (provider.remove, [])):
            peer.hindrances = [hindrance] * 2
            change(ZONE, [OURS])
            assert peer.hindrances == []
            assert peer.read(NAME) == there
        peer.hindrances = [hindrance] * 100
        with pytest.raises(SolverError, match="refused"):
            provider.add(ZONE, [OURS])


def test_hetzner_is_not_asked_again_for_what_it_will_never_do() -> None:
    with dns_hetzner.serve() as peer, reached("hetzner", peer) as make:
        peer.hindrances = [dns_hetzner.refused(422, "incorrect_zone_mode", "not supported for this zone")] * 10
        with pytest.raises(SolverError, match="refused") as caught:
            make().add(ZONE, [OURS])
        assert caught.value.causes == ("not supported for this zone",)
        assert len(peer.hindrances) == 9


def test_hetzner_may_take_a_change_and_not_carry_it_out() -> None:
    with dns_hetzner.serve() as peer, reached("hetzner", peer) as make:
        peer.fails_actions = True
        with pytest.raises(SolverError, match="did not carry out") as caught:
            make().add(ZONE, [OURS])
    assert caught.value.retryable
    assert caught.value.causes == ("Action failed",)
