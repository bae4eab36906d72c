"""What proves that a server serves the certificate: where none of its ports was seen, nothing does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from certwright.domain.deployment import Finding, ServedRow, Severity, Verdict
from certwright.domain.errors import NeedsPerson
from certwright.exchange.model import SUPPORTED, Service
from certwright.exchange.steps import steps
from certwright.exchange.verification.ports import WAYS, Duty

CHECK = "ports-not-seen"
_SERVICES = {way.label: way.service for way in WAYS.values() if way.duty is Duty.NEW and way.beyond is None}
_ALWAYS = Service.IIS | Service.SMTP  # POP and IMAP are off by default
_PREFERRED = (Service.IIS, Service.SMTP, Service.IMAP, Service.POP)


@dataclass(frozen=True, slots=True)
class Blind:
    """A server with services that are to serve the certificate, and of which no port was seen to serve any.

    `places` are the ports that were looked at; none if the parameter verify leaves none. `whole` tells that nothing of
    the server was seen at all.
    """

    server: str
    services: Service
    places: tuple[str, ...]
    whole: bool

    @property
    def message(self) -> str:
        """What was not seen, in a sentence."""
        if not self.places:
            return (
                f"{self.server}: the parameter verify leaves no port to look at, so nobody sees whether it serves the "
                "certificate."
            )
        what = "no port that is to serve the certificate" if self.whole else f"no port of {self.services}"
        return f"{self.server}: {what} can be seen from this machine ({', '.join(self.places)})."


def blind(rows: Iterable[ServedRow], requested: Mapping[str, Service | None]) -> tuple[Blind, ...]:
    """The servers of which something that always runs was not seen, before a deployment or after it.

    Args:
        rows: what ports served before, or the verdicts on them.
        requested: by server, the services that are to serve the certificate; None stands for all.
    """
    known = [row for row in rows if row.service in _SERVICES]
    found = [_blind(server, wanted, known) for server, wanted in requested.items()]
    return tuple(one for one in found if one)


def _blind(server: str, wanted: Service | None, rows: Sequence[ServedRow]) -> Blind | None:
    services = SUPPORTED if wanted is None else wanted
    own = [row for row in rows if row.server == server and _SERVICES[row.service] in services]
    seen = _of(row for row in own if row.before is not None or row.verdict is Verdict.OK)
    lacking = (_of(own) & _ALWAYS & ~seen) if seen else services
    if not lacking:
        return None
    places = dict.fromkeys(f"{r.service} at {r.address}:{r.port}" for r in own if _SERVICES[r.service] in lacking)
    return Blind(server, lacking, tuple(places), whole=not seen)


def _of(rows: Iterable[ServedRow]) -> Service:
    services = Service.NONE
    for row in rows:
        services |= _SERVICES[row.service]
    return services


def findings(unseen: Iterable[Blind], certificate: str, *, attended: bool) -> tuple[Finding, ...]:
    """What a person has to know, or to say, before a server is changed of which this was not seen.

    That nobody looks can be said by the parameter verify alone, and only for deployments that a person starts.

    Args:
        unseen: what was not seen.
        certificate: the managed certificate, as commands take it.
        attended: whether a person looks on.
    """
    return tuple(_finding(one, certificate, is_told=attended and not (one.whole and one.places)) for one in unseen)


def _finding(one: Blind, certificate: str, *, is_told: bool) -> Finding:
    return Finding(
        check=CHECK,
        severity=Severity.WARN if is_told else Severity.ASK,
        subject=one.server,
        message=one.message,
        remedy=_remedy(one, certificate),
    )


def _remedy(one: Blind, certificate: str) -> str:
    change = f"certwright task change {certificate} exchange --verify"
    port = next(f"{one.server}/{service}:HOST:PORT ..." for service in _PREFERRED if service in one.services)
    if not one.places:
        return steps(
            "Certwright changes no such server by itself. Name ports of it, beside those of other servers, that can be "
            "seen from this machine; or deploy yourself each time, and look from elsewhere:",
            f"{change} {port}",
            f"certwright exchange apply {certificate}",
            f"certwright exchange verify {certificate} --outside FILE",
        )
    return steps(
        "Open a way from this machine to one of them, or name ports, beside those of other servers, at which this can "
        "be seen. If there are none, say that nobody looks, by verify off; then deploy yourself each time, and look "
        "from elsewhere:",
        f"{change} {port}",
        f"{change} off",
        f"certwright exchange verify {certificate} --outside FILE",
    )


def person_looks(unseen: Sequence[Blind], certificate: str, also: NeedsPerson | None = None) -> NeedsPerson:
    """What a person has to do where all is done, but not seen; `also` is what else there is to do."""
    return NeedsPerson(
        f"It was not seen whether {', '.join(one.server for one in unseen)} "
        f"{'serves' if len(unseen) == 1 else 'serve'} the new certificate: not verified.",
        causes=[
            *([also.message, *also.causes] if also else ()),
            *(finding.text for finding in findings(unseen, certificate, attended=False)),
        ],
        hint=f"After that have it checked again: certwright exchange apply {certificate}",
    )
