"""The rules of health: an ordered list of named pure checks, the gravest first, and what they look at.

The end of a certificate, and what is seen at its services, count more than any intention. What is not known for long is
never called well.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property

from certwright.domain import renewal
from certwright.domain.looks import PROOF_DAYS, ProofLook, TaskLook, differs, proof_ending
from certwright.domain.managed import TaskSettings
from certwright.domain.notices import NEAR_SHARE, URGENT, URGENT_SHARE
from certwright.domain.renewal import Decision, Failure, RenewalInput
from certwright.domain.retry import Cause
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.watching import UNSEEN

NEAR = timedelta(days=14)
"""Before the end (of short lifetimes the last sixth) at which a certificate should long have been replaced."""
REPEATED = 3
"""Failures in a row that are more than a passing trouble."""
UNKNOWN_FOR = timedelta(days=4)
"""After so long without a look, what was seen last counts no more."""
NEGLECTED = timedelta(hours=36)
"""So long something that is due may wait for whoever does it, which may be a daily run."""


class Health(StrEnum):
    """How something is, the worst first."""

    CRITICAL = "critical"
    FAILING = "failing"
    ATTENTION = "attention"
    PAUSED = "paused"
    RENEWING = "renewing"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """An enabled task: how far it has come (None: it never began), and what was seen of what it deployed last."""

    settings: TaskSettings
    state: DeploymentState | None = None
    look: TaskLook | None = None


@dataclass(frozen=True)
class HealthInput:
    """All that the rules look at. `planned_at` is when something is, or was, to be done next; None for never."""

    renewal: RenewalInput
    tasks: tuple[TaskFacts, ...] = ()
    proof: ProofLook | None = None
    planned_at: datetime | None = None

    @cached_property
    def decision(self) -> Decision:
        """Whether a renewal is due; when the authority is asked for advice next is no matter here."""
        state = self.renewal.state.model_copy(update={"ask_again": None})
        return renewal.decide(replace(self.renewal, state=state))

    @property
    def now(self) -> datetime:
        """The moment that is asked about."""
        return self.renewal.now

    @property
    def failure(self) -> Failure | None:
        """Why the last requests failed."""
        return self.renewal.failure

    @property
    def waits_for_person(self) -> bool:
        """Whether the renewal goes on when a person has done something."""
        return self.failure is not None and self.failure.cause is Cause.PERSON

    @cached_property
    def ends(self) -> datetime | None:
        """When the first certificate in use ends: the current version, or an earlier one that a task put to use."""
        ends = [task.look.not_after for task in self.tasks if task.look]
        return min([*ends, *([self.renewal.facts.not_after] if self.renewal.facts else [])], default=None)

    def starts(self, span: timedelta, share: float) -> datetime | None:
        """When less than `span`, and than this share of the lifetime, is left of what is in use."""
        if self.ends is None or self.renewal.facts is None:
            return None
        return self.ends - min(span, self.renewal.facts.lifetime * share)

    def is_within(self, span: timedelta, share: float) -> bool:
        """Whether that has come."""
        start = self.starts(span, share)
        return start is not None and start <= self.now

    def waiting(self) -> Iterator[DeploymentState]:
        """Where tasks stand that have begun and did not put the current version to use."""
        for task in self.tasks:
            if task.state and not self.is_deployed(task):
                yield task.state

    def is_deployed(self, task: TaskFacts) -> bool:
        """Whether the current version was put to use, and seen to be."""
        current, state = self.renewal.current, task.state
        return bool(current and state and state.stage.is_success and state.version_id == current.id)

    def command(self, words: str) -> str:
        """A command about this certificate."""
        return f"certwright {words} {self.renewal.managed.id}"


Said = tuple[str, str]
"""What the matter is, in a sentence, and the next step, if a person has one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its stable name, the health it stands for, and when it speaks, in words."""

    name: str
    health: Health
    meaning: str
    check: Callable[[HealthInput], Said | None]


def _expired(given: HealthInput) -> Said | None:
    facts = given.renewal.facts
    if facts is None or facts.not_after > given.now:
        return None
    return f"It ended on {_date(facts.not_after)}. {_why(given)}", _replace(given)


def _served_expired(given: HealthInput) -> Said | None:
    for task in given.tasks:
        if task.look and task.look.not_after <= given.now:
            said = f"{task.settings.title} serves an earlier version that ended on {_date(task.look.not_after)}."
            return said, given.command("deploy")
    return None


def _served_invalid(given: HealthInput) -> Said | None:
    for task in given.tasks:
        bad = [row for row in task.look.wrong if not row.valid] if task.look else []
        for row in bad[:1]:
            said = (
                f"{row.service} at {row.address}:{row.port} serves {row.now}, which is over or does not fit its name."
            )
            return said, _repair(given, task)
    return None


def _revoked(given: HealthInput) -> Said | None:
    current = given.renewal.current
    if current is None or current.revoked_at is None:
        return None
    return f"It was revoked on {_date(current.revoked_at)} and not replaced.", given.command("certificate renew")


def _stuck(given: HealthInput) -> Said | None:
    for state in given.waiting():
        if state.stage is Stage.UNDOING:
            said = f"A deployment failed and could not be taken back yet. {_line(state.message)}"
            return said, given.command("certificate show")
    return None


def _urgent(given: HealthInput) -> Said | None:
    if given.ends is None or not given.is_within(URGENT, URGENT_SHARE):
        return None
    return f"What is in use ends on {_date(given.ends)}. {_why(given)}", _replace(given)


def _drift(given: HealthInput) -> Said | None:
    for task in given.tasks:
        if task.look and task.look.is_grave:
            return differs(task.look.differences), _repair(given, task)
    return None


def _renewal_failing(given: HealthInput) -> Said | None:
    failure = given.failure
    if (
        failure is None
        or given.waits_for_person
        or not (failure.count >= REPEATED or given.is_within(NEAR, NEAR_SHARE))
    ):
        return None
    times = "once" if failure.count == 1 else f"{failure.count} times"
    said = f"The renewal failed {times} since {_date(failure.since)}: {_line(failure.message)}"
    return said, given.command("certificate test")


def _deployment_failing(given: HealthInput) -> Said | None:
    near = given.is_within(NEAR, NEAR_SHARE)
    for state in given.waiting():
        back = state.stage is Stage.ROLLED_BACK
        if back or (state.stage is not Stage.WAITING and state.failures >= (1 if near else REPEATED)):
            what = "The deployment was taken back" if back else f"The deployment failed {state.failures} times"
            return f"{what}. {_line(state.message)}", given.command("certificate log")
    return None


def _proof_ended(given: HealthInput) -> Said | None:
    if given.proof is None or given.proof.ends is None or given.proof.ends > given.now:
        return None
    return proof_ending(given.proof, given.now), given.command("certificate persist")


def _needs_person(given: HealthInput) -> Said | None:
    for state in given.waiting():
        if state.stage is Stage.WAITING:
            return _line(state.message) or "A deployment waits for a person.", given.command("certificate show")
    return None


def _renewal_waits(given: HealthInput) -> Said | None:
    return (_why(given), _replace(given)) if given.waits_for_person else None


def _needs_change(given: HealthInput) -> Said | None:
    failure = given.failure
    if failure is None or not failure.cause.waits_for_change:
        return None
    return f"Something has to be changed first: {_line(failure.message)}", given.command("certificate test")


def _near(given: HealthInput) -> Said | None:
    if given.ends is None or not given.is_within(NEAR, NEAR_SHARE):
        return None
    return f"What is in use ends on {_date(given.ends)}. {_why(given)}", given.command("certificate renew")


def _changed(given: HealthInput) -> Said | None:
    for task in given.tasks:
        if task.look and task.look.differences:
            return differs(task.look.differences), _repair(given, task)
    return None


def _unseen(given: HealthInput) -> Said | None:
    for task in given.tasks:
        seen = seen_at(task)
        if task.look and task.look.failures >= UNSEEN:
            said = f"What is served could not be seen since {_date(task.look.seen_at)}: {_line(task.look.problem)}"
            return said, given.command("certificate look")
        if seen and given.now - seen >= UNKNOWN_FOR:
            return f"Nobody has looked at what is served since {_date(seen)}.", given.command("certificate look")
    return None


def _proof_missing(given: HealthInput) -> Said | None:
    if given.proof is None or given.proof.failures < UNSEEN:
        return None
    return f"The next renewal would find no proof: {_line(given.proof.problem)}", given.command("certificate persist")


def _proof_ends(given: HealthInput) -> Said | None:
    proof = given.proof
    if proof is None or proof.ends is None or proof.ends - given.now > timedelta(days=PROOF_DAYS[0]):
        return None
    return proof_ending(proof, given.now), given.command("certificate persist")


def _neglected(given: HealthInput) -> Said | None:
    if given.planned_at is None or given.now - given.planned_at < NEGLECTED:
        return None
    said = f"Something has been due since {_date(given.planned_at)}, and nobody did it. Does certwright serve run?"
    return said, given.command("certificate renew")


def _held(given: HealthInput) -> Said | None:
    return (given.decision.message, "") if given.decision.reason is renewal.Reason.HELD else None


def _retrying(given: HealthInput) -> Said | None:
    if given.failure:
        return f"It failed, and is tried again by itself. {_line(given.failure.message)}", ""
    failed = next((state for state in given.waiting() if state.failures), None)
    return (f"Its deployment failed, and is tried again by itself. {_line(failed.message)}", "") if failed else None


def _due(given: HealthInput) -> Said | None:
    return (given.decision.message, "") if given.decision.due else None


def _deploying(given: HealthInput) -> Said | None:
    late = [task.settings.title for task in given.tasks if task.settings.deploys and not given.is_deployed(task)]
    return (f"The current version is still to be deployed: {', '.join(late)}.", "") if late else None


def _well(given: HealthInput) -> Said | None:
    looked = [task.look for task in given.tasks if task.look]
    seen = f" Seen in use on {_date(min(look.seen_at for look in looked))}." if looked else ""
    return f"{given.decision.message}{seen}", ""


def seen_at(task: TaskFacts) -> datetime | None:
    """When what the task deployed was seen last, by the deployment itself or by a look."""
    by_itself = task.state.updated_at if task.state and task.state.stage is Stage.DEPLOYED else None
    looked = task.look.seen_at if task.look and task.state and task.state.stage is Stage.DEPLOYED else None
    return max(filter(None, (by_itself, looked)), default=None)


def _repair(given: HealthInput, task: TaskFacts) -> str:
    """What the differences themselves advise, else to deploy again."""
    differences = task.look.differences if task.look else ()
    return next((f.remedy for f in differences if f.remedy), "") or given.command("deploy")


def _why(given: HealthInput) -> str:
    """Why nothing has replaced it."""
    if given.failure:
        what = "The renewal waits for a person" if given.waits_for_person else "The last attempt failed"
        return f"{what}: {_line(given.failure.message)}"
    if given.decision.reason is renewal.Reason.HELD:
        return given.decision.message
    failed = next((state for state in given.waiting() if state.message), None)
    return _line(failed.message) if failed else "No attempt to replace it has failed."


def _replace(given: HealthInput) -> str:
    """The command that replaces it, or that shows what a person has to do first."""
    return given.command("certificate log" if given.waits_for_person else "certificate renew")


def _line(text: str) -> str:
    """The first line of what may be several."""
    return next(iter(text.splitlines()), "")


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


RULES: tuple[Rule, ...] = (
    Rule("expired", Health.CRITICAL, "the current version has ended", _expired),
    Rule("served-expired", Health.CRITICAL, "a task still has an earlier version in use, which ended", _served_expired),
    Rule("served-invalid", Health.CRITICAL, "a port serves what is over or does not fit its name", _served_invalid),
    Rule("revoked", Health.CRITICAL, "the current version was revoked, and nothing replaced it", _revoked),
    Rule("stuck", Health.CRITICAL, "a deployment failed and could not be taken back yet", _stuck),
    Rule("urgent", Health.CRITICAL, "less than 3 days, or a twelfth of its life, are left of what is in use", _urgent),
    Rule("drift", Health.FAILING, "something else is in use than was deployed", _drift),
    Rule(
        "renewal-failing",
        Health.FAILING,
        "the renewal failed three times in a row; with less than 14 days, or a sixth of its life, left: once",
        _renewal_failing,
    ),
    Rule(
        "deployment-failing",
        Health.FAILING,
        "a deployment was taken back, or failed three times in a row; near the end: once",
        _deployment_failing,
    ),
    Rule("proof-ended", Health.FAILING, "a record of dns-persist-01 has ended", _proof_ended),
    Rule("needs-person", Health.ATTENTION, "a deployment waits for a person", _needs_person),
    Rule("renewal-waits", Health.ATTENTION, "a renewal waits for a person, as for records in DNS", _renewal_waits),
    Rule("needs-change", Health.ATTENTION, "the renewal fails until a setting is changed", _needs_change),
    Rule("near-its-end", Health.ATTENTION, "less than 14 days, or a sixth of its life, are left", _near),
    Rule(
        "changed", Health.ATTENTION, "something differs from what was deployed that somebody may have chosen", _changed
    ),
    Rule("unseen", Health.ATTENTION, "three looks in a row saw nothing, or nobody has looked for 4 days", _unseen),
    Rule(
        "proof-missing", Health.ATTENTION, "three looks in a row found no good record of dns-persist-01", _proof_missing
    ),
    Rule("proof-ends", Health.ATTENTION, "a record of dns-persist-01 ends within 30 days", _proof_ends),
    Rule("neglected", Health.ATTENTION, "something has been due for 36 hours, and nobody did it", _neglected),
    Rule("held", Health.PAUSED, "a person wants no renewal now", _held),
    Rule("retrying", Health.RENEWING, "a renewal or deployment failed once or twice, and is tried again", _retrying),
    Rule("due", Health.RENEWING, "a renewal is due, or under way", _due),
    Rule("deploying", Health.RENEWING, "a task has not put the current version to use yet", _deploying),
    Rule("well", Health.OK, "none of the above", _well),
)
"""All, in their order: what stands first decides."""
