"""What stands in front with a copy of its own is told from a server that serves the earlier certificate still."""

import pytest

from certwright.domain.deployment import ServedRow, Verdict
from certwright.exchange.verification.balancers import own_copies, person_installs
from certwright.exchange.verification.ports import Port
from certwright.exchange.verification.verify import awaited_restarts
from certwright.probe import Endpoint

FIRST, SECOND = (Port(f"ex0{n}.contoso.test", "IIS", Endpoint(f"10.0.0.{n}", 443)) for n in (1, 2))
FRONT = Port("mail.contoso.test", "IIS", Endpoint("10.0.0.9", 443), shared=True)
OLD, NEW = "aa mail.contoso.test", "bb mail.contoso.test"
PORTS = (FIRST, SECOND, FRONT)


def row(port: Port, now: str | None, verdict: Verdict, before: str | None = OLD) -> ServedRow:
    server, service, address, number = port.key
    return ServedRow(
        server=server, service=service, address=address, port=number, protocol="", before=before, now=now,
        verdict=verdict,
    )  # fmt: skip


BOTH_NEW = [row(FIRST, NEW, Verdict.OK), row(SECOND, NEW, Verdict.OK)]


def test_one_that_serves_the_earlier_one_when_all_servers_serve_the_new_one_ends_tls_itself() -> None:
    rows = [*BOTH_NEW, row(FRONT, OLD, Verdict.STALE)]
    assert own_copies(PORTS, rows) == [FRONT]
    assert awaited_restarts(PORTS, rows, lambda _: False) == []
    told = "\n".join(person_installs([FRONT], "Contoso mail").explain())
    assert "10.0.0.9:443 still presents the earlier certificate" in told
    assert "certwright certificate export 'Contoso mail' --format pfx" in told


def test_if_it_was_so_before_that_counts_for_our_earlier_versions_alone() -> None:
    rows = [*BOTH_NEW, row(FRONT, OLD, Verdict.NOT_VERIFIED)]
    assert own_copies(PORTS, rows) == []
    assert own_copies(PORTS, rows, {OLD}) == [FRONT]


@pytest.mark.parametrize(
    "rows",
    [
        [BOTH_NEW[0], row(SECOND, OLD, Verdict.STALE), row(FRONT, OLD, Verdict.STALE)],
        [*BOTH_NEW, row(FRONT, "cc else", Verdict.STALE)],
        [*BOTH_NEW, row(FRONT, None, Verdict.REGRESSION)],
        [row(FIRST, None, Verdict.NOT_VERIFIED), row(FRONT, OLD, Verdict.STALE)],
    ],
    ids=["a server is behind", "it changed to another", "closed", "no server was seen"],
)
def test_everything_else_is_what_its_verdict_says(rows: list[ServedRow]) -> None:
    assert own_copies(PORTS, rows) == []
    assert awaited_restarts(PORTS, rows, lambda _: False) is None
