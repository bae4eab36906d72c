"""The order of servers, and work on several at the same time: pure, or with threads alone."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import DeploymentError, LeaseLost
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.waves import Order, Phase, numbered, order_servers, phase_of, pools_of, waves_of
from certwright.exchange.model import Connector, ServerInfo, ServerState, Service
from certwright.exchange.parallel import first_of, in_turn, side_by_side

NAMES = [f"ex{number:02}" for number in range(12)]


def states(*sites: str) -> list[ServerState]:
    return [ServerState(n, ServerInfo(n, n, site=s), ()) for n, s in zip(NAMES, sites, strict=False)]


@given(
    st.lists(st.sampled_from(["Berlin", "Paris", "berlin", ""]), min_size=1, max_size=12),
    st.one_of(st.none(), st.sampled_from(NAMES)),
    st.one_of(st.none(), st.integers(1, 4)),
    st.lists(st.sets(st.sampled_from(NAMES), min_size=1), max_size=2),
)
def test_every_server_changes_once_the_canary_first_and_no_wave_spans_two_pools(
    sites: list[str], canary: str | None, width: int | None, pools: list[set[str]]
) -> None:
    taken: set[str] = set()
    distinct = []
    for pool in pools:
        distinct.append(tuple(sorted(pool - taken)))
        taken |= pool
    order = Order(canary, tuple(filter(None, distinct)), width)
    found = states(*sites)
    waves = order_servers(found, order)
    names = [state.server for state in found]
    assert sorted(server for wave in waves for server in wave) == sorted(names)
    assert waves[0] == (canary if canary in names else names[0],)
    behind = {server: number for number, pool in enumerate(pools_of(found, order)) for server in pool}
    for wave in waves:
        assert len({behind[server] for server in wave}) <= 1
        assert width is None or len(wave) <= width


def test_the_canarys_own_pool_ends_first_so_that_it_is_mixed_for_the_shortest_time() -> None:
    waves = order_servers(states("Berlin", "Paris", "Paris", "Berlin"), Order("ex02"))
    assert [wave for wave in waves if wave] == [("ex02",), ("ex01",), ("ex00", "ex03")]


def test_no_servers_are_no_waves() -> None:
    assert order_servers([], Order()) == ()


def test_phases_are_in_the_order_of_the_way_back_and_empty_waves_are_not_counted() -> None:
    restart = changes.restart("ex00", ("MSExchangePOP3",), "")
    web = changes.restart("ex00", changes.WEB_SERVICES, "")
    bind = changes.enable("ex00", "A" * 40, Service.IIS, "")
    mail = changes.enable("ex00", "A" * 40, Service.SMTP, "")
    send = changes.name_certificate(Connector("x", "send"), None, "", target="organisation")
    made = list(numbered([[], [web, restart, mail, bind], [], [send]]))
    assert [phase_of(change) for change in made] == [
        Phase.WEB_SITE,
        Phase.REST,
        Phase.RESTART,
        Phase.WEB_RESTART,
        Phase.ORGANISATION,
    ]
    assert [change.wave for change in made] == [1, 1, 1, 1, 2]
    first, second = waves_of(made)
    assert first.servers == ("ex00",)
    assert second.servers == ()
    assert [change.action for change in second.phases[Phase.ORGANISATION]["organisation"]] == ["Set-SendConnector"]


class TestSideBySide:
    """Threads by server."""

    def test_all_are_under_way_at_the_same_time(self) -> None:
        barrier = threading.Barrier(5, timeout=20)

        def work(_: str) -> None:
            barrier.wait()

        assert not side_by_side(NAMES[:5], work, threading.Event())

    def test_one_that_fails_does_not_stop_the_others_and_is_told_by_name(self) -> None:
        done: list[str] = []

        def work(server: str) -> None:
            if server == "ex01":
                raise DeploymentError("refused")
            done.append(server)

        failed = side_by_side(NAMES[:3], work, threading.Event())
        assert sorted(done) == ["ex00", "ex02"]
        assert list(failed) == ["ex01"]
        assert first_of(failed).message == "refused"

    def test_two_failures_are_one_error_that_names_both(self) -> None:
        def work(server: str) -> None:
            raise DeploymentError(f"{server} refused")

        told = "\n".join(first_of(side_by_side(NAMES[:2], work, threading.Event())).explain())
        assert "2 servers failed: ex00, ex01" in told
        assert "ex01 refused" in told

    @pytest.mark.parametrize("count", [1, 3])
    @pytest.mark.parametrize("ends", [LeaseLost, KeyboardInterrupt])
    def test_what_ends_the_run_ends_it_for_all(self, ends: type[BaseException], count: int) -> None:
        stop = threading.Event()

        def work(server: str) -> None:
            if server == "ex00":
                raise ends("taken over")
            assert stop.wait(20)

        with pytest.raises(ends):
            side_by_side(NAMES[:count], work, stop)

    def test_in_turn_means_one_after_the_other(self) -> None:
        order: list[str] = []
        assert not in_turn(NAMES[:4], order.append)
        assert order == NAMES[:4]
