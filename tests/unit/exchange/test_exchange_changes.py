"""A change as it is shown, sent, typed by hand, and recognised afterwards; and what is remembered of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, ServedRow, Verdict
from certwright.exchange import changes, memory
from certwright.exchange.memory import Before
from certwright.exchange.model import Certificate, ServerInfo, ServerState, Service
from certwright.exchange.ports import Port, Sight, shown
from certwright.exchange.verify import awaited_restarts, before_of, judge, judge_undone, person_restarts, served
from certwright.probe import Endpoint, FailureKind, Observation, ProbeFailure, Target
from certwright.remoting.psrp import SecureString
from peers.exchange_task import Authority, MemoryInMemory

THUMBPRINT = "AB" * 20
AUTHORITY = Authority()
OLD, NEW = AUTHORITY.issue().facts, AUTHORITY.issue().facts
EXPIRED = AUTHORITY.issue(days=-1, age=9).facts
NOW = NEW.not_before


def test_what_is_sent_is_what_is_shown_but_for_the_file_and_its_password() -> None:
    change = changes.import_certificate("ex01", THUMBPRINT, 1, "Contoso mail", "it is not there")
    sent = changes.command(change, {"FileData": b"PFX", "Password": SecureString("once")})
    assert sent.name == change.action
    assert sent.parameters == {
        "Server": "ex01",
        "FileData": b"PFX",
        "Password": SecureString("once"),
        "PrivateKeyExportable": False,
        "FriendlyName": "Contoso mail",
        "Confirm": False,
    }


def test_switches_and_lists_are_typed() -> None:
    enabled = changes.enable("ex01", THUMBPRINT, Service.SMTP | Service.IIS, "", do_not_require_ssl=True)
    assert changes.command(enabled, {}).parameters == {
        "Server": "ex01",
        "Thumbprint": THUMBPRINT,
        "Services": "IIS, SMTP",
        "DoNotRequireSsl": True,
        "Force": True,
        "Confirm": False,
    }
    restarted = changes.restart("ex01", ("MSExchangePOP3", "MSExchangePOP3BE"), "")
    assert changes.command(restarted, {}).parameters["Name"] == ["MSExchangePOP3", "MSExchangePOP3BE"]


def test_a_friendly_name_is_cut_to_what_exchange_takes() -> None:
    change = changes.import_certificate("ex01", THUMBPRINT, 0, "x" * 100, "")
    assert len(change.parameters["FriendlyName"]) == 63


@given(st.text())
def test_nothing_that_is_typed_by_hand_can_break_out_of_its_quotes(name: str) -> None:
    change = changes.set_name(name, Service.POP, "mail.contoso.test", "")
    quotes = "'\u2018\u2019\u201a\u201b"
    typed = change.typed
    assert typed.startswith("Set-PopSettings -Server '")
    inner = typed.removeprefix("Set-PopSettings -Server '").removesuffix(
        "' -X509CertificateName 'mail.contoso.test' -Confirm:$false"
    )
    assert not re.search(f"[{quotes}]", re.sub(f"([{quotes}])\\1", "", inner))


def state(**changed: object) -> ServerState:
    certificate = Certificate(
        THUMBPRINT, services=Service.IIS | Service.SMTP, has_private_key=True, iis_sites=frozenset({1})
    )
    values = {"certificates": (certificate,), "internal_transport": THUMBPRINT, "pop_name": "mail.contoso.test"}
    return ServerState("ex01", ServerInfo("EX01", ""), **{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "seen", "done"),
    [
        (changes.import_certificate("ex01", THUMBPRINT, 0, "", ""), state(), True),
        (changes.import_certificate("ex01", THUMBPRINT, 0, "", ""), state(certificates=()), False),
        (
            changes.import_certificate("ex01", THUMBPRINT, 0, "", ""),
            state(certificates=(Certificate(THUMBPRINT, has_private_key=False),)),
            False,
        ),
        (changes.enable("ex01", THUMBPRINT, Service.IIS, ""), state(), True),
        (changes.enable("ex01", THUMBPRINT, Service.POP, ""), state(), False),
        (changes.enable("ex01", THUMBPRINT, Service.SMTP, ""), state(internal_transport="CD"), False),
        (changes.enable("ex01", THUMBPRINT, Service.IIS, ""), state(certificates=(Certificate(THUMBPRINT),)), False),
        (changes.set_name("ex01", Service.POP, "mail.contoso.test", ""), state(), True),
        (changes.set_name("ex01", Service.IMAP, "mail.contoso.test", ""), state(), False),
        (changes.restart("ex01", ("MSExchangePOP3",), ""), state(), False),
    ],
)
def test_a_change_is_recognised_only_where_exchange_shows_it(change: Change, seen: ServerState, done: bool) -> None:
    assert changes.is_done(change, seen) is done


class TestMemory:
    """What stands when runs die."""

    def test_an_attempt_at_the_same_version_keeps_what_the_first_remembered(self) -> None:
        store = MemoryInMemory()
        memory.begin(store, NEW, "ex01", Before(web_site="A", internal="I"))
        kept = memory.begin(store, NEW, "ex01", Before(web_site=NEW.thumbprint, internal=NEW.thumbprint))
        assert kept == Before(web_site="A", internal="I")

    def test_another_version_remembers_anew_but_for_the_internal_transport(self) -> None:
        store = MemoryInMemory()
        memory.begin(store, OLD, "ex01", Before(web_site="A", internal="I"))
        kept = memory.begin(store, NEW, "ex01", Before(web_site=OLD.thumbprint, internal=OLD.thumbprint))
        assert kept == Before(web_site=OLD.thumbprint, internal="I")
        loaded = memory.load(store)
        assert loaded is not None
        assert loaded.versions == {OLD.thumbprint, NEW.thumbprint}

    def test_finished_is_forgotten(self) -> None:
        store = MemoryInMemory()
        memory.begin(store, NEW, "ex01", Before())
        memory.finish(store)
        assert memory.load(store) is None


# --- verdicts --------------------------------------------------------------------------------------------------------

PORT = Port("ex01", "IIS", Endpoint("127.0.0.1", 443))
POP = Port("ex01", "POPS", Endpoint("127.0.0.1", 995))


def sight(leaf: object = None, port: Port = PORT, failure: bool = False) -> Sight:
    told = ProbeFailure(FailureKind.REFUSED, "refused") if failure or leaf is None else None
    target = Target(port.endpoint.host, port.endpoint.port, server_name="mail.contoso.test")
    return Sight(port, Observation(target, leaf=leaf, protocol="TLSv1.3", failure=told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (OLD, sight(NEW), Verdict.OK),
        (None, sight(NEW), Verdict.OK),
        (OLD, sight(OLD), Verdict.STALE),
        (OLD, sight(EXPIRED), Verdict.STALE),
        (OLD, sight(), Verdict.REGRESSION),
        (OLD, sight(NEW, failure=True), Verdict.REGRESSION),
        (None, sight(), Verdict.NOT_VERIFIED),
        (None, sight(OLD), Verdict.NOT_VERIFIED),
    ],
)
def test_only_what_was_served_before_can_fail(before: CertificateFacts | None, now: Sight, verdict: Verdict) -> None:
    (row,) = judge([now], {PORT.key: shown(before)}, NEW.sha256, NOW, {})
    assert row.verdict is verdict
    assert row.before == shown(before)


@pytest.mark.parametrize(
    ("before", "now", "kept", "verdict"),
    [
        (OLD, sight(OLD), Service.NONE, Verdict.OK),
        (OLD, sight(NEW), Service.NONE, Verdict.STALE),
        (OLD, sight(NEW), Service.IIS, Verdict.OK),
        (NEW, sight(NEW), Service.NONE, Verdict.OK),
        (OLD, sight(EXPIRED), Service.IIS, Verdict.STALE),
        (OLD, sight(), Service.IIS, Verdict.REGRESSION),
        (None, sight(), Service.NONE, Verdict.NOT_VERIFIED),
    ],
)
def test_after_an_undo_what_was_there_before_is_right(
    before: CertificateFacts | None, now: Sight, kept: Service, verdict: Verdict
) -> None:
    (row,) = judge_undone([now], {PORT.key: shown(before)}, NEW.sha256, kept, NOW)
    assert row.verdict is verdict


def test_a_version_that_expired_meanwhile_may_not_stay() -> None:
    (row,) = judge_undone([sight(EXPIRED)], {PORT.key: shown(OLD)}, EXPIRED.sha256, Service.IIS, NOW)
    assert row.verdict is Verdict.STALE


def test_a_service_serves_a_version_only_if_all_its_ports_do() -> None:
    pop3 = Port("ex01", "POP", Endpoint("127.0.0.1", 110))
    found = served([sight(NEW), sight(NEW, POP), sight(OLD, pop3)], NEW.sha256)
    assert found["ex01"].new == Service.IIS
    assert found["ex01"].other == Service.POP


def row(port: Port, verdict: Verdict) -> ServedRow:
    return ServedRow(
        server=port.server,
        service=str(port.service),
        address=port.endpoint.host,
        port=port.endpoint.port,
        protocol="",
        verdict=verdict,
    )


def test_a_person_is_asked_only_when_nothing_else_is_wrong() -> None:
    rows = [row(PORT, Verdict.OK), row(POP, Verdict.STALE)]
    assert awaited_restarts([PORT, POP], rows, lambda _: False) == [POP]
    assert awaited_restarts([PORT, POP], rows, lambda _: True) is None
    assert awaited_restarts([PORT, POP], [row(PORT, Verdict.STALE), rows[1]], lambda _: False) is None
    assert awaited_restarts([PORT], [row(PORT, Verdict.OK)], lambda _: False) == []
    asked = "\n".join(person_restarts([POP, POP], "Contoso").explain())
    assert asked.count("Restart-Service MSExchangePOP3, MSExchangePOP3BE") == 1


def test_rows_are_found_again_by_server_and_port() -> None:
    kept = row(PORT, Verdict.OK).model_copy(update={"before": "x"})
    assert before_of([kept])[PORT.key] == "x"
