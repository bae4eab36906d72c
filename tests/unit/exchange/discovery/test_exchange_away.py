import pytest

from certwright.exchange.discovery.away import away
from certwright.exchange.discovery.servers import Membership

ACTIVE = {"ServerWideOffline": "Active", "HubTransport": "Active"}


@pytest.mark.parametrize("components", [ACTIVE, {}, None])
def test_a_server_at_work_is_not_away(components: dict[str, str] | None) -> None:
    assert not away(components, Membership("DAG1", "Unrestricted"))


def test_copies_that_never_become_active_are_no_maintenance() -> None:
    assert not away(ACTIVE, Membership("DAG1", "Blocked"))


def test_a_server_taken_out_of_service() -> None:
    reason = away({"ServerWideOffline": "Inactive"}, Membership("DAG1", "Blocked", moves_active_copies=True))
    assert "ServerWideOffline is Inactive" in reason
    assert "DatabaseCopyActivationDisabledAndMoveNow" in reason
    assert "Blocked" in reason


def test_a_paused_node() -> None:
    assert "DAG1" in away(ACTIVE, Membership("DAG1"), paused=True)


def test_an_update_in_progress() -> None:
    assert "setup" in away(None, None, updating="Mailbox")
