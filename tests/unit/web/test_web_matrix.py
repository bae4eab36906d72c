"""Ports as a matrix, and changes in words."""

import random

from certwright.domain.deployment import ServedRow, Verdict
from certwright.exchange.deployment import changes
from certwright.exchange.model import Connector, Service
from certwright.web.exchange_words import in_words, used
from certwright.web.language import spoken
from certwright.web.matrix import matrix
from unit.exchange.organisations import MAIL, NEW, facts


def row(server: str, service: str, port: int, verdict: Verdict, now: str | None = None) -> ServedRow:
    return ServedRow(
        server=server, service=service, address="::1", port=port, protocol="", now=now, valid=True, verdict=verdict
    )


def test_each_service_is_a_column_and_what_a_server_lacks_is_empty() -> None:
    seen = matrix(
        [
            row("ex01", "IIS", 443, Verdict.OK),
            row("ex01", "SMTP", 25, Verdict.OK),
            row("ex01", "SMTP", 587, Verdict.STALE),
            row("ex02", "SMTP", 25, Verdict.REGRESSION),
        ]
    )
    assert [each.title for each in seen.columns] == ["IIS 443", "SMTP 25", "SMTP 587"]
    assert [[cell and cell.verdict.value for cell in cells] for _, cells in seen.lines] == [
        ["ok", "ok", "stale"],
        [None, "regression", None],
    ]
    assert [each.verdict for each in seen.remarkable] == [Verdict.REGRESSION, Verdict.STALE]
    assert seen.counts == {"regression": 1, "stale": 1, "ok": 2}


def test_a_column_is_a_port_in_whatever_order_answers_come() -> None:
    every = [
        row(server, service, port, Verdict.NOT_VERIFIED)
        for server in ("ex01", "ex02")
        for service, port in (("IIS", 443), ("SMTP", 25), ("SMTP", 587), ("IMAP", 143), ("IMAP", 993), ("web", 443))
    ]
    titles = ["IIS 443", "web 443", "SMTP 25", "SMTP 587", "IMAP 143", "IMAP 993"]
    for seed in range(20):
        came = random.Random(seed).sample(every, len(every))
        for seen in (matrix(came), matrix(came[:7])):
            known = [each.title for each in seen.columns]
            assert known == [title for title in titles if title in known]
            for _, cells in seen.lines:
                pairs = zip(cells, seen.columns, strict=True)
                assert all(cell is None or cell.port == column.port for cell, column in pairs)
        assert len(matrix(came).columns) == len(titles)


def test_ports_that_each_server_has_of_its_own_are_told_one_by_one() -> None:
    ports = [("ex01", 40001), ("ex01", 40007), ("ex02", 40003)]
    seen = matrix(row(server, "SMTP", port, Verdict.OK) for server, port in ports)
    assert [(each.title, each.port) for each in seen.columns] == [("SMTP", None), ("SMTP 40007", 40007)]
    assert [[cell and cell.port for cell in cells] for _, cells in seen.lines] == [[40001, 40007], [40003, None]]


def test_a_port_that_nobody_judged_is_well_if_it_serves_what_is_expected() -> None:
    expected = facts()
    served = f"{expected.sha256[:16]} {MAIL}"
    rows = [row("ex01", "IIS", 443, Verdict.NOT_VERIFIED, served), row("ex02", "IIS", 443, Verdict.NOT_VERIFIED, "f00")]
    assert matrix(rows, expected).counts == {"not verified": 1, "ok": 1}
    assert matrix(rows).counts == {"not verified": 2}


def test_every_kind_of_change_has_a_sentence_in_the_readers_language() -> None:
    planned = [
        changes.import_certificate("ex01", NEW, 1, "mail", "why"),
        changes.import_issuers("ex01", NEW, 1, "why"),
        changes.enable("ex01", NEW, Service.IIS | Service.SMTP, "why"),
        changes.set_name("ex01", Service.POP, MAIL, "why"),
        changes.restart("ex01", ("W3SVC",), "why"),
        *(changes.name_certificate(Connector("Out", kind), "x", "why") for kind in changes.SET_CONNECTOR),
    ]
    told = [in_words(change) for change in planned]
    assert all(told)
    assert f"IIS, SMTP use the certificate {NEW[:8]}" in told[2]
    assert told[3] == f"Have POP choose its certificate by the name {MAIL}."
    with spoken("de"):
        assert not set(told) & {in_words(change) for change in planned}
        assert in_words(planned[2]) == f"Das Zertifikat {NEW[:8]} für IIS, SMTP benutzen."


def test_what_uses_a_certificate_is_told_in_the_readers_language() -> None:
    assert used("send connector To partner") == "send connector To partner"
    with spoken("de"):
        told = [used(each) for each in ("send connector To partner", "mail among servers", "Default Web Site")]
    assert told == ["Sendeconnector To partner", "E-Mail zwischen den Servern", "Default Web Site"]
