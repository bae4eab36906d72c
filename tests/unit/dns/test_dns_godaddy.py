"""What is particular to `godaddy`; what all DNS providers keep is in `tests/contract/test_dns_providers.py`."""

import pytest

from certwright.domain.errors import SolverError
from peers import dns_godaddy
from peers.dns_peer import Fault
from world.dns_accounts import CREDENTIAL, reached, refusal

CANARY = "canary-4711"


def test_godaddy_says_which_scopes_a_token_needs() -> None:
    with dns_godaddy.serve() as peer, reached("godaddy", peer) as make:
        peer.fail(Fault.FORBIDDEN)
        with pytest.raises(SolverError) as caught:
            make().check()
    assert "domains.dns:update" in caught.value.hint
    assert CREDENTIAL in caught.value.hint


def test_godaddy_does_not_take_the_former_pair_of_key_and_secret() -> None:
    told = refusal("godaddy", api_key=CANARY, api_secret=CANARY)
    assert "api_key: there is no such parameter" in told
    assert CANARY not in told
