"""What deployment tasks speak in: the plan before, what is served after, and the verdict on each port."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import Field

from certwright.domain.fingerprints import Fingerprints, short
from certwright.domain.managed import Value


class Change(Value):
    """One thing that a plan will do: `action` with `parameters` on `target`, and why.

    `typed` is the same as a person would type it, where it is a command; `inverse` is what takes it back, in the same
    form, or empty if nothing does. `restored` are the certificates that `inverse` puts to use again, each by the server
    that holds it and its thumbprint, of which one is enough; `stays` says why none may be, where `inverse` is empty for
    that. Parameters are what a person may see: a secret is written as its name, file contents as their size. `wave`
    numbers the parts of a deployment of which each is verified before the next is begun; the changes of wave 0 alter
    nothing that is served.
    """

    target: str
    action: str
    parameters: dict[str, str] = Field(default_factory=dict)
    why: str
    typed: str = ""
    inverse: str = ""
    restored: tuple[tuple[str, str], ...] = ()
    stays: str = ""
    wave: int = 0


class Severity(StrEnum):
    """What a finding means for a deployment.

    It stops it, a person has to agree first, a person should know, or it is told for completeness.
    """

    STOP = "stop"
    ASK = "ask"
    WARN = "warn"
    NOTE = "note"


class Finding(Value):
    """What a named check found. `subject` is what it is about, such as a server or a connector; empty for all of it.

    `check` is the stable name of the check, `message` what is the matter with its evidence, `remedy` the exact next
    step.
    """

    check: str
    severity: Severity
    subject: str = ""
    message: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """The finding in one paragraph."""
        return " ".join(filter(None, (self.message, self.remedy)))


class Plan(Value):
    """An ordered list of changes; what preview shows and apply executes, nothing else.

    A finding that stops, or asks, allows no change. `basis` is the state of the world that the plan was made from, as
    far as it depends on it: what is meant, in words, and its value.
    """

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    basis: dict[str, str] = Field(default_factory=dict)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why nothing may be done."""
        return tuple(f.text for f in self.findings if f.severity is Severity.STOP)

    @property
    def questions(self) -> tuple[str, ...]:
        """What a person has to agree to before anything is done."""
        return tuple(f.text for f in self.findings if f.severity is Severity.ASK)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before agreeing."""
        return tuple(f.text for f in self.findings if f.severity in (Severity.WARN, Severity.NOTE))

    @property
    def digest(self) -> str:
        """A name for exactly these changes to exactly this world."""
        changes = [change.model_dump(mode="json") for change in self.changes]
        canonical = json.dumps([changes, self.refusals, self.questions, self.basis], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def basis_changes(old: Plan, new: Plan) -> tuple[str, ...]:
    """What is different now in the world that the older plan was made from, in words."""
    told = []
    for what in sorted(old.basis.keys() | new.basis.keys()):
        before, now = old.basis.get(what, "nothing"), new.basis.get(what, "nothing")
        if before != now:
            told.append(f"{what}: was {before}, is {now}")
    return tuple(told)


class Verdict(StrEnum):
    """What a probe of one port says about the deployment."""

    OK = "ok"
    STALE = "stale"
    REGRESSION = "regression"
    NOT_VERIFIED = "not verified"

    @property
    def is_failure(self) -> bool:
        """Whether the deployment must not be called done."""
        return self in (Verdict.STALE, Verdict.REGRESSION)


PortKey = tuple[str, str, str, int]
"""A port: server, service, address and number."""


class ServedRow(Value):
    """One port before and after.

    `before` and `now` name certificates by the first 16 hex digits of SHA-256 and their common name; they are None when
    nothing was served. `certificate_before` and `certificate_now` tell which these are, as far as that is known.
    `valid`: what is served now is in date and fits a name. `sends`: it is about mail that is sent from there, and no
    port.
    """

    server: str
    service: str
    address: str
    port: int
    protocol: str
    before: str | None = None
    now: str | None = None
    names: tuple[str, ...] = ()
    valid: bool = False
    verdict: Verdict
    detail: str = ""
    sends: bool = False
    certificate_before: Fingerprints | None = None
    certificate_now: Fingerprints | None = None

    @property
    def key(self) -> PortKey:
        """What finds the port again."""
        return self.server, self.service, self.address, self.port

    @property
    def summary(self) -> str:
        """The port, and what is the matter there."""
        return f"{self.service} {self.address}:{self.port}: {self.detail or self.verdict}"

    @property
    def shown_before(self) -> str:
        """What was served, as people are told: by the first digits of its thumbprint, and its common name."""
        return _shown(self.before, self.certificate_before)

    @property
    def shown_now(self) -> str:
        """What is served now, in the same form."""
        return _shown(self.now, self.certificate_now)


def _shown(named: str | None, certificate: Fingerprints | None) -> str:
    if named is None:
        return "nothing"
    return f"{short(certificate.thumbprint)} {named.partition(' ')[2]}" if certificate else named


def recognised(rows: Iterable[ServedRow], earlier: Iterable[ServedRow]) -> tuple[ServedRow, ...]:
    """The rows, told which certificates were served before, as far as `earlier` ones tell."""
    known = {row.now: row.certificate_now for row in earlier}
    return tuple(
        row if row.certificate_before else row.model_copy(update={"certificate_before": known.get(row.before)})
        for row in rows
    )


DRIFT = "drift-"
"""How the checks are called whose findings tell what differs from what was deployed."""
DRIFT_UNKNOWN = frozenset({"drift-unknown", "drift-server-gone"})
"""Those of them that only tell what could not be seen."""


class Inspection(Value):
    """What a look at a deployment found that was done before: each port, and what differs from what was deployed.

    `rows` are the verdicts on the ports that the deployment is about, `seen` is what every port served that was looked
    at.
    """

    rows: tuple[ServedRow, ...] = ()
    seen: tuple[ServedRow, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def differences(self) -> tuple[Finding, ...]:
        """What is known to differ; ports count by themselves only where no finding tells of more than them."""
        told = tuple(f for f in self.findings if f.check.startswith(DRIFT) and f.check not in DRIFT_UNKNOWN)
        return told or tuple(_differs(row) for row in failures(self.rows) if row.now is not None)

    @property
    def unseen(self) -> tuple[str, ...]:
        """What could not be seen, in sentences."""
        silent = [row for row in failures(self.rows) if row.now is None]
        return (
            *(f.message for f in self.findings if f.check in DRIFT_UNKNOWN),
            *(f"{row.service} at {row.address}:{row.port} serves nothing." for row in silent),
        )


def _differs(row: ServedRow) -> Finding:
    message = f"{row.service} at {row.address}:{row.port} {row.detail or f'serves {row.shown_now}'}."
    return Finding(check=f"{DRIFT}port", severity=Severity.STOP, subject=row.server, message=message)


def outcome(rows: Sequence[ServedRow]) -> str:
    """What was seen of a deployment that did not fail, in words: no more than that."""
    rows = [row for row in rows if not row.sends]
    if not rows:
        return "no port was looked at"
    unseen = [row for row in rows if row.verdict is not Verdict.OK]
    if not unseen:
        return "every checked port serves it"
    names = dict.fromkeys(f"{row.service} of {row.server}" for row in unseen)
    return f"{len(rows) - len(unseen)} of {len(rows)} ports serve it; not verified: {', '.join(names)}"


def between(rows: Iterable[ServedRow]) -> str:
    """Which servers serve what is new, and which do not, where it was broken off; empty if no port was looked at."""
    found: dict[str, set[bool]] = {}
    for row in rows:
        if not row.sends and row.now is not None:
            found.setdefault(row.server or row.address, set()).add(row.now != row.before)
    told = []
    for has, what in (({True}, "the new certificate"), ({True, False}, "both"), ({False}, "the old one")):
        if servers := [server for server, seen in found.items() if seen == has]:
            told.append(f"{', '.join(servers)} {'has' if len(servers) == 1 else 'have'} {what}")
    return "; ".join(told)


def is_seen(rows: Iterable[ServedRow]) -> bool:
    """Whether any port was seen to serve what it is to serve."""
    return any(row.verdict is Verdict.OK and not row.sends for row in rows)


def failures(rows: Iterable[ServedRow]) -> list[ServedRow]:
    """The rows because of which a deployment is not done."""
    return [row for row in rows if row.verdict.is_failure]
