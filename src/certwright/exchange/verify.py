"""Is it served? Judges what the ports show, before and after; the ports are the truth, whatever Exchange says."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.errors import NeedsPerson
from certwright.domain.identifiers import IdentifierType
from certwright.exchange import changes
from certwright.exchange.apply import Left
from certwright.exchange.host import MAIL_SERVICES
from certwright.exchange.model import MAIL_ACCESS, ServerState, Service
from certwright.exchange.plan import Served, Unannounced
from certwright.exchange.ports import SHOWN_DIGITS, Port, Sight, look, row, shown

Before = Mapping[tuple[str, str, int], str | None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for services that switch with a delay, in seconds: in all, and the first and longest pause."""

    total: float = 300
    first: float = 1
    longest: float = 20


def before_of(baseline: Iterable[ServedRow]) -> Before:
    """What each port served, by `Port.key`."""
    return {(r.server, r.address, r.port): r.before for r in baseline}


def baseline(sights: Iterable[Sight], now: datetime) -> tuple[ServedRow, ...]:
    """Rows of what is served before anything is done."""
    return tuple(row(s, shown(s.leaf), Verdict.NOT_VERIFIED, now) for s in sights)


def served(sights: Iterable[Sight], sha256: str) -> dict[str, Served]:
    """By server: services that serve the version on all ports that answer, and services that serve another one."""
    found: dict[str, dict[bool, Service]] = {}
    for sight in sights:
        if sight.leaf is not None:
            kinds = found.setdefault(sight.port.server, {True: Service.NONE, False: Service.NONE})
            kinds[sight.leaf.sha256 == sha256] |= sight.port.service
    return {server: Served(kinds[True] & ~kinds[False], kinds[False]) for server, kinds in found.items()}


def is_stale(sights: Iterable[Sight], sha256: str) -> bool | None:
    """Whether a port that answers serves another version; None if no port was looked at."""
    seen = [s.leaf.sha256 != sha256 if s.leaf else False for s in sights]
    return any(seen) if seen else None


def judge(
    sights: Iterable[Sight], before: Before, sha256: str, now: datetime, unannounced: Mapping[str, Unannounced]
) -> list[ServedRow]:
    """The verdict on each port for the version with this SHA-256; a port that was closed before proves nothing.

    Nor does SMTP on servers in `unannounced`, as long as it serves the server's own certificate as it did before.
    """
    rows = []
    for sight in sights:
        earlier = before.get(sight.port.key)
        judged = _judged(sight, earlier, sha256, now)
        found = unannounced.get(sight.port.server) if sight.port.service is Service.SMTP else None
        unchanged = judged.verdict is Verdict.STALE and judged.now == earlier
        if unchanged and found and sight.leaf and found.explains(sight.leaf):
            why = f"serves the server's own certificate as before, for no connector announces our name. {found.advice}"
            judged = row(sight, earlier, Verdict.NOT_VERIFIED, now, why)
        rows.append(judged)
    return rows


def _judged(sight: Sight, before: str | None, sha256: str, now: datetime) -> ServedRow:
    if sight.leaf is None:
        if before is None:
            return row(sight, before, Verdict.NOT_VERIFIED, now)
        return row(sight, before, Verdict.REGRESSION, now)
    if sight.leaf.sha256 == sha256:
        if sight.seen.failure is not None and before is not None:
            return row(sight, before, Verdict.REGRESSION, now)
        return row(sight, before, Verdict.OK, now)
    verdict = Verdict.NOT_VERIFIED if before is None else Verdict.STALE
    return row(sight, before, verdict, now, f"serves another certificate: {shown(sight.leaf)}")


def judge_undone(sights: Iterable[Sight], before: Before, sha256: str, kept: Service, now: datetime) -> list[ServedRow]:
    """The verdict on each port after an undo.

    `sha256` is of the version that was taken back, `kept` the services that may go on serving it: Exchange cannot
    take an assignment to SMTP, POP or IMAP back, and a certificate that has expired is not put back.
    """
    rows = []
    for sight in sights:
        earlier = before.get(sight.port.key)
        judged = _judged(sight, earlier, sha256, now)
        if judged.verdict is Verdict.STALE and judged.now == earlier:
            judged = row(sight, earlier, Verdict.OK, now, "serves what it served before")
        elif judged.verdict is Verdict.OK and earlier is not None and not earlier.startswith(sha256[:SHOWN_DIGITS]):
            verdict = Verdict.OK if sight.port.service in kept and judged.valid else Verdict.STALE
            judged = row(sight, earlier, verdict, now, "keeps the new certificate, which is valid")
        rows.append(judged)
    return rows


def settle(
    ports: Sequence[Port],
    name: str,
    judge_all: Callable[[list[Sight]], list[ServedRow]],
    patience: Patience,
    waits_for: Callable[[Port], bool] = lambda _: True,
) -> list[ServedRow]:
    """Look until nothing is wrong or patience ends; what `waits_for` denies may go on serving another certificate."""
    deadline = time.monotonic() + patience.total
    pause = patience.first
    while True:
        rows = judge_all(look(ports, name))
        pending = any(
            r.verdict is Verdict.REGRESSION or (r.verdict is Verdict.STALE and waits_for(p))
            for r, p in zip(rows, ports, strict=True)
        )
        left = deadline - time.monotonic()
        if not pending or left <= 0:
            return rows
        time.sleep(min(pause, left))
        pause = min(pause * 2, patience.longest)


def awaited_restarts(
    ports: Sequence[Port], rows: Sequence[ServedRow], is_current: Callable[[Port], bool]
) -> list[Port] | None:
    """Ports of POP and IMAP that only a restart can bring up to date; None if anything else is wrong.

    `is_current` tells that a service was restarted with the right settings, so that this cannot be the reason.
    """
    wrong = [p for r, p in zip(rows, ports, strict=True) if r.verdict.is_failure]
    stale = [p for r, p in zip(rows, ports, strict=True) if r.verdict is Verdict.STALE and _restarts(p, is_current)]
    return stale if len(stale) == len(wrong) else None


def _restarts(port: Port, is_current: Callable[[Port], bool]) -> bool:
    return port.service in MAIL_ACCESS and not is_current(port)


def person_restarts(ports: Iterable[Port], title: str) -> NeedsPerson:
    """What a person has to do for these ports of POP and IMAP."""
    commands = {
        f"On {p.server} run: Restart-Service {', '.join(MAIL_SERVICES[p.service])}": f"{p.service} on {p.server}"
        for p in ports
    }
    names = list(dict.fromkeys(commands.values()))
    still = (
        "still serves the earlier certificate, and does"
        if len(names) == 1
        else ("still serve the earlier certificate, and do")
    )
    return NeedsPerson(
        f"{' and '.join(names)} {still} so until restarted; all else is done.",
        causes=list(commands),
        hint=f"After that run the deployment of {title!r} again to have it checked; with the parameter winrm the "
        "restart is done for you.",
    )


def person_completes(left: Sequence[Left], restarts: Iterable[Port], title: str) -> NeedsPerson:
    """What a person has to do for the changes that failed after mail services had moved."""
    commands = [f"In the Exchange Management Shell: {one.change.typed}" for one in left]
    awaited = dict.fromkeys((p.server, MAIL_SERVICES[p.service]) for p in restarts)
    commands += [f"Then on {server} run: Restart-Service {', '.join(services)}" for server, services in awaited]
    return NeedsPerson(
        "The new certificate is in use, but not all could be completed: "
        f"{', '.join(changes.title(one.change) for one in left)}.",
        causes=[*(one.failure for one in left), *commands],
        hint=f"The next run of {title!r} tries it again; or run the commands above.",
    )


def served_web_site(sights: Iterable[Sight], state: ServerState) -> str | None:
    """The thumbprint of what the web site of `state` is seen to serve, if that is in its store."""
    seen = {s.leaf.thumbprint for s in sights if s.leaf and s.port.server == state.server and s.port.way == "IIS"}
    return next((t for t in seen if state.certificate(t)), None) if len(seen) == 1 else None


def asked_name(facts: CertificateFacts, server: str) -> str:
    """The name that clients would ask for: the certificate's first plain host name."""
    names = [name.value for name in facts.names if name.type is IdentifierType.DNS]
    plain = next((name for name in names if not name.startswith("*")), None)
    return plain or next((name.replace("*", "mail", 1) for name in names), server)
