"""What is refused before anything is changed, and what a person is asked to do."""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.domain.deployment import Verdict
from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.domain.keys import KeyType
from certwright.exchange_simulator import SendConnector, Status
from peers.exchange_task import Authority, World, deploy, pfx, run, spec, verdicts, world

pytestmark = pytest.mark.e2e


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_a_wrong_password_is_said_so_and_nothing_is_changed(one: World) -> None:
    ended = run(one.task(one.authority.issue(), password="hunter2"))
    assert ended.stage == "failed"
    assert "the user name or the password is wrong" in ended.told
    assert "hunter2" not in ended.told
    assert ended.error is not None
    assert not ended.error.retryable
    assert not one.mutations


def test_an_endpoint_with_an_untrusted_certificate_gets_no_password(one: World, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("Somebody else").pem)
    ended = run(one.task(one.authority.issue(), ca_file=str(other)))
    assert "is not trusted" in ended.told
    assert "ca_file" in ended.told
    assert not one.organisation.calls


def test_an_endpoint_whose_certificate_names_another_host_gets_no_password(tmp_path: Path) -> None:
    with world(tmp_path) as one:
        url = one.first.powershell_url.replace("127.0.0.1", "127.0.0.2")
        task = one.task(one.authority.issue(), endpoint=url, winrm=None)
        with pytest.raises(CertwrightError, match=r"is not for this host name|cannot be reached"):
            task.plan()
        assert not one.organisation.calls


def test_the_hosts_own_powershell_is_not_taken_for_exchange(one: World) -> None:
    ended = run(one.task(one.authority.issue(), endpoint=one.first.winrm_url))
    assert "Windows Remote Management instead of Exchange" in ended.told


def test_an_unknown_server_is_named(one: World) -> None:
    url = one.first.powershell_url
    ended = run(one.task(one.authority.issue(), servers="mail09", endpoint=url, winrm=None, verify="off"))
    assert ended.stage == "failed"
    assert "mail09" in ended.told


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"key": KeyType.ECDSA_P256}, "Exchange needs RSA"),
        ({"common_name": None}, "no common name"),
        ({"days": -0.5, "age": 5}, "not valid now"),
        ({"with_key": False}, "private key is not with us"),
    ],
)
def test_certificates_that_exchange_cannot_use_are_refused(one: World, wish: dict[str, object], reason: str) -> None:
    ended = run(one.task(one.authority.issue(**wish)))  # type: ignore[arg-type]
    assert ended.stage == "failed"
    assert reason in ended.told
    assert not one.mutations


def test_a_connector_that_names_another_certificate_is_only_noted(one: World) -> None:
    other = one.first.add_certificate(pfx(one.authority.issue(("partner.contoso.test",))), "pfx", services="SMTP")
    one.organisation.state.send_connectors.append(
        SendConnector("To partner", tls_certificate_name=other.tls_certificate_name)
    )
    plan, rows = deploy(one.task(one.authority.issue()))
    assert any("'To partner' names another certificate" in note for note in plan.notes)
    assert {row.verdict for row in rows} == {Verdict.OK}


def test_pop_and_imap_without_winrm_wait_for_a_person_with_the_exact_command(one: World) -> None:
    version = one.authority.issue()
    ended = run(one.task(version, winrm=None))
    assert ended.stage == "waiting"
    assert "On mail01.contoso.test run: Restart-Service MSExchangePOP3, MSExchangePOP3BE" in ended.told
    assert "On mail01.contoso.test run: Restart-Service MSExchangeIMAP4, MSExchangeIMAP4BE" in ended.told
    assert "Restart-Service" not in one.mutations

    assert run(one.task(version, winrm=None)).stage == "waiting"
    for name in ("MSExchangePOP3", "MSExchangeIMAP4"):
        one.first.state.start_service(name)
    done = len(one.mutations)
    ended = run(one.task(version, winrm=None))
    assert ended.stage == "deployed"
    assert len(one.mutations) == done


def test_winrm_given_later_restarts_what_is_still_stale(one: World) -> None:
    version = one.authority.issue()
    assert run(one.task(version, winrm=None)).stage == "waiting"
    one.organisation.mutations.clear()
    assert run(one.task(version)).stage == "deployed"
    assert one.mutations == ["Restart-Service", "Restart-Service"]


def test_a_host_that_does_not_answer_leaves_the_restart_to_a_person(one: World) -> None:
    ended = run(one.task(one.authority.issue(), winrm="https://127.0.0.1:9/wsman"))
    assert ended.stage == "waiting"
    assert "Restart-Service MSExchangePOP3" in ended.told
    assert "Not restarted" in one.journal.text


def test_services_that_do_not_run_are_not_started_and_prove_nothing(tmp_path: Path) -> None:
    with world(tmp_path, spec(mail_access=False)) as one:
        _, rows = deploy(one.task(one.authority.issue()))
        assert verdicts(rows) == {"IIS": {"ok"}, "SMTP": {"ok"}, "POP": {"not verified"}, "IMAP": {"not verified"}}
        assert "Restart-Service" not in one.mutations


def test_verification_can_be_turned_off_and_the_run_says_so(one: World) -> None:
    _, rows = deploy(one.task(one.authority.issue(), verify="off"))
    assert rows == ()
    assert "No port was looked at: the parameter verify leaves none" in one.journal.text


def test_an_account_without_rights_to_import_is_told_what_it_needs(tmp_path: Path) -> None:
    with world(tmp_path, hidden_cmdlets=["Import-ExchangeCertificate"]) as one:
        ended = run(one.task(one.authority.issue()))
        assert "does not see Import-ExchangeCertificate" in ended.told
        assert "Server Management" in ended.told
        assert not one.mutations


def test_an_account_that_cannot_read_send_connectors_or_the_auth_configuration_can_deploy(tmp_path: Path) -> None:
    with world(tmp_path, hidden_cmdlets=["Get-SendConnector", "Get-AuthConfig"]) as one:
        plan, rows = deploy(one.task(one.authority.issue()))
        assert any("may not read send connectors" in note for note in plan.notes)
        assert {row.verdict for row in rows} == {Verdict.OK}


def test_no_select_object_is_no_obstacle(tmp_path: Path) -> None:
    with world(tmp_path, hidden_cmdlets=["Select-Object"]) as one:
        version = one.authority.issue()
        deploy(one.task(version))
        assert not one.task(version).plan().changes


def test_a_certificate_that_exchange_finds_untrusted_is_not_used(one: World) -> None:
    version = one.authority.issue()
    one.first.add_certificate(pfx(version), "pfx", services="None").status = Status.UNTRUSTED
    ended = run(one.task(version))
    assert "its status there is Untrusted" in ended.told
    assert not one.mutations


class TestInternalTransport:
    """Keep it if it is self-signed, has its key, names the server and is valid for 60 days more."""

    def test_the_public_predecessor_gives_way_to_the_new_one(self, one: World) -> None:
        earlier, version = one.authority.issue(), one.authority.issue()
        one.first.add_certificate(pfx(earlier), "pfx", internal_transport=True)
        plan, _ = deploy(one.task(version, [earlier]))
        assert any("an earlier version of this very certificate" in note for note in plan.notes)
        assert one.first.state.internal_transport == version.facts.thumbprint

    def test_one_that_a_public_authority_signed_is_not_kept_unless_asked(self, one: World) -> None:
        other = one.authority.issue(("mail01.contoso.test",))
        one.first.add_certificate(pfx(other), "pfx", services="SMTP", internal_transport=True)
        plan, _ = deploy(one.task(one.authority.issue()))
        assert any("is not self-signed" in note for note in plan.notes)

    def test_it_can_be_asked_for(self, one: World) -> None:
        other = one.authority.issue(("mail01.contoso.test",))
        one.first.add_certificate(pfx(other), "pfx", services="SMTP", internal_transport=True)
        deploy(one.task(one.authority.issue(), keep_internal_transport_certificate=True))
        assert one.first.state.internal_transport == other.facts.thumbprint

    def test_it_can_be_declined(self, one: World) -> None:
        version = one.authority.issue()
        deploy(one.task(version, keep_internal_transport_certificate=False))
        assert one.first.state.internal_transport == version.facts.thumbprint

    def test_one_that_expires_soon_gives_way(self, one: World) -> None:
        version = one.authority.issue(days=3000)
        task = one.task(version)
        expiry = one.first.state.certificates[one.first.state.internal_transport].certificate.not_valid_after_utc
        task.context = dataclasses.replace(task.context, now=lambda: expiry - timedelta(days=30))
        plan, _ = deploy(task)
        assert any("in less than 60 days" in note for note in plan.notes)
        assert one.first.state.internal_transport == version.facts.thumbprint

    def test_one_without_key_gives_way(self, one: World) -> None:
        one.first.state.certificates[one.first.state.internal_transport].key = None
        version = one.authority.issue()
        plan = one.task(version).plan()
        assert any("has no private key" in note for note in plan.notes)


def test_a_missing_ca_file_is_a_configuration_error(one: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="1 parameter is wrong"):
        one.task(one.authority.issue(), ca_file=str(tmp_path / "none.pem")).plan()
