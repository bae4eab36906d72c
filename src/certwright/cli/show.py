"""How things look to a person: tables of certificates, plans, ports and journals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from certwright.domain.deployment import Plan, ServedRow, Verdict
from certwright.domain.runs import Entry, Phase

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDE = 110  # columns that a table of ports wants
_COLOURS = {Verdict.OK: "green", Verdict.NOT_VERIFIED: "yellow", Verdict.STALE: "red", Verdict.REGRESSION: "red"}


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
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def served(
    console: "Console", rows: Sequence[ServedRow], title: str | None = None, stands_for: Mapping[int, int] | None = None
) -> "Table":
    """What every port served before and serves now, as wide as `console` allows.

    `stands_for` names the standard port behind a mapped one.
    """
    from rich.text import Text  # noqa: PLC0415 - Rich is loaded only where it is used

    narrow = console.width < WIDE
    several = len({row.server for row in rows}) > 1
    before, now = ("Before", "Now") if narrow else ("Served before", "Served now")
    headers = ["Service", "Port", "Protocol", before, now, "Names covered", "Verdict"]
    cells: list[Sequence[str | Text]] = [
        [
            *([row.server] if several else []),
            row.service,
            _port(row, (stands_for or {}).get(row.port), narrow=narrow),
            row.protocol.replace(" ", "\n") if narrow else row.protocol,
            _served(row.before, narrow=narrow),
            _served(row.now, narrow=narrow),
            "\n".join(row.names) or "none",
            Text(f"{row.verdict}{': ' + row.detail if row.detail else ''}", style=_COLOURS[row.verdict]),
        ]
        for row in rows
    ]
    where = "" if several or not rows else f" on {rows[0].server}"
    return table(["Server", *headers] if several else headers, cells, f"{title or 'Served'}{where}", 0 if narrow else 2)


def _port(row: ServedRow, standard: int | None, *, narrow: bool) -> str:
    if narrow:
        return f"{standard}\n:{row.port}" if standard else str(row.port)
    address = f"{row.address}:{row.port}"
    return f"{standard} ({address})" if standard else address


def _served(shown: str | None, *, narrow: bool) -> str:
    if shown is None:
        return "nothing"
    return shown[:8] if narrow else shown.replace(" ", "\n", 1)


def plan_lines(plan: Plan) -> list[str]:
    """A plan as numbered lines, each change with its reason."""
    lines = [f"refused: {reason}" for reason in plan.refusals]
    for number, change in enumerate(plan.changes, 1):
        parameters = ", ".join(f"{name} {value}" for name, value in change.parameters.items())
        lines += [f"{number}. {change.target}: {change.typed or f'{change.action} {parameters}'}", f"   {change.why}"]
    lines += [f"note: {note}" for note in plan.notes]
    return lines or ["Nothing to change."]


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
