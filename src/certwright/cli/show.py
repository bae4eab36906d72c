"""How things look to a person: tables of certificates, plans, ports and journals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from certwright.cli.streams import plain
from certwright.domain.deployment import Finding, Plan, ServedRow, Severity, Verdict
from certwright.domain.readiness import Readiness, Report
from certwright.domain.runs import Entry, Phase

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDE = 130  # columns that a table of ports wants
WIDE_FOR_SERVERS = 160  # columns that it wants for several servers
COLOURS = {Verdict.OK: "green", Verdict.NOT_VERIFIED: "yellow", Verdict.STALE: "red", Verdict.REGRESSION: "red"}


def table(
    headers: Sequence[str], rows: Iterable[Sequence["str | Text"]], title: str | None = None, padding: int = 1
) -> "Table":
    """A plain table; cells are text, never markup. `padding` is the room right of each cell, in columns."""
    from rich import box  # noqa: PLC0415 - Rich is loaded only where it is used
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, padding, 0, 0))
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(cell)) if isinstance(cell, str) else cell for cell in row))
    return made


def served(console: "Console", rows: Sequence[ServedRow], title: str | None = None) -> "Table":
    """What every port served before and serves now, as wide as `console` allows."""
    from rich.text import Text  # noqa: PLC0415 - Rich is loaded only where it is used

    narrow = console.width < WIDE
    several = len({row.server for row in rows}) > 1
    before, now = ("Before", "Now") if narrow else ("Served before", "Served now")
    headers = ["Service", "Port", "Protocol", before, now, "Names covered", "Verdict"]
    cells: list[Sequence[str | Text]] = [
        [
            *([row.server] if several else []),
            row.service,
            str(row.port) if narrow else f"{row.address}:{row.port}",
            row.protocol.replace(" ", "\n") if narrow else row.protocol,
            _served(row.shown_before, narrow=narrow),
            _served(row.shown_now, narrow=narrow),
            "\n".join(row.names) or "none",
            Text(plain(f"{row.verdict}{': ' + row.detail if row.detail else ''}"), style=COLOURS[row.verdict]),
        ]
        for row in rows
    ]
    where = "" if several or not rows else f" on {rows[0].server}"
    return table(["Server", *headers] if several else headers, cells, f"{title or 'Served'}{where}", 0 if narrow else 2)


def served_tables(console: "Console", rows: Sequence[ServedRow], title: str) -> Iterator["Table"]:
    """One table, or one for each server where `console` has no room for their names."""
    servers = dict.fromkeys(row.server for row in rows)
    if console.width >= WIDE_FOR_SERVERS:
        yield served(console, rows, title)
        return
    for server in servers:
        yield served(console, [row for row in rows if row.server == server], title)


def _served(shown: str, *, narrow: bool) -> str:
    return shown[:8] if narrow else shown.replace(" ", "\n", 1)


def plan_lines(plan: Plan) -> list[str]:
    """A plan as numbered lines, each change with its reason; waves are told apart where there are several."""
    lines = [*finding_lines(f for f in plan.findings if f.severity in (Severity.STOP, Severity.ASK))]
    several = len({change.wave for change in plan.changes}) > 1
    wave = None
    for number, change in enumerate(plan.changes, 1):
        if several and change.wave != wave:
            wave = change.wave
            lines.append(f"-- wave {wave}" if wave else "-- first, without any effect on what is served")
        parameters = ", ".join(f"{name} {value}" for name, value in change.parameters.items())
        lines += [f"{number}. {change.target}: {change.typed or f'{change.action} {parameters}'}", f"   {change.why}"]
    lines += finding_lines(f for f in plan.findings if f.severity not in (Severity.STOP, Severity.ASK))
    return lines or ["Nothing to change."]


_MARKS = {Severity.STOP: "refused", Severity.ASK: "asks", Severity.WARN: "warning", Severity.NOTE: "note"}
DIFFERS = {**_MARKS, Severity.STOP: "differs", Severity.ASK: "not verified"}
"""Of what was deployed: nothing is refused there, and nobody is asked."""


def finding_lines(findings: Iterable[Finding], marks: Mapping[Severity, str] = _MARKS) -> list[str]:
    """Findings as lines: how much they matter, what is the matter, and what to do; `marks` say the first."""
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.severity]}: {finding.message} [{finding.check}]")
        lines += [f"   {line}" for line in finding.remedy.splitlines()]
    return lines


def journal_lines(entries: Iterable[Entry]) -> list[str]:
    """A run's journal, a line for each entry."""
    depth: dict[int, int] = {0: -1}
    lines = []
    for entry in entries:
        if entry.phase is Phase.START:
            depth[entry.step] = depth.get(entry.parent, -1) + 1
        level = depth.get(entry.step, 0) + (1 if entry.phase is Phase.NOTE else 0)
        at = f"{entry.at:%Y-%m-%d %H:%M:%S}" if entry.at else ""
        ended = f"{entry.outcome}: " if entry.outcome else ""
        detail = f" ({entry.detail})" if entry.detail else ""
        lines.append(f"{at} {'  ' * level}{ended}{entry.title}{detail}")
    return lines


def report_lines(report: Report) -> list[str]:
    """The report of a test, as lines: what fails first, each with its evidence and the next step."""
    order = [Readiness.FAILED, Readiness.WARNING, Readiness.NOT_LOOKED_AT, Readiness.OK]
    lines = []
    for check in sorted(report.checks, key=lambda c: order.index(c.verdict)):
        lines.append(f"{check.verdict:<13} {check.subject}: {check.evidence} [{check.check}]")
        lines += [f"              {line}" for line in check.fix.splitlines()]
    failed, unseen = report.count(Readiness.FAILED), report.count(Readiness.NOT_LOOKED_AT)
    verdict = (
        f"{failed} of {len(report.checks)} checks failed: mend these first."
        if failed
        else f"Nothing{' that was looked at' if unseen else ''} keeps a request from succeeding."
    )
    return [*lines, "", f"{report.title}: {verdict}"]
