"""What was seen of ports, as a matrix: a line for each server, a column for each service."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow, Verdict
from certwright.exchange.verification.ports import SERVICES, SHOWN_DIGITS, is_standard

_LONE = 65536
"""In place of the number of a port that one server alone has: after all others."""
_Place = tuple[str, int, int]
"""The service of a column, the number of its port, and which it is of those that have the same."""
_WORST_FIRST = (Verdict.REGRESSION, Verdict.STALE, Verdict.NOT_VERIFIED, Verdict.OK)


@dataclass(frozen=True, slots=True)
class Column:
    """A service, on the `port` that is the same on every server; None if each has another one."""

    service: str
    port: int | None

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"{self.service} {self.port}" if self.port else self.service


@dataclass(frozen=True, slots=True)
class Matrix:
    """Each of `lines` is a server with what was seen in each of `columns`, None where there is nothing."""

    columns: tuple[Column, ...]
    lines: tuple[tuple[str, tuple[ServedRow | None, ...]], ...]

    @property
    def remarkable(self) -> tuple[ServedRow, ...]:
        """What is to be read about a port that does not simply serve what it should, the worst first."""
        every = [row for _, cells in self.lines for row in cells if row and row.verdict is not Verdict.OK]
        return tuple(sorted(every, key=lambda row: _WORST_FIRST.index(row.verdict)))

    @property
    def counts(self) -> dict[str, int]:
        """How many ports there are of each verdict, the worst first."""
        found = Counter(row.verdict for _, cells in self.lines for row in cells if row)
        return {verdict.value: found[verdict] for verdict in _WORST_FIRST if found[verdict]}


def matrix(rows: Iterable[ServedRow], expected: CertificateFacts | None = None) -> Matrix:
    """The matrix of these ports, as `judged`, in any order; several of one service on a server have columns each."""
    shown = [row for row in rows if not row.sends]
    places: dict[_Place, dict[str, ServedRow]] = {}
    for row, place in _placed(shown):
        places.setdefault(place, {})[row.server] = judged(row, expected)
    services = list(dict.fromkeys((*SERVICES, *(row.service for row in shown))))
    ordered = sorted(places, key=lambda place: (services.index(place[0]), *place[1:]))
    columns = tuple(_column(place[0], places[place].values()) for place in ordered)
    servers = dict.fromkeys(row.server for row in shown)
    return Matrix(columns, tuple((server, tuple(places[p].get(server) for p in ordered)) for server in servers))


def _placed(rows: Collection[ServedRow]) -> Iterator[tuple[ServedRow, _Place]]:
    """Each port with its column: that of its number, if others have it or it is a standard one, else the next free."""
    servers: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        servers.setdefault((row.service, row.port), set()).add(row.server)
    counted: Counter[tuple[str, str, int]] = Counter()
    for row in sorted(rows, key=lambda row: (row.port, row.address)):
        is_known = is_standard(row.service, row.port) or len(servers[row.service, row.port]) > 1
        number = row.port if is_known else _LONE
        yield row, (row.service, number, counted[row.server, row.service, number])
        counted[row.server, row.service, number] += 1


def judged(row: ServedRow, expected: CertificateFacts | None) -> ServedRow:
    """A port as it was judged; one that nobody judged is well if it serves what is `expected`."""
    serves_it = expected is not None and (row.now or "").startswith(expected.sha256[:SHOWN_DIGITS]) and row.valid
    return row.model_copy(update={"verdict": Verdict.OK}) if serves_it and row.verdict is Verdict.NOT_VERIFIED else row


def _column(service: str, rows: Iterable[ServedRow]) -> Column:
    ports = {row.port for row in rows}
    return Column(service, ports.pop() if len(ports) == 1 else None)
