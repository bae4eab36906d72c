"""Sessions that are passed on, break off or meet another domain controller, against the simulated organisation."""

from pathlib import Path

import pytest

from certwright.exchange.deployment.changes import SET_NAME
from certwright.exchange.model import Service
from certwright.exchange_simulator import Lag
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command
from peers.exchange_reading import spec, stocked

pytestmark = pytest.mark.e2e


def test_a_session_that_the_front_end_passes_on_reads_the_right_server(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock:
        stock.first.proxy_sessions_to(stock.organisation["MAIL02"])
        first, _ = stock.discovered().servers
    assert first.info.name == "MAIL01"
    assert {c.identity.partition("\\")[0].lower() for c in first.certificates} == {"mail01.contoso.test"}


def test_an_error_tells_which_server_answered(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock, stock.reached() as organisation:
        stock.first.proxy_sessions_to(stock.organisation["MAIL02"])
        session = organisation.session(stock.first.spec.fqdn)
        with pytest.raises(CommandFailed):
            session.read(Command("Get-TransportService", {"Identity": "MAIL09"}))
        assert session.answered_by == "MAIL02"


def test_a_session_is_opened_again_when_the_server_behind_it_restarts(tmp_path: Path) -> None:
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02")) as stock, stock.reached() as organisation:
        other = stock.organisation["MAIL02"]
        stock.first.proxy_sessions_to(other)
        server = stock.first.spec.fqdn
        before = organisation.state(server)
        stock.first.web_restarted_on(other)
        assert organisation.state(server) == before


def test_what_was_written_is_what_is_read_although_controllers_lag_behind(tmp_path: Path) -> None:
    lag = Lag(reads=1000)
    with (
        stocked(tmp_path, domain_controllers=("DC01", "DC02", "DC03"), replication_lag=lag) as stock,
        stock.reached() as organisation,
    ):
        server = stock.first.spec.fqdn
        organisation.state(server)
        change = Command(SET_NAME[Service.POP], {"X509CertificateName": "mail.contoso.test", "Server": server})
        organisation.session(server).change(change)
        for _ in range(3):
            assert organisation.state(server).pop_name == "mail.contoso.test"


def test_a_domain_controller_that_is_gone_is_given_up(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock, stock.reached() as organisation:
        organisation.directory.pin("dc99.contoso.test")
        assert organisation.state(stock.first.spec.fqdn).pop_name
        assert organisation.directory.controller == "DC01.contoso.test"


def test_a_change_by_an_account_that_may_not_choose_the_controller(tmp_path: Path) -> None:
    with stocked(tmp_path, hidden_parameters=("DomainController",)) as stock, stock.reached() as organisation:
        server = stock.first.spec.fqdn
        organisation.state(server)
        organisation.session(server).change(
            Command(SET_NAME[Service.POP], {"X509CertificateName": "mail.contoso.test", "Server": server})
        )
        assert organisation.state(server).pop_name == "mail.contoso.test"
        assert len(stock.organisation.mutations) == 1
