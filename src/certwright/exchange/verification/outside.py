"""The view from outside: the ports that the internet reaches, for the prober's program, and its report as rows."""

from collections.abc import Iterable

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import ServedRow, Verdict
from certwright.exchange.verification.ports import SHOWN_DIGITS, WAYS, Duty, Port, fingerprints, public, shown
from certwright.exchange.verification.verify import asked_name, public_names
from certwright.probe.outside import OutsideReport, OutsideRow, outside_script

OUTSIDE = "outside"
_MEANS = {"ok": Verdict.OK, "untrusted": Verdict.NOT_VERIFIED, "other": Verdict.STALE}


def script(ports: Iterable[Port], facts: CertificateFacts) -> str:
    """The program that a person runs on any computer elsewhere: one file for Python alone.

    Args:
        ports: those of a task; of these the public names and balancers are looked at, as far as they serve the
            certificate. Without any, the certificate's names are.
        facts: the certificate; its names are what everybody has to reach on port 443.
    """
    names = public_names(facts)
    chosen = [port for port in ports if port.shared] or public(names)
    served = [port for port in chosen if port.duty is Duty.NEW and WAYS[port.way].beyond is None]
    name = asked_name(facts, names[0] if names else "localhost")
    return outside_script([port.target(name) for port in served], facts.sha256, names)


def from_outside(report: OutsideReport, facts: CertificateFacts) -> tuple[ServedRow, ...]:
    """What was seen from outside, as rows of the server "outside".

    Args:
        report: what the program brought back.
        facts: the certificate that it looked for.
    """
    return tuple(_row(seen, facts) for seen in report.rows)


def _row(seen: OutsideRow, facts: CertificateFacts) -> ServedRow:
    ours = seen.sha256 == facts.sha256
    wanted = Verdict.REGRESSION if seen.required else Verdict.NOT_VERIFIED
    other = f"{seen.sha256[:SHOWN_DIGITS]} another" if seen.sha256 else None
    return ServedRow(
        server=OUTSIDE,
        service=_label(seen),
        address=seen.address or seen.host,
        port=seen.port,
        protocol=" ".join(filter(None, ("STARTTLS" if seen.starttls else "", seen.protocol))),
        now=shown(facts) if ours else other,
        names=tuple(name.value for name in facts.names) if ours else (),
        valid=bool(ours and seen.trusted),
        verdict=_MEANS.get(seen.verdict, wanted),
        detail=": ".join(filter(None, (seen.host if seen.address else "", seen.detail))),
        certificate_now=fingerprints(facts) if ours else None,
    )


def _label(seen: OutsideRow) -> str:
    """What a port is called, as for a server."""
    for port in public([seen.host]):
        way = WAYS[port.way]
        fits = (port.endpoint.port, way.starttls, way.sends_name) == (seen.port, seen.starttls, bool(seen.server_name))
        if fits and way.beyond is None:
            return way.label
    return "TLS"
