"""Whether ports send the certificate together with that of its issuer; clients that do not have that refuse it else."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509

from certwright.domain.deployment import Finding, ServedRow, Severity
from certwright.domain.errors import NeedsPerson
from certwright.exchange.steps import steps
from certwright.exchange.verification.ports import Port, Sight
from certwright.probe.chain import lenient_parsing

CHECK = "chain-sent"
_ADD = "certutil -addstore CA FILE.issuers.p7b"
_RESTART = "Restart-Service W3SVC, MSExchangeFrontEndTransport, MSExchangeTransport, MSExchangePOP3, MSExchangeIMAP4"


@dataclass(frozen=True, slots=True)
class Gap:
    """A port that sends the certificate without that of `issuer`, a distinguished name."""

    port: Port
    issuer: str

    @property
    def told(self) -> str:
        """The same, for the port's row."""
        return f"sends it without the certificate of its issuer {self.issuer}"


def gap(sight: Sight, sha256: str, issuers: Sequence[x509.Certificate]) -> Gap | None:
    """What is missing on a port that serves the certificate with this SHA-256; None if nothing is.

    Only the certificate's own issuer must be sent. What is above that may be missing for a reason: Windows sends the
    chain to the root that it knows, and that may be a shorter one than was imported.

    Args:
        sight: what was seen.
        sha256: of the certificate that was deployed.
        issuers: the certificates that were imported with it, without the root.
    """
    if sight.leaf is None or sight.leaf.sha256 != sha256:
        return None
    try:
        with lenient_parsing():
            leaf, *sent = map(x509.load_der_x509_certificate, sight.seen.chain)
            is_sent = any(certificate.subject == leaf.issuer for certificate in sent)
            is_known = any(certificate.subject == leaf.issuer for certificate in issuers)
            return Gap(sight.port, leaf.issuer.rfc4514_string()) if is_known and not is_sent else None
    except ValueError:
        return None


def told(row: ServedRow, found: Gap | None) -> ServedRow:
    """`row`, with what is missing."""
    if found is None:
        return row
    return row.model_copy(update={"detail": "; ".join(filter(None, (row.detail, found.told)))})


def findings(gaps: Iterable[Gap], title: str) -> tuple[Finding, ...]:
    """What a person should know of it, once for each server, or for what stands in front of several."""
    by_server: dict[str, list[Gap]] = {}
    for found in gaps:
        by_server.setdefault(found.port.server, []).append(found)
    return tuple(_finding(server, found, title) for server, found in by_server.items())


def _finding(server: str, gaps: Sequence[Gap], title: str) -> Finding:
    where = ", ".join(dict.fromkeys(str(found.port.endpoint) for found in gaps))
    return Finding(
        check=CHECK,
        severity=Severity.WARN,
        subject=server,
        message=f"{server} sends the certificate at {where} without that of its issuer {gaps[0].issuer}: clients that "
        "do not have that already refuse the connection.",
        remedy=_by_hand(server, title, shared=gaps[0].port.shared),
    )


def _by_hand(server: str, title: str, *, shared: bool) -> str:
    export = f"certwright certificate export {shlex.quote(title)} --format {'fullchain' if shared else 'p7b'}"
    if shared:
        return steps(
            "If the servers themselves send it with its issuer, what stands in front of them presents the certificate "
            "alone: install it there again, from the file .fullchain.pem that this command writes.",
            export,
        )
    return steps(
        f"The first command writes the issuers to a file. Take that to {server}, and give the others there as an "
        "administrator:",
        export,
        _ADD,
        _RESTART,
    )


def person_adds(found: Sequence[Finding], title: str) -> NeedsPerson:
    """What a person has to do where importing the issuers did not help, or could not be done."""
    return NeedsPerson(
        f"The new certificate is in use, but {', '.join(one.subject for one in found)} sends it without that of its "
        "issuer; all else is done.",
        causes=[one.text for one in found],
        hint=f"After that run the deployment of {title!r} again to have it checked.",
    )
