"""The whole organisation in one look: what is ill, what is missing, what would go wrong. Pure; nothing is changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, ServedRow, Severity
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.judgement.checks import Check, Context, check, made
from certwright.exchange.judgement.checks.case import Case
from certwright.exchange.judgement.names import NameVerdict, Resolve, asks_public, judge, required_names
from certwright.exchange.judgement.status import ServerOverview, overview
from certwright.exchange.references import certificates_of
from certwright.exchange.snapshot import Snapshot

_RENEWABLE = "validity"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found in an organisation; the gravest findings come first.

    `clean` are checks that knew what they need of all servers, and found nothing; `unseen` are those that did not, each
    with the servers in question.
    """

    organisation: str
    taken_at: datetime
    findings: tuple[Finding, ...]
    names: tuple[NameVerdict, ...]
    servers: tuple[ServerOverview, ...]
    served: tuple[ServedRow, ...] = ()
    clean: tuple[Check, ...] = ()
    unseen: Mapping[Check, tuple[str, ...]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing stops a deployment, and enough was seen to let Certwright work here by itself."""
        return not self.of(Severity.STOP) and not self.of(Severity.ASK)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity is severity)


def examine(
    snapshot: Snapshot,
    now: datetime,
    *,
    wish: Wish | None = None,
    rows: Sequence[ServedRow] = (),
    resolve: Resolve = lambda _: None,
    ours: Mapping[str, str] | None = None,
    drift: Iterable[Finding] = (),
    **context: Any,
) -> Diagnosis:
    """Look at everything that is known.

    Args:
        snapshot: the organisation.
        now: the time, in UTC.
        wish: the managed certificate and what it is for, if there is one: then it is looked at too.
        rows: what ports serve.
        resolve: tells whether a name resolves, or None if that is not known.
        ours: titles of managed certificates by the thumbprints of their versions.
        drift: what differs from what was deployed last.
        context: what else is known, see `checks.Context`.
    """
    differences = tuple(map(_softened, drift))
    case = Case(snapshot, wish, now, Context(rows=rows, **context))
    alone = check(snapshot, None, now, rows=rows, **context)
    with_it = check(snapshot, wish, now, rows=rows, **context) if wish else ()
    findings = _once((*alone, *(_softened(f) if f.check == _RENEWABLE else f for f in with_it), *differences))
    ill = {finding.check for finding in findings}
    unseen = made(snapshot, wish, now, rows=rows, **context)
    facts = wish.facts if wish else in_use(snapshot)
    return Diagnosis(
        organisation=snapshot.organisation,
        taken_at=snapshot.taken_at or now,
        findings=findings,
        names=judge(required_names(snapshot), facts, resolve, public=case.is_public and asks_public(facts)),
        servers=overview(snapshot, now, ours, differences),
        served=tuple(rows),
        clean=tuple(one for one, where in unseen.items() if not where and one.id not in ill),
        unseen={one: where for one, where in unseen.items() if where},
    )


def _softened(finding: Finding) -> Finding:
    """What drifted, or has expired, stops no deployment: the next one mends it."""
    grave = finding.severity is Severity.STOP
    return finding.model_copy(update={"severity": Severity.WARN}) if grave else finding


def _once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first; what is found with and without a certificate is told once, as the graver of both."""
    ordered = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    told: dict[tuple[str, str], Finding] = {}
    for finding in ordered:
        told.setdefault((finding.check, finding.message), finding)
    return tuple(told.values())


def in_use(snapshot: Snapshot) -> CertificateFacts | None:
    """What the web sites serve, if all serve the same and Exchange told of it."""
    bound = {state.web_site_certificate() for state in snapshot.servers}
    thumbprints = {certificate.thumbprint for certificate in bound if certificate}
    if len(thumbprints) != 1:
        return None
    return next((c.facts for c in certificates_of(snapshot) if c.thumbprint in thumbprints and c.facts), None)
