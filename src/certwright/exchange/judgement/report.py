"""A diagnosis for people: as text, and as one HTML page that can be sent to a colleague.

The page has no scripts and needs nothing from elsewhere; all that comes from Exchange or the network is escaped.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from certwright.domain.deployment import Finding, Severity
from certwright.exchange.judgement.checks import CHECKS
from certwright.exchange.judgement.doctor import Diagnosis
from certwright.exchange.judgement.html import Html, page, tag
from certwright.exchange.judgement.names import Coverage, NameVerdict, described
from certwright.exchange.judgement.status import ServerOverview, StoredCertificate
from certwright.exchange.steps import parts

_WIDTH = 100
_ADVICE = "Next step"
_CLEAN, _UNSEEN = "Found in order", "Not known"
_DRIFT = "What was deployed last"
_GROUPS = {
    Severity.STOP: "What stops a deployment",
    Severity.ASK: "What keeps unattended work off",
    Severity.WARN: "Warnings",
    Severity.NOTE: "Good to know",
}
_GOOD = frozenset({Coverage.COVERED, Coverage.OWN})


@dataclass(frozen=True, slots=True)
class _Table:
    """What is said in rows; the first cell of each may have a second line, which tells it from others.

    `marks` are the states of the rows, good, bad or plain, by which they are coloured.
    """

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...]


def text(diagnosis: Diagnosis) -> str:
    """The report as plain text, for a terminal or a mail."""
    lines = [_title(diagnosis), "=" * len(_title(diagnosis)), "", _verdict(diagnosis), _made(diagnosis)]
    for severity, heading in _GROUPS.items():
        if found := diagnosis.of(severity):
            lines += ["", heading, "-" * len(heading), *(line for finding in found for line in _paragraph(finding))]
    for table in _tables(diagnosis):
        lines += ["", table.caption, "-" * len(table.caption), *_records(table)]
    for heading, listed in _lists(diagnosis):
        lines += ["", heading, "-" * len(heading), *(line for one in listed for line in _wrapped(f"* {one}", "  "))]
    return "\n".join(lines) + "\n"


def html(diagnosis: Diagnosis) -> str:
    """The report as one page: for a browser, a phone or paper."""
    groups = [_group(heading, severity, diagnosis.of(severity)) for severity, heading in _GROUPS.items()]
    body = tag("main", _head(diagnosis), *groups, *map(_table, _tables(diagnosis)), *_seen(diagnosis))
    return page(_title(diagnosis), body)


def _title(diagnosis: Diagnosis) -> str:
    return f"Exchange organisation {diagnosis.organisation}" if diagnosis.organisation else "Exchange organisation"


def _verdict(diagnosis: Diagnosis) -> str:
    stops = len(diagnosis.of(Severity.STOP))
    if stops:
        return f"{stops} {'thing stops' if stops == 1 else 'things stop'} a deployment."
    warnings = len(diagnosis.of(Severity.WARN))
    if asked := len(diagnosis.of(Severity.ASK)):
        lacking = "one thing that it needs was" if asked == 1 else f"{asked} things that it needs were"
        return f"Unattended work stays off: {lacking} not seen. Nothing that was seen stops a deployment."
    if warnings:
        return f"Nothing stops a deployment; {warnings} {'thing needs' if warnings == 1 else 'things need'} a look."
    return "Nothing stops a deployment, and nothing needs a look."


def _made(diagnosis: Diagnosis) -> str:
    servers = sum(not server.unread for server in diagnosis.servers)
    return (
        f"Read on {diagnosis.taken_at:%Y-%m-%d at %H:%M} UTC from {servers} server{'' if servers == 1 else 's'}. "
        "Nothing was changed."
    )


def _tables(diagnosis: Diagnosis) -> Iterable[_Table]:
    if diagnosis.names:
        yield _Table(
            "Names that Exchange is asked for",
            ("Name", "On the certificate", "Asked for by", _ADVICE),
            tuple(map(_name_row, diagnosis.names)),
            tuple("good" if v.coverage in _GOOD else "bad" for v in diagnosis.names),
        )
    yield from map(_certificates, diagnosis.servers)
    if diagnosis.served:
        yield _Table(
            "What ports serve",
            ("Server", "Service", "Address", "Serves", "Names covered", "Verdict"),
            tuple(
                (
                    row.server or "public name",
                    row.service,
                    f"{row.address}:{row.port}",
                    row.shown_now,
                    ", ".join(row.names),
                    f"{row.verdict}{': ' + row.detail if row.detail else ''}",
                )
                for row in diagnosis.served
            ),
            tuple("bad" if row.verdict.is_failure else "plain" for row in diagnosis.served),
        )


def _lists(diagnosis: Diagnosis) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Which checks found nothing, and which did not see enough, with the servers; by their headings."""
    if diagnosis.unseen:
        yield _UNSEEN, tuple(f"{one.title}: {', '.join(where)}" for one, where in diagnosis.unseen.items())
    if diagnosis.clean:
        yield _CLEAN, tuple(one.title for one in diagnosis.clean)


def _name_row(verdict: NameVerdict) -> tuple[str, ...]:
    state = f"{verdict.coverage}, does not resolve" if verdict.resolves is False else verdict.coverage
    return (verdict.name, state, "; ".join(described(verdict.sources)), verdict.remedy)


def _certificates(server: ServerOverview) -> _Table:
    told = [
        f"Exchange {server.version}",
        f"site {server.site}" if server.site else "",
        f"availability group {server.dag}" if server.dag else "",
        f"left alone: {server.away}" if server.away else "",
        f"not read: {server.unread}" if server.unread else "",
        *server.drift,
    ]
    return _Table(
        f"Certificates on {server.name} ({'; '.join(filter(None, told))})",
        ("Certificate", "Whose", "Services", "Used by", "Ends", "Condition"),
        tuple(map(_certificate_row, server.certificates)),
        tuple({"valid": "good", "unknown": "plain"}.get(c.condition, "bad") for c in server.certificates),
    )


def _certificate_row(stored: StoredCertificate) -> tuple[str, ...]:
    owner = f"{stored.owner}: {stored.managed}" if stored.managed else stored.owner
    ends = f"{stored.not_after:%Y-%m-%d}" if stored.not_after else "not known"
    services = "not known" if stored.services is None else stored.services
    name = dict.fromkeys((stored.name, stored.thumbprint))
    return ("\n".join(name), owner, services, ", ".join(stored.uses), ends, stored.condition)


# --- as text ----------------------------------------------------------------------------------------------------------


def _paragraph(finding: Finding) -> list[str]:
    return [*_wrapped(f"* {finding.message}", "  "), *_advice(finding.remedy)]


def _advice(remedy: str) -> Iterable[str]:
    """Commands are not broken: a line of them is one command."""
    for are_commands, told in parts(remedy):
        yield from textwrap.indent(told, "      ").splitlines() if are_commands else _wrapped(f"  > {told}", "    ")


def _records(table: _Table) -> Iterable[str]:
    for row in table.rows:
        first, *rest = zip(table.headers, row, strict=True)
        told = "; ".join(f"{header.lower()}: {cell}" for header, cell in rest if cell and header != _ADVICE)
        yield from _wrapped(f"* {', '.join(first[1].split(chr(10)))}: {told}", "  ")
        yield from _advice(dict(rest).get(_ADVICE, ""))


def _wrapped(line: str, indent: str = "") -> list[str]:
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


# --- as a page --------------------------------------------------------------------------------------------------------


def _head(diagnosis: Diagnosis) -> Html:
    counts = [(len(diagnosis.of(severity)), severity, _counted(severity)) for severity in _GROUPS]
    counted = [tag("li", tag("b", str(number)), f" {word}", class_=kind) for number, kind, word in counts if number]
    counted.append(tag("li", tag("b", str(len(diagnosis.clean))), " in order", class_="good"))
    mark = "good" if diagnosis.passed else "stop"
    return tag(
        "header",
        tag("p", "Certwright examined", class_="over"),
        tag("h1", _title(diagnosis)),
        tag("p", _verdict(diagnosis), class_=f"verdict {mark}"),
        tag("ul", *counted, class_="counts", aria_label="Findings by severity"),
        tag("p", _made(diagnosis), class_="made"),
    )


def _counted(severity: Severity) -> str:
    words = {Severity.STOP: "stop a deployment", Severity.ASK: "keep unattended work off", Severity.WARN: "warnings"}
    return words.get(severity, "to know")


def _group(heading: str, severity: Severity, findings: Sequence[Finding]) -> Html:
    if not findings:
        return Html("")
    return tag("section", tag("h2", heading), *(_card(finding, severity) for finding in findings))


def _card(finding: Finding, severity: Severity) -> Html:
    known = CHECKS.get(finding.check)
    title = known.title if known else _DRIFT
    return tag(
        "article",
        tag("h3", tag("span", severity, class_="severity"), title, tag("span", finding.check, class_="id")),
        tag("p", finding.message),
        tag("div", tag("b", _ADVICE), *_told(finding.remedy), class_="remedy") if finding.remedy else "",
        class_=severity,
    )


def _told(remedy: str) -> Iterable[Html]:
    for are_commands, told in parts(remedy):
        yield tag("pre", *(tag("code", line) for line in told.split("\n"))) if are_commands else tag("p", told)


def _table(table: _Table) -> Html:
    """On a narrow screen each row becomes a card; the roles keep it a table for those who hear it."""
    head = tag("tr", *(tag("th", h, scope="col", role="columnheader") for h in table.headers), role="row")
    rows = [_row(table.headers, row, mark) for row, mark in zip(table.rows, table.marks, strict=True)]
    return tag(
        "section",
        tag(
            "table",
            tag("caption", tag("h2", table.caption)),
            tag("thead", head, role="rowgroup"),
            tag("tbody", *rows, role="rowgroup"),
            role="table",
        ),
    )


def _row(headers: Sequence[str], row: Sequence[str], mark: str) -> Html:
    (_, first), *rest = zip(headers, row, strict=True)
    name, _, more = first.partition("\n")
    heading = (name, tag("small", more)) if more else (name,)
    cells = [_cell(header, cell) for header, cell in rest]
    return tag("tr", tag("th", *heading, scope="row", role="rowheader"), *cells, class_=mark, role="row")


def _cell(header: str, cell: str) -> Html:
    told = _told(cell) if header == _ADVICE else (cell,)
    return tag("td", *told, data_label=header, role="cell", class_="" if cell else "empty")


def _seen(diagnosis: Diagnosis) -> Iterable[Html]:
    for heading, listed in _lists(diagnosis):
        kind = "clean" if heading == _CLEAN else "unseen"
        yield tag("section", tag("h2", heading), tag("ul", *(tag("li", one) for one in listed), class_=kind))
