"""A change as it is shown, sent, typed by hand, and recognised afterwards; and what is remembered of it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, ServedRow, Verdict
from certwright.exchange.deployment import changes, memory
from certwright.exchange.deployment.memory import Before, Named
from certwright.exchange.model import Certificate, Connector, ServerInfo, ServerState, Service
from certwright.exchange.verification.ports import Port, Sight, shown
from certwright.exchange.verification.verify import (
    awaited_restarts,
    before_of,
    judge,
    judge_undone,
    person_restarts,
    served,
)
from certwright.probe import Endpoint, FailureKind, Observation, ProbeFailure, Target
from certwright.remoting.psrp import SecureString
from peers.exchange_task import Authority, MemoryInMemory

THUMBPRINT = "AB" * 20
RECEIVE = Connector("Default", "receive", server="ex01", identity="EX01\\Default")
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


def test_issuers_are_sent_without_password_and_typed_with_the_file_that_a_person_made() -> None:
    change = changes.import_issuers("ex01", THUMBPRINT, 2, "a port sends it alone")
    sent = changes.command(change, {"FileData": b"PFX", "Password": SecureString("once"), changes.ISSUERS: b"P7B"})
    assert sent.parameters == {"Server": "ex01", "FileData": b"P7B", "Confirm": False}
    assert change.parameters["FileData"] == f"(PKCS#7: 2 issuers of certificate {THUMBPRINT})"
    assert change.typed == (
        r"Import-ExchangeCertificate -Server 'ex01' -FileData ([System.IO.File]::ReadAllBytes('C:\issuers.p7b')) "
        "-Confirm:$false"
    )
    assert changes.title(change) == "ex01: import the certificate's issuers"
    assert changes.imports_issuers(change)
    assert not changes.imports_issuers(changes.import_certificate("ex01", THUMBPRINT, 2, "", ""))


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


def test_what_clears_a_name_is_null_and_what_is_not_known_yet_comes_after_the_import() -> None:
    cleared = changes.name_certificate(RECEIVE, None, "")
    assert changes.command(cleared, {}).parameters == {
        "Identity": "EX01\\Default",
        "TlsCertificateName": None,
        "Confirm": False,
    }
    assert cleared.typed == "Set-ReceiveConnector -Identity 'EX01\\Default' -TlsCertificateName $null -Confirm:$false"
    later = changes.name_imported(RECEIVE, THUMBPRINT, "ex01", "")
    written = {"TlsCertificateName": "<I>CN=A<S>CN=b"}
    assert changes.command(later, written).parameters["TlsCertificateName"] == "<I>CN=A<S>CN=b"
    known = changes.name_certificate(RECEIVE, "<I>CN=C<S>CN=d", "")
    assert changes.command(known, written).parameters["TlsCertificateName"] == "<I>CN=C<S>CN=d"
    assert changes.needs_name(later)
    assert not changes.needs_name(known)


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
        (changes.remove("ex01", THUMBPRINT, ""), state(), False),
        (changes.remove("ex01", "CD" * 20, ""), state(), True),
        (changes.name_certificate(RECEIVE, "<I>CN=A<S>CN=b", ""), state(connectors=(RECEIVE,)), False),
        (changes.name_certificate(RECEIVE, None, ""), state(connectors=(RECEIVE,)), True),
        (changes.name_certificate(RECEIVE, None, ""), state(connectors=None), False),
        (changes.name_imported(RECEIVE, THUMBPRINT, "ex01", ""), state(connectors=(RECEIVE,)), False),
    ],
)
def test_a_change_is_recognised_only_where_exchange_shows_it(change: Change, seen: ServerState, done: bool) -> None:
    assert changes.is_done(change, seen) is done


class TestBeyond:
    """What is planned and was not agreed to."""

    AGREED = (
        changes.enable("ex01", THUMBPRINT, Service.POP | Service.IMAP, "it is not assigned"),
        changes.name_imported(RECEIVE, THUMBPRINT, "ex01", "it names the earlier one"),
        changes.restart("ex01", ("MSExchangePOP3",), "it reads it when it starts"),
    )

    def test_the_rest_of_what_was_agreed_is_not(self) -> None:
        assert changes.beyond((), self.AGREED) == ()
        assert changes.beyond(self.AGREED[1:], self.AGREED) == ()
        fewer = changes.enable("ex01", THUMBPRINT, Service.POP, "for another reason")
        known = changes.name_certificate(RECEIVE, "<I>CN=CA<S>CN=mail", "it names the earlier one")
        assert changes.beyond((fewer, known.model_copy(update={"wave": 3})), self.AGREED) == ()

    @pytest.mark.parametrize(
        "change",
        [
            changes.enable("ex02", THUMBPRINT, Service.POP, ""),
            changes.enable("ex01", THUMBPRINT, Service.POP | Service.SMTP, ""),
            changes.enable("ex01", "CD" * 20, Service.POP, ""),
            changes.enable("ex01", THUMBPRINT, Service.POP | Service.IIS, "", do_not_require_ssl=True),
            changes.name_certificate(Connector("Other", "receive", server="ex01", identity="EX01\\Other"), "X", ""),
            changes.restart("ex01", ("W3SVC",), ""),
        ],
    )
    def test_anything_else_is(self, change: Change) -> None:
        assert changes.beyond((*self.AGREED, change), self.AGREED) == (change,)


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

    def test_what_connectors_named_at_first_stands_too(self) -> None:
        store = MemoryInMemory()
        for value in ("<I>CN=Old<S>CN=mail", "<I>CN=New<S>CN=mail"):
            named = Named.of(Connector("To partner", "send", tls_certificate_name=value, identity="To partner"), ())
            memory.begin_connectors(store, NEW, [named])
        memory.begin(store, NEW, "ex01", Before(), [Named.of(Connector("D", "receive", server="ex01"), ())])
        loaded = memory.load(store)
        assert loaded is not None
        assert [(n.connector.identity, n.before) for n in loaded.connectors] == [
            ("To partner", "<I>CN=Old<S>CN=mail"),
            ("D", None),
        ]

    def test_a_server_that_is_settled_is_so_until_it_is_begun_again(self) -> None:
        store = MemoryInMemory()
        memory.settle(store, "ex01")
        assert memory.load(store) is None
        memory.begin(store, NEW, "ex01", Before())
        memory.settle(store, "ex01")
        memory.settle(store, "ex01")
        settled = memory.load(store)
        assert settled is not None
        assert settled.settled == ("ex01",)
        memory.begin(store, NEW, "ex01", Before())
        begun = memory.load(store)
        assert begun is not None
        assert begun.settled == ()

    def test_imports_are_known_by_server_for_ever_until_removed(self) -> None:
        store = MemoryInMemory()
        for server in ("ex01", "ex02", "ex01"):
            memory.record_import(store, server, NEW.thumbprint)
        memory.record_import(store, "ex01", OLD.thumbprint)
        memory.finish(store)
        assert memory.imported(store) == {"ex01": (NEW.thumbprint, OLD.thumbprint), "ex02": (NEW.thumbprint,)}
        memory.forget_import(store, "ex01", NEW.thumbprint)
        assert memory.imported(store)["ex01"] == (OLD.thumbprint,)

    def test_what_ports_served_at_first_is_kept_for_a_run_that_goes_on(self) -> None:
        store = MemoryInMemory()
        before = {("ex01", "IIS", "127.0.0.1", 443): "abc mail", ("ex01", "SMTP", "::1", 25): None}
        assert memory.baseline(store) == {}
        memory.keep_baseline(store, before)
        assert memory.baseline(store) == before

    def test_what_web_sites_served_stands_whatever_becomes_of_deployments_until_one_leaves_nothing(self) -> None:
        store = MemoryInMemory()
        for version, web_site in ((OLD, "A"), (NEW, OLD.thumbprint), (NEW, "A")):
            memory.record_web_site(store, "ex01", web_site)
            memory.begin(store, version, "ex01", Before(web_site=web_site))
            memory.finish(store)
        assert memory.web_sites(store) == {"ex01": ("A", OLD.thumbprint)}
        memory.forget_web_sites(store)
        assert memory.web_sites(store) == {}

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
