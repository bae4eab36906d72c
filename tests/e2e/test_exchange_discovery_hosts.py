"""What the servers' own PowerShell adds to discovery, against the simulated organisation."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certwright.exchange.model import Binding
from certwright.exchange.snapshot import Snapshot
from certwright.exchange_simulator import ExchangeServer, SendConnector
from certwright.exchange_simulator.configuration import ScheduledTask
from certwright.exchange_simulator.web_bindings import WebBinding
from peers.exchange_reading import Stock, spec, stocked

pytestmark = pytest.mark.e2e
EVENTS = (12014, 12015, 12016, 12017, 12018)


def with_hosts(stock: Stock) -> Snapshot:
    return stock.discovered(winrm={stock.first.spec.fqdn: stock.first.winrm_url})


def bound(server: ExchangeServer) -> str:
    return next(b.thumbprint for b in server.state.web_bindings if b.site == 1)


def test_bindings_and_keys(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        thumbprint = bound(stock.first)
        stock.first.state.web_bindings.append(WebBinding(1, 443, thumbprint, host="mail.contoso.test"))
        (server,) = with_hosts(stock).servers
    assert not server.unknown
    assert server.host is not None
    assert server.host.bindings is not None
    assert Binding("*:443:mail.contoso.test", 1, thumbprint, sni=True) in server.host.bindings
    assert Binding("*:444:", 2, thumbprint) in server.host.bindings
    (key,) = [key for key in server.host.keys if key.thumbprint == thumbprint]
    assert "Microsoft" in key.provider
    assert key.spec == "Exchange"
    assert "NT AUTHORITY\\NETWORK SERVICE" in key.readers
    assert server.host.updating == ""


def test_a_key_that_a_key_storage_provider_keeps(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        state = stock.first.state
        thumbprint = bound(stock.first)
        changed = dataclasses.replace(
            state.certificates[thumbprint], provider="Microsoft Software Key Storage Provider"
        )
        state.certificates[thumbprint] = changed
        (server,) = with_hosts(stock).servers
    assert server.host is not None
    assert {key.thumbprint: key.provider for key in server.host.keys}[thumbprint] == ""


def test_a_server_in_the_middle_of_an_update_is_away(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        stock.first.state.update_in_progress = True
        (server,) = with_hosts(stock).servers
    assert server.host is not None
    assert "MailboxRole" in server.host.updating
    assert "setup of Exchange" in server.away


def test_other_clients_at_work(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        stock.first.state.scheduled_tasks += [
            ScheduledTask("win-acme renew (acme-v02.api.letsencrypt.org)"),
            ScheduledTask("simple-acme renew (acme-v02.api.letsencrypt.org)", enabled=False),
        ]
        stock.first.state.running["Certify.Service"] = True
        found = with_hosts(stock)
    assert {rival.product for rival in found.rivals} == {"win-acme", "Certify"}
    assert {rival.server for rival in found.rivals} == {"mail01.contoso.test"}


def test_a_host_that_does_not_answer_leaves_exchange_known(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        found = stock.discovered(winrm={stock.first.spec.fqdn: "https://127.0.0.1:1/wsman"})
    (server,) = found.servers
    assert server.host is None
    assert server.certificates
    assert [u.what for u in server.unknown if "own PowerShell" in u.what]


def test_what_transport_writes_to_the_log(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock, stock.reached(winrm=stock.first.winrm_url) as organisation:
        host = organisation.host(stock.first.spec.fqdn)
        assert host is not None
        since = datetime.now(UTC) - timedelta(minutes=5)
        assert host.events(since, EVENTS) == ()
        stock.organisation.state.send_connectors.append(
            SendConnector("Out", tls_certificate_name="<I>CN=nobody<S>CN=nothing")
        )
        stock.first.state.transport_changed()
        (event, *_) = host.events(since, EVENTS)
        assert event.id == 12014
        assert event.at is not None
        assert "Out" in event.message
        assert host.events(datetime.now(UTC) + timedelta(hours=1), EVENTS) == ()


def test_two_servers_and_one_known_host(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock:
        first, second = with_hosts(stock).servers
    assert first.host is not None
    assert second.host is None
