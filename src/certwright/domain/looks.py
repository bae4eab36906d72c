"""Looks at what is in use: what deployments serve, and records in DNS that prove names; what to tell of a look.

Pure: what was seen goes in, what to keep and what to tell come out. What could not be seen is unknown: what was known
before stands, until it has been unknown for too long.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, Field

from certwright.domain.clocks import lately
from certwright.domain.deployment import Finding, Inspection, ServedRow, Severity, failures, recognised
from certwright.domain.events import EventKind
from certwright.domain.managed import Value

EVERY = timedelta(days=1)
SOON = timedelta(hours=1)
"""After a deployment, and as long as something is the matter."""
JITTER = 0.1
"""By how much of itself a pause is made longer or shorter, so that those who were deployed together do not stay so."""
AGAIN = timedelta(hours=20)
"""Until a difference that lasts is told of again; daily looks are not a day apart to the minute."""
PROOF_DAYS = (30, 14, 7, 3, 1, 0)
"""Days before the end of a record at which it is told of."""
LONGEST = EVERY * (1 + JITTER)
"""Until the next look, at most."""
_TOLD = 3

Told = tuple[EventKind, str, str]
"""A kind of event, its sentence, and the next step."""


class TaskLook(Value):
    """What one task's ports served when they were seen last, and what differed from what was deployed.

    `version_id` is what was deployed, and ends at `not_after`. `failures` counts looks that failed in a row, `problem`
    says why the last one did. `told` are the differences that were told of last, at `told_at`.
    """

    version_id: str
    not_after: AwareDatetime
    seen_at: AwareDatetime
    rows: tuple[ServedRow, ...] = ()
    differences: tuple[Finding, ...] = ()
    failures: int = 0
    problem: str = ""
    told: tuple[str, ...] = ()
    told_at: AwareDatetime | None = None

    @property
    def is_grave(self) -> bool:
        """Whether something else is in use than was deployed, and nobody seems to have chosen that."""
        return any(f.severity is Severity.STOP for f in self.differences) or any(self.wrong)

    @property
    def wrong(self) -> tuple[ServedRow, ...]:
        """The ports that serve something else."""
        return tuple(row for row in failures(self.rows) if row.now is not None)

    def deployed_again(self, version_id: str, not_after: datetime, rows: Sequence[ServedRow], now: datetime) -> Self:
        """After a deployment that was verified; what was told of is remembered, so that its end is told of too."""
        seen = {"version_id": version_id, "not_after": not_after, "seen_at": now, "rows": tuple(rows)}
        return self.model_copy(update={**seen, "differences": (), "failures": 0, "problem": ""})


class ProofLook(Value):
    """The record of dns-persist-01 that matters most: one that does not do, or else the one that ends first.

    `ends` is None if none ends. `failures` counts looks in a row at which a record was missing, did not do, or could
    not be read, as `problem` says. `told_days` is the last of `PROOF_DAYS` that was told of.
    """

    ends: AwareDatetime | None = None
    name: str = ""
    failures: int = 0
    problem: str = ""
    told_days: int | None = None


class Looks(Value):
    """All that was seen for one managed certificate: by task, and the records that prove its names."""

    tasks: dict[str, TaskLook] = Field(default_factory=dict)
    proof: ProofLook | None = None


def looked(before: TaskLook, found: Inspection | str, now: datetime, command: str) -> tuple[TaskLook, Told | None]:
    """What is known after a look at a task's ports, and what to tell of it.

    Args:
        before: what was known.
        found: what was seen, or why nothing could be.
        now: the moment of the look.
        command: the next step where no difference names one.
    """
    if isinstance(found, str):
        return before.model_copy(update={"failures": before.failures + 1, "problem": found}), None
    differences = found.differences
    if not differences and found.unseen:
        unknown = {"failures": before.failures + 1, "problem": " ".join(found.unseen[:_TOLD])}
        return before.model_copy(update=unknown), None
    rows = recognised(found.rows, before.rows)
    seen = {"seen_at": now, "rows": rows, "differences": differences, "failures": 0, "problem": ""}
    after = before.model_copy(update=seen)
    keys = tuple(sorted({f"{f.check} {f.subject}".strip() for f in differences}))
    if not keys:
        over = (EventKind.DRIFT_OVER, "What is served is what was deployed again.", "") if before.told else None
        return after.model_copy(update={"told": (), "told_at": None}), over
    lasts = before.told_at is not None and (not after.is_grave or lately(before.told_at, now, AGAIN))
    if lasts and set(keys) <= set(before.told):
        return after.model_copy(update={"told": keys}), None
    told = (EventKind.DRIFT, differs(differences), _next_step(differences) or command)
    return after.model_copy(update={"told": keys, "told_at": now}), told


def differs(differences: Sequence[Finding]) -> str:
    """What differs, in a few sentences."""
    more = len(differences) - _TOLD
    also = f" And {more} more." if more > 0 else ""
    return f"What is served is no longer what was deployed. {' '.join(f.message for f in differences[:_TOLD])}{also}"


def _next_step(differences: Sequence[Finding]) -> str:
    """Of the gravest."""
    graver = sorted(differences, key=lambda f: f.severity is not Severity.STOP)
    return next((f.remedy for f in graver if f.remedy), "")


def proof_looked(
    before: ProofLook | None, ends: datetime | None, name: str, problem: str, now: datetime
) -> tuple[ProofLook, Told | None]:
    """What is known after a look at the records that prove names, and what to tell of it.

    Args:
        before: what was known.
        ends: when the first of them ends, if one does.
        name: where that one is.
        problem: why one of them does not do, or could not be read; empty if all do.
        now: the moment of the look.
    """
    known = before or ProofLook()
    if problem:
        return known.model_copy(update={"failures": known.failures + 1, "problem": problem}), None
    after = ProofLook(ends=ends, name=name, told_days=known.told_days)
    stage = proof_stage(ends, now)
    if stage is None:
        over = (EventKind.PROOF_RENEWED, "No record that proves its names ends soon any more.", "")
        return after.model_copy(update={"told_days": None}), over if known.told_days is not None else None
    if known.told_days is not None and stage >= known.told_days:
        return after, None
    return after.model_copy(update={"told_days": stage}), (EventKind.PROOF_ENDING, proof_ending(after, now), "")


def proof_stage(ends: datetime | None, now: datetime) -> int | None:
    """The last of `PROOF_DAYS` that has come."""
    return min((d for d in PROOF_DAYS if ends is not None and ends - timedelta(days=d) <= now), default=None)


def proof_ending(look: ProofLook, now: datetime) -> str:
    """That a record ends, for a person."""
    verb = "ended" if look.ends is None or look.ends <= now else "ends"
    return f"The record at {look.name} {verb} on {look.ends:%Y-%m-%d %H:%M} UTC (persistUntil); without it no renewal."


def next_look(looks: Looks, now: datetime, draw: float) -> datetime:
    """When to look again: daily, sooner where something is the matter, or might be, and less often while that lasts.

    Args:
        looks: what is known.
        now: the moment of the last look.
        draw: a random number from 0 up to 1.
    """
    counts = [look.failures for look in looks.tasks.values()]
    counts += [looks.proof.failures] if looks.proof else []
    pauses = [min(SOON * (1 << min(count - 1, 5)), EVERY) for count in counts if count]
    pauses += [SOON for look in looks.tasks.values() if look.is_grave]
    return now + min(pauses, default=EVERY) * (1 - JITTER + 2 * JITTER * draw)
