"""The verdict on every kind of port, and what follows from it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow, Verdict
from certwright.exchange.deployment.announced import Unannounced
from certwright.exchange.model import Connector, Service
from certwright.exchange.verification.ports import Port, Sight, shown
from certwright.exchange.verification.verify import (
    RESTARTS,
    Before,
    Patience,
    awaited_restarts,
    baseline,
    before_of,
    judge,
    judge_undone,
    person_restarts,
    public_names,
    served,
    settle,
)
from certwright.exchange.verification.web import GOOD, Answered
from certwright.probe import Endpoint, FailureKind, Greeting, Observation, ProbeFailure
from peers.exchange_task import Authority

SERVER, OTHER, NAME = "ex01.contoso.test", "ex02.contoso.test", "mail.contoso.test"
AUTHORITY = Authority()
OLD, NEW, THIRD = (AUTHORITY.issue().facts for _ in range(3))
NOW = NEW.not_before
GOOD_WEB = Answered(GOOD, "HTTP 302", "owa 302")
BAD_WEB = Answered("503 /owa/", "HTTP 503", "owa 503")


def port(way: str, number: int = 443, server: str = SERVER, *, shared: bool = False) -> Port:
    return Port(server, way, Endpoint("10.0.0.1", number), shared=shared)


IIS, NO_SNI, WEB, SIGN_IN = (port(way) for way in ("IIS", "IIS-NO-SNI", "WEB", "SIGN-IN"))
BACKEND, SMTP, POPS, TRANSPORT = port("BACKEND", 444), port("SMTP", 25), port("POPS", 995), port("TRANSPORT", 717)
LDAPS, PUBLIC = port("LDAPS", 50636), port("IIS", server=NAME, shared=True)
PUBLIC_SMTP = port("SMTP", 25, NAME, shared=True)


def sight(at: Port, leaf: CertificateFacts | None = None, answered: Answered | None = None, **seen: Any) -> Sight:
    failure = ProbeFailure(FailureKind.REFUSED, "refused") if leaf is None and answered is None else None
    values = {"protocol": "TLSv1.3", "failure": failure, **seen}
    return Sight(at, Observation(at.target(NAME), leaf=leaf, **values), answered)


def verdict(
    now: Sight,
    before: CertificateFacts | str | None,
    *others: Sight,
    earlier: Before | None = None,
    unannounced: Mapping[str, Unannounced] | None = None,
) -> ServedRow:
    known = {now.port.key: before if isinstance(before, str) else shown(before), **(earlier or {})}
    return judge([now, *others], known, NEW.sha256, NOW, unannounced or {})[0]


@pytest.mark.parametrize("at", [IIS, NO_SNI, SMTP, POPS, PUBLIC], ids=lambda p: p.way)
@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [(OLD, NEW, Verdict.OK), (OLD, OLD, Verdict.STALE), (OLD, None, Verdict.REGRESSION), (None, OLD, "not verified")],
)
def test_what_gets_the_certificate_must_serve_it(
    at: Port, before: CertificateFacts | None, now: CertificateFacts | None, expected: str
) -> None:
    assert verdict(sight(at, now), before).verdict == expected


@pytest.mark.parametrize(
    ("at", "before", "now", "expected"),
    [
        (BACKEND, OLD, OLD, Verdict.OK),
        (BACKEND, OLD, NEW, Verdict.REGRESSION),
        (BACKEND, OLD, None, Verdict.REGRESSION),
        (BACKEND, None, None, Verdict.NOT_VERIFIED),
        (BACKEND, None, OLD, Verdict.NOT_VERIFIED),
        (TRANSPORT, OLD, OLD, Verdict.OK),
        (TRANSPORT, OLD, NEW, Verdict.OK),
        (TRANSPORT, OLD, THIRD, Verdict.NOT_VERIFIED),
        (TRANSPORT, OLD, None, Verdict.NOT_VERIFIED),
        (LDAPS, OLD, NEW, Verdict.OK),
        (LDAPS, OLD, THIRD, Verdict.NOT_VERIFIED),
    ],
)
def test_what_is_the_servers_own_stays_or_is_only_shown(
    at: Port, before: CertificateFacts | None, now: CertificateFacts | None, expected: Verdict
) -> None:
    found = verdict(sight(at, now), before)
    assert found.verdict is expected
    undone = judge_undone([sight(at, now)], {at.key: shown(before)}, NEW.sha256, Service.NONE, NOW)
    assert undone[0].verdict is expected


def test_the_back_end_says_how_it_is_mended() -> None:
    assert "bind its earlier one to port 444" in verdict(sight(BACKEND, NEW), OLD).detail


@pytest.mark.parametrize("at", [TRANSPORT, LDAPS, PUBLIC_SMTP], ids=lambda p: p.way)
def test_what_tells_nothing_while_it_is_closed_has_no_row(at: Port) -> None:
    closed = [sight(at)]
    assert judge(closed, {}, NEW.sha256, NOW, {}) == []
    assert judge_undone(closed, {}, NEW.sha256, Service.NONE, NOW) == []
    assert baseline(closed, NOW) == ()
    assert len(judge([sight(PUBLIC)], {}, NEW.sha256, NOW, {})) == 1


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(GOOD_WEB, GOOD, Verdict.OK), (BAD_WEB, GOOD, Verdict.REGRESSION), (BAD_WEB, "503 /owa/", Verdict.NOT_VERIFIED)],
)
def test_web_services_have_a_row_of_their_own(now: Answered, before: str, expected: Verdict) -> None:
    found = verdict(sight(WEB, answered=now), before)
    assert (found.service, found.verdict, found.before, found.now) == ("web", expected, before, now.shown)
    assert found.protocol == now.protocol
    assert found.valid is (now is GOOD_WEB)
    (undone,) = judge_undone([sight(WEB, answered=now)], {WEB.key: before}, NEW.sha256, Service.NONE, NOW)
    assert undone.verdict is expected


def test_the_baseline_of_every_kind_is_found_again() -> None:
    sights = [sight(IIS, OLD), sight(NO_SNI, THIRD), sight(WEB, answered=BAD_WEB), sight(SIGN_IN, answered=GOOD_WEB)]
    before = before_of(baseline(sights, NOW))
    assert before == {
        IIS.key: shown(OLD),
        NO_SNI.key: shown(THIRD),
        WEB.key: "503 /owa/",
        SIGN_IN.key: GOOD,
    }


# --- why a port serves another certificate -----------------------------------------------------------------------


def test_a_binding_for_the_host_name_hides_the_change() -> None:
    found = verdict(sight(IIS, OLD), OLD, sight(NO_SNI, NEW), earlier={NO_SNI.key: shown(OLD)})
    assert found.verdict is Verdict.STALE
    assert "clients that name the host (SNI) get" in found.detail
    assert "Get-WebBinding -Protocol https" in found.detail


def test_clients_without_sni_may_go_on_getting_what_they_alone_got() -> None:
    found = verdict(sight(NO_SNI, THIRD), THIRD, sight(IIS, NEW), earlier={IIS.key: shown(OLD)})
    assert found.verdict is Verdict.NOT_VERIFIED
    assert "as before" in found.detail
    together = verdict(sight(NO_SNI, OLD), OLD, sight(IIS, NEW), earlier={IIS.key: shown(OLD)})
    assert together.verdict is Verdict.STALE
    assert "name no host (no SNI)" in together.detail


def test_a_proxy_with_a_certificate_of_its_own_is_told_not_blamed() -> None:
    found = verdict(sight(PUBLIC, THIRD), THIRD, sight(IIS, NEW), earlier={IIS.key: shown(OLD)})
    assert found.verdict is Verdict.NOT_VERIFIED
    assert "stands in front" in found.detail
    behind = verdict(sight(PUBLIC, OLD), OLD, sight(IIS, NEW), earlier={IIS.key: shown(OLD)})
    assert behind.verdict is Verdict.STALE
    changed = verdict(sight(PUBLIC, OLD), THIRD, sight(IIS, NEW), earlier={IIS.key: shown(OLD)})
    assert changed.verdict is Verdict.STALE


def test_smtp_that_no_connector_announces_serves_the_servers_own_as_before() -> None:
    own = AUTHORITY.certificate
    facts = CertificateFacts.of(own)
    found = {SERVER: Unannounced((str(facts.common_name),), ("Set-ReceiveConnector ...",))}
    told = verdict(sight(SMTP, facts), facts, unannounced=found)
    assert told.verdict is Verdict.NOT_VERIFIED
    assert "Set-ReceiveConnector ..." in told.detail
    assert verdict(sight(SMTP, OLD), OLD, unannounced=found).verdict is Verdict.STALE
    assert verdict(sight(IIS, facts), facts, unannounced=found).verdict is Verdict.STALE


def test_the_receive_connector_that_answered_is_named() -> None:
    front = Connector("Default Frontend EX01", "receive", NAME, server="EX01", ports=(25,), role="FrontendTransport")
    greeting = Greeting(f"{NAME} Microsoft ESMTP", NAME)
    (row,) = judge([sight(SMTP, NEW, greeting=greeting)], {}, NEW.sha256, NOW, {}, [front])
    assert row.detail == "answered by the receive connector 'Default Frontend EX01'"
    (row,) = judge([sight(SMTP, OLD, greeting=greeting)], {SMTP.key: shown(OLD)}, NEW.sha256, NOW, {}, [front])
    assert row.detail.startswith("serves another certificate")
    assert row.detail.endswith("'Default Frontend EX01'")
    (row,) = judge([sight(PUBLIC_SMTP, NEW, greeting=greeting)], {}, NEW.sha256, NOW, {}, [front])
    assert row.detail == ""


def test_a_greeting_by_a_name_that_the_certificate_does_not_have_is_told() -> None:
    greeting = Greeting("other.contoso.test Microsoft ESMTP", "other.contoso.test")
    (row,) = judge([sight(SMTP, NEW, greeting=greeting)], {}, NEW.sha256, NOW, {})
    assert (row.verdict, row.detail) == (
        Verdict.OK,
        "calls itself other.contoso.test, a name that its certificate does not have",
    )
    (row,) = judge([sight(TRANSPORT, NEW, greeting=greeting)], {}, NEW.sha256, NOW, {})
    assert "calls itself" not in row.detail


def test_an_old_protocol_is_told() -> None:
    assert "nothing newer than TLSv1," in verdict(sight(IIS, NEW, protocol="TLSv1"), OLD).detail


# --- what follows ------------------------------------------------------------------------------------------------


def test_what_the_servers_themselves_serve_counts_for_the_plan() -> None:
    sights = [
        sight(IIS, NEW),
        sight(NO_SNI, OLD),
        sight(BACKEND, OLD),
        sight(TRANSPORT, OLD),
        sight(PUBLIC, OLD),
        sight(WEB, answered=GOOD_WEB),
        sight(SMTP, OLD),
    ]
    found = served(sights, NEW.sha256)
    assert set(found) == {SERVER}
    assert (found[SERVER].new, found[SERVER].other) == (Service.IIS, Service.SMTP)


def rows(*stale: Port, ok: tuple[Port, ...] = ()) -> list[ServedRow]:
    sights = [*(sight(p, OLD) for p in stale), *(sight(p, NEW) for p in ok)]
    return judge(sights, {p.key: shown(OLD) for p in (*stale, *ok)}, NEW.sha256, NOW, {})


def test_smtp_waits_for_a_restart_only_where_that_can_be_the_reason() -> None:
    assert awaited_restarts([SMTP, IIS], rows(SMTP, ok=(IIS,)), lambda _: False) is None
    assert awaited_restarts([SMTP, IIS], rows(SMTP, ok=(IIS,)), lambda _: False, lambda _: True) == [SMTP]
    assert awaited_restarts([SMTP, IIS], rows(SMTP, IIS), lambda _: False, lambda _: False) is None
    assert awaited_restarts([WEB], judge([sight(WEB, answered=BAD_WEB)], {WEB.key: GOOD}, NEW.sha256, NOW, {}),
                            lambda _: False) is None  # fmt: skip


def test_a_public_name_waits_with_its_servers() -> None:
    both = [POPS, port("POPS", 995, NAME, shared=True)]
    assert awaited_restarts(both, rows(*both), lambda _: False) == [POPS]
    assert awaited_restarts(both[1:], rows(both[1]), lambda _: False) is None


def test_the_exact_command_for_a_person() -> None:
    told = "\n".join(person_restarts([SMTP, POPS], "Contoso").explain())
    assert f"On {SERVER} run: Restart-Service MSExchangeFrontEndTransport, MSExchangeTransport" in told
    assert f"On {SERVER} run: Restart-Service {', '.join(RESTARTS[Service.POP])}" in told
    assert f"SMTP on {SERVER} and POP on {SERVER}" in told
    assert "restart_transport" in told
    assert "restart_transport" not in "\n".join(person_restarts([POPS], "Contoso").explain())


def test_the_names_that_clients_come_by() -> None:
    facts = AUTHORITY.issue([NAME, "*.contoso.test", "autodiscover.contoso.test", "10.0.0.1"]).facts
    assert public_names(facts) == (NAME, "autodiscover.contoso.test")


# --- patience ----------------------------------------------------------------------------------------------------


def test_it_is_looked_at_until_all_is_well_at_once() -> None:
    closed = Port(SERVER, "IIS", Endpoint("127.0.0.1", 1))
    outcomes = [Verdict.REGRESSION, Verdict.STALE, Verdict.OK, Verdict.STALE]
    seen: list[Verdict] = []

    def judged(sights: list[Sight]) -> list[ServedRow]:
        seen.append(outcomes[len(seen)])
        return [r.model_copy(update={"verdict": seen[-1]}) for r in baseline(sights, NOW)]

    (row,) = settle([closed], NAME, judged, Patience(total=60, first=0, longest=0))
    assert row.verdict is Verdict.OK
    assert seen == outcomes[:3]


def test_patience_ends_and_what_is_not_waited_for_ends_it_at_once() -> None:
    closed = Port(SERVER, "POPS", Endpoint("127.0.0.1", 1))

    def stale(sights: list[Sight]) -> list[ServedRow]:
        return [r.model_copy(update={"verdict": Verdict.STALE}) for r in baseline(sights, NOW)]

    hour = timedelta(hours=1).total_seconds()
    assert settle([closed], NAME, stale, Patience(total=0))[0].verdict is Verdict.STALE
    assert settle([closed], NAME, stale, Patience(total=hour, first=hour), lambda _: False)[0].verdict is Verdict.STALE
