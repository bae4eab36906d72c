"""Is it served? Judges what the ports show, before and after; the ports are the truth, whatever Exchange says."""

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import PortKey, ServedRow, Verdict, failures
from certwright.domain.errors import NeedsPerson
from certwright.domain.identifiers import IdentifierType
from certwright.exchange.access.host import MAIL_SERVICES
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.announced import Unannounced
from certwright.exchange.deployment.apply import Left
from certwright.exchange.deployment.situation import Served
from certwright.exchange.model import Connector, Service
from certwright.exchange.verification import balancers, chains, web
from certwright.exchange.verification.ports import SHOWN_DIGITS, WAYS, Duty, Port, Sight, look, row, told
from certwright.exchange.verification.receive import unlike, who_answered

Before = Mapping[PortKey, str | None]

RESTARTS = {**MAIL_SERVICES, Service.SMTP: changes.TRANSPORT_SERVICES}
"""By service, the Windows services that load its certificate when they start."""

_BINDINGS = "to see its bindings, run there: Get-WebBinding -Protocol https"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for services that switch with a delay, in seconds: in all, and the first and longest pause."""

    total: float = 300
    first: float = 1
    longest: float = 20


def before_of(baseline: Iterable[ServedRow]) -> Before:
    """What each port served, by `Port.key`."""
    return {r.key: r.before for r in baseline}


def baseline(sights: Iterable[Sight], now: datetime) -> tuple[ServedRow, ...]:
    """Rows of what is served before anything is done."""
    seen = [s for s in sights if s.shown is not None or not s.port.may_be_closed]
    return tuple(row(s, s.shown, Verdict.NOT_VERIFIED, now, s.answered.detail if s.answered else "") for s in seen)


def served(sights: Iterable[Sight], sha256: str, issuers: Sequence[x509.Certificate] = ()) -> dict[str, Served]:
    """By server: services that serve the version on all ports that answer, and services that serve another one.

    `issuers` are the certificates that are imported with it.
    """
    sights, alone = tuple(sights), set()
    found: dict[str, dict[bool, Service]] = {}
    for sight in sights:
        port = sight.port
        if sight.leaf is not None and port.duty is Duty.NEW and WAYS[port.way].sends_name and not port.shared:
            kinds = found.setdefault(port.server, {True: Service.NONE, False: Service.NONE})
            kinds[sight.leaf.sha256 == sha256] |= port.service
            alone |= {port.server} if chains.gap(sight, sha256, issuers) else set()
    return {
        server: Served(kinds[True] & ~kinds[False], kinds[False], server in alone, served_web_site(sights, server))
        for server, kinds in found.items()
    }


def is_stale(sights: Iterable[Sight], sha256: str) -> bool | None:
    """Whether a port serves another version; None if none is seen to serve any."""
    seen = [s.leaf.sha256 != sha256 for s in sights if s.leaf]
    return any(seen) if seen else None


def judge(
    sights: Sequence[Sight],
    before: Before,
    sha256: str,
    now: datetime,
    unannounced: Mapping[str, Unannounced],
    connectors: Sequence[Connector] = (),
) -> list[ServedRow]:
    """The verdict on each port for the version with this SHA-256; a port that was closed before proves nothing.

    Nor does SMTP on servers in `unannounced`, as long as it serves the server's own certificate as it did before; nor
    a public name behind which something else has always presented a certificate of its own. `connectors` tell which of
    them answered. A port that is only shown has no row while it is closed.
    """
    rows = []
    for sight, earlier in _to_judge(sights, before):
        judged = _judged(sight, earlier, sha256, now)
        if judged.verdict is Verdict.STALE:
            judged = _reconsidered(judged, sight, sights, before, now, unannounced.get(sight.port.server))
        details = (judged.detail, *_greeted(sight, connectors))
        rows.append(judged.model_copy(update={"detail": "; ".join(filter(None, details))}))
    return rows


def _to_judge(sights: Iterable[Sight], before: Before) -> Iterator[tuple[Sight, str | None]]:
    """What was seen, each with what was served there before; without ports that may be closed, and have always been."""
    for sight in sights:
        earlier = before.get(sight.port.key)
        if not (sight.shown is None and earlier is None and sight.port.may_be_closed):
            yield sight, earlier


def _judged(sight: Sight, before: str | None, sha256: str, now: datetime) -> ServedRow:
    """The verdict on one port by itself."""
    if sight.answered is not None:
        verdict, why = web.judge(sight.answered, before)
        return row(sight, before, verdict, now, why)
    if sight.leaf is None:
        closed = before is None or sight.port.duty is Duty.NONE
        return row(sight, before, Verdict.NOT_VERIFIED if closed else Verdict.REGRESSION, now)
    if sight.port.duty is not Duty.NEW:
        return _unchanged(sight, before, sha256, now)
    if sight.leaf.sha256 == sha256:
        if sight.seen.failure is not None and before is not None:
            return row(sight, before, Verdict.REGRESSION, now)
        return row(sight, before, Verdict.OK, now)
    stale = Verdict.NOT_VERIFIED if before is None else Verdict.STALE
    return row(sight, before, stale, now, f"serves another certificate: {told(sight.leaf)}")


def _unchanged(sight: Sight, before: str | None, sha256: str, now: datetime) -> ServedRow:
    """The verdict on a port that should serve what it served before, or is shown only."""
    if sight.shown == before:
        return row(sight, before, Verdict.OK, now, "unchanged, as it should be")
    if before is None:
        return row(sight, before, Verdict.NOT_VERIFIED, now, "it is not known what it served before")
    if sight.leaf is not None and sight.leaf.sha256 == sha256 and sight.port.duty is Duty.NONE:
        return row(sight, before, Verdict.OK, now, "serves the new one")
    if sight.port.duty is Duty.NONE:
        return row(sight, before, Verdict.NOT_VERIFIED, now, "serves another certificate than before")
    return row(
        sight,
        before,
        Verdict.REGRESSION,
        now,
        "the Exchange Back End serves another certificate than before, by which Outlook on the web and the management "
        "shell can fail: in IIS Manager bind its earlier one to port 444 of that site again",
    )


def _reconsidered(
    judged: ServedRow,
    sight: Sight,
    sights: Sequence[Sight],
    before: Before,
    now: datetime,
    found: Unannounced | None,
) -> ServedRow:
    """A port that serves another certificate: where that is as it was and for a reason, it proves nothing."""
    earlier = before.get(sight.port.key)
    unchanged, reason = judged.now == earlier, ""
    if unchanged and found and sight.port.service is Service.SMTP and sight.leaf and found.explains(sight.leaf):
        reason = f"serves the server's own certificate as before, for no connector announces our name. {found.advice}"
    elif unchanged and sight.port.shared and _stands_in_front(sight.port, earlier, sights, before):
        reason = (
            "what stands in front of the servers presents a certificate of its own, as before: install the new one "
            "there too, if it is to present it; Extended Protection needs the same one at both"
        )
    elif sibling := _sibling(sight, sights):
        if unchanged and not WAYS[sight.port.way].sends_name and before.get(sibling.port.key) != earlier:
            reason = f"clients that name no host (SNI) get another certificate, as before; {_BINDINGS}"
        elif sibling.leaf and judged.now != sibling.shown:
            how = "name the host (SNI)" if WAYS[sight.port.way].sends_name else "name no host (no SNI)"
            seen = f"clients that {how} get {judged.shown_now}, the others {told(sibling.leaf)}"
            hidden = f"{seen}: a binding of its own hides the change; {_BINDINGS}"
            return judged.model_copy(update={"detail": hidden})
    return row(sight, earlier, Verdict.NOT_VERIFIED, now, reason) if reason else judged


def _stands_in_front(port: Port, earlier: str | None, sights: Iterable[Sight], before: Before) -> bool:
    """Whether none of the servers served before what the shared `port` did."""
    others = {before.get(s.port.key) for s in sights if s.port.service is port.service and not s.port.shared}
    others.discard(None)
    return bool(others) and earlier not in others


def _sibling(sight: Sight, sights: Iterable[Sight]) -> Sight | None:
    """The same web site looked at with a host name, if it was without, and the other way round."""
    port, pair = sight.port, {"IIS", "IIS-NO-SNI"} - {sight.port.way}
    if len(pair) > 1:
        return None
    return next(
        (s for s in sights if s.port.way in pair and (s.port.server, s.port.endpoint) == (port.server, port.endpoint)),
        None,
    )


def _greeted(sight: Sight, connectors: Sequence[Connector]) -> Iterator[str]:
    """Who answered on a port of SMTP, and whether the certificate has the name by which that greets."""
    port, greeting = sight.port, sight.seen.greeting
    if greeting is None or WAYS[port.way].starttls != "smtp" or port.shared:
        return
    yield who_answered(port.server, port.endpoint.port, greeting, connectors, sight.source)
    if sight.leaf is not None and port.duty is Duty.NEW:
        yield unlike(greeting, sight.leaf)


def judge_undone(sights: Iterable[Sight], before: Before, sha256: str, kept: Service, now: datetime) -> list[ServedRow]:
    """The verdict on each port after an undo.

    `sha256` is of the version that was taken back, `kept` the services that may go on serving it: Exchange cannot
    take an assignment to SMTP, POP or IMAP back, and a certificate that has expired is not put back.
    """
    rows = []
    for sight, earlier in _to_judge(sights, before):
        judged = _judged(sight, earlier, sha256, now)
        if judged.verdict is Verdict.STALE and judged.now == earlier:
            judged = row(sight, earlier, Verdict.OK, now, "serves what it served before")
        elif _is_new(sight, judged) and earlier is not None and not earlier.startswith(sha256[:SHOWN_DIGITS]):
            verdict = Verdict.OK if sight.port.service in kept and judged.valid else Verdict.STALE
            judged = row(sight, earlier, verdict, now, "keeps the new certificate, which is valid")
        rows.append(judged)
    return rows


def _is_new(sight: Sight, judged: ServedRow) -> bool:
    return judged.verdict is Verdict.OK and sight.answered is None and sight.port.duty is Duty.NEW


def settle(
    ports: Sequence[Port],
    name: str,
    judge_all: Callable[[list[Sight]], list[ServedRow]],
    patience: Patience,
    waits_for: Callable[[Port], bool] = lambda _: True,
    heard: Callable[[Sight], None] = lambda _: None,
) -> list[ServedRow]:
    """Look until nothing is wrong or patience ends; what `waits_for` denies may go on serving another certificate.

    Every port is looked at each time, so that in the end all were right at the same time; but nobody signs in again
    where that has worked.
    """
    known = {port.key: port for port in ports}
    good: dict[PortKey, Sight] = {}

    def again() -> list[ServedRow]:
        seen = {s.port.key: s for s in look([p for p in ports if p.key not in good], name, heard=heard)} | good
        rows = judge_all([seen[key] for key in known])
        fine = {r.key for r in rows if r.verdict is Verdict.OK}
        good.update({key: seen[key] for key in fine if WAYS[known[key].way].sparing})
        return rows

    return patiently(again, patience, lambda r: r.verdict is not Verdict.STALE or waits_for(known[r.key]))


def patiently(
    look_again: Callable[[], list[ServedRow]],
    patience: Patience,
    waits_for: Callable[[ServedRow], bool] = lambda _: True,
) -> list[ServedRow]:
    """The rows once none is a failure, or when patience ends; failures that `waits_for` denies may stay."""
    deadline = time.monotonic() + patience.total
    pause = patience.first
    while True:
        rows = look_again()
        left = deadline - time.monotonic()
        if left <= 0 or not any(waits_for(r) for r in failures(rows)):
            return rows
        time.sleep(min(pause, left))
        pause = min(pause * 2, patience.longest)


def awaited_restarts(
    ports: Sequence[Port],
    rows: Sequence[ServedRow],
    is_current: Callable[[Port], bool],
    transport: Callable[[Port], bool] = lambda _: False,
) -> list[Port] | None:
    """Ports that only a restart, or a setting, by a person can bring up to date; None if anything else is wrong.

    A load balancer with a copy of its own is left out: no restart helps there, and going back neither.

    Args:
        ports: what was looked at.
        rows: the verdicts.
        is_current: tells that a service of POP or IMAP was restarted with the right settings, so that this cannot be
            the reason.
        transport: tells of a port of SMTP that the certificate is assigned there, and that transport was not restarted
            or a receive connector not set.
    """
    known = {port.key: port for port in ports}
    copies = {port.key for port in balancers.own_copies(ports, rows)}
    wrong = [r for r in rows if r.verdict.is_failure and r.key not in copies]
    stale = [known[r.key] for r in wrong if r.verdict is Verdict.STALE]
    awaited = [
        p for p in stale if not p.shared and (transport(p) if p.service not in MAIL_SERVICES else not is_current(p))
    ]
    behind = {p.service for p in awaited}  # what is shared is up to date when they are
    return awaited if len(awaited) + sum(p.shared and p.service in behind for p in stale) == len(wrong) else None


def person_restarts(ports: Iterable[Port], title: str) -> NeedsPerson:
    """What a person has to do for these ports of SMTP, POP and IMAP."""
    waiting = list(ports)
    commands = {
        f"On {p.server} run: Restart-Service {', '.join(RESTARTS[p.service])}": f"{p.service} on {p.server}"
        for p in waiting
    }
    transport = " (for SMTP restart_transport, too)" if any(p.service is Service.SMTP for p in waiting) else ""
    names = list(dict.fromkeys(commands.values()))
    still = (
        "still serves the earlier certificate, and does"
        if len(names) == 1
        else ("still serve the earlier certificate, and do")
    )
    return NeedsPerson(
        f"{' and '.join(names)} {still} so until restarted; all else is done.",
        causes=list(commands),
        hint=f"After that run the deployment of {title!r} again to have it checked; with the parameter winrm"
        f"{transport} the restart is done for you.",
    )


def person_completes(left: Sequence[Left], restarts: Iterable[Port], title: str) -> NeedsPerson:
    """What a person has to do for the changes that failed after mail services had moved."""
    commands = [f"In the Exchange Management Shell: {one.change.typed}" for one in left]
    if any(changes.imports_issuers(one.change) for one in left):
        written = f"certwright certificate export {shlex.quote(title)} --format p7b"
        commands.insert(0, f"For the issuers' file, to be taken to the server as C:\\issuers.p7b: {written}")
    awaited = dict.fromkeys((p.server, RESTARTS[p.service]) for p in restarts)
    commands += [f"Then on {server} run: Restart-Service {', '.join(services)}" for server, services in awaited]
    return NeedsPerson(
        "The new certificate is in use, but not all could be completed: "
        f"{', '.join(changes.title(one.change) for one in left)}.",
        causes=[*(one.failure for one in left), *commands],
        hint=f"The next run of {title!r} tries it again; or run the commands above.",
    )


def served_web_site(sights: Iterable[Sight], server: str) -> str | None:
    """The thumbprint of what the web site of `server` is seen to serve, if that is one certificate."""
    seen = {s.leaf.thumbprint for s in sights if s.leaf and s.port.server == server and s.port.way == "IIS"}
    return seen.pop() if len(seen) == 1 else None


def asked_name(facts: CertificateFacts, server: str) -> str:
    """The name that clients would ask for: the certificate's first plain host name."""
    names = [name.value for name in facts.names if name.type is IdentifierType.DNS]
    plain = next((name for name in names if not name.startswith("*")), None)
    return plain or next((name.replace("*", "mail", 1) for name in names), server)


def public_names(facts: CertificateFacts) -> tuple[str, ...]:
    """The plain host names of a certificate, by which clients come."""
    names = [name.value for name in facts.names if name.type is IdentifierType.DNS]
    return tuple(dict.fromkeys(name for name in names if not name.startswith("*")))
