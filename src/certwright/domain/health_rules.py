"""The rules of health: an ordered list of named pure checks, the gravest first.

The end of a certificate, and what is seen at its services, count more than any intention. What is not known for long is
never called well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from certwright.domain.explained import advice, headline
from certwright.domain.health_input import HealthInput, TaskFacts
from certwright.domain.looks import PROOF_DAYS, differs, proof_ending
from certwright.domain.notices import NEAR_SHARE, URGENT, URGENT_SHARE
from certwright.domain.renewal import Reason
from certwright.domain.renewal_state import Failure
from certwright.domain.runs import UNDER_WAY, DeploymentState, Stage
from certwright.domain.watching import UNSEEN

NEAR = timedelta(days=14)
"""Before the end (of short lifetimes the last sixth) at which a certificate should long have been replaced."""
REPEATED = 3
"""Failures in a row that are more than a passing trouble."""
UNKNOWN_FOR = timedelta(days=4)
"""After so long without a look, what was seen last counts no more."""
NEGLECTED = timedelta(hours=36)
"""So long something that is due may wait for whoever does it, which may be a daily run."""
THEN = "Then: "
"""What a step begins with that comes when something was mended, and mends nothing by itself."""


class Health(StrEnum):
    """How something is, the worst first."""

    CRITICAL = "critical"
    FAILING = "failing"
    ATTENTION = "attention"
    PAUSED = "paused"
    RENEWING = "renewing"
    OK = "ok"


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
        if task.ends and task.ends <= given.now:
            said = f"{task.settings.title} has an earlier version in use that ended on {_date(task.ends)}."
            return said, given.command("deploy")
    return None


def _served_invalid(given: HealthInput) -> Said | None:
    for task in given.tasks:
        bad = [row for row in task.look.wrong if not row.valid] if task.look else []
        for row in bad[:1]:
            said = (
                f"{row.service} at {row.address}:{row.port} serves {row.shown_now}, which is over or does not fit its "
                "name."
            )
            return said, _repair(given, task)
    return None


def _revoked(given: HealthInput) -> Said | None:
    current = given.renewal.current
    if current is None or current.revoked_at is None:
        return None
    return f"It was revoked on {_date(current.revoked_at)} and not replaced.", given.command("certificate renew")


def _stuck(given: HealthInput) -> Said | None:
    for _, state in given.waiting():
        if state.stage is Stage.UNDOING:
            said = f"A deployment failed and could not be taken back yet. {headline(state.message)}"
            return said, given.command("certificate show")
    return None


def _broken_off(given: HealthInput) -> Said | None:
    for task, state in given.applied():
        if state.message or not (given.deploying or task.deploys):
            said = f"{state.broken_off} {headline(state.message)}".rstrip()
            return f"{said}{_until(given)}", f"{given.command('task run')} {task.id}"
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
    said = f"The renewal failed {times} since {_date(failure.since)}: {failure.headline}{_until(given)}"
    return said, _mend(given, failure)


def _given_up(given: HealthInput) -> Said | None:
    for task in given.given_up():
        said = f"{task.settings.title} failed as often as it may, and is not tried again."
        why = headline(task.state.message) if task.state else ""
        return f"{said} {why}", given.command("task run") + f" {task.settings.id}"
    return None


def _deployment_failing(given: HealthInput) -> Said | None:
    near = given.is_within(NEAR, NEAR_SHARE)
    for task, state in given.waiting():
        back = state.stage is Stage.ROLLED_BACK
        stopped = state.stage not in (Stage.WAITING, Stage.APPLYING)
        if back or (stopped and state.failures >= (1 if near else REPEATED)):
            what = "The deployment was taken back" if back else f"The deployment failed {state.failures} times"
            return _failed(given, task, state, what)
    return None


def _failed(given: HealthInput, task: TaskFacts, state: DeploymentState, what: str) -> Said:
    """Since when, why, and until when it matters; what the failure itself advises, and what comes after that."""
    since = f" since {_date(state.failing_since)}" if state.failing_since else ""
    said = f"{what}{since}. {headline(state.message)}{_until(given)}{_again(task, state)}"
    todo = advice(state.message) if state.stage is Stage.FAILED else ""
    return said, f"{todo}\n{THEN}{given.command('deploy')}" if todo else given.command("certificate log")


def _again(task: TaskFacts, state: DeploymentState) -> str:
    """When it is tried again, or until when it waits for its maintenance window."""
    if task.waits:
        return f" {task.waits}"
    return f" It is tried again by itself on {_date(state.retry_at)}." if state.retry_at else ""


def _proof_ended(given: HealthInput) -> Said | None:
    if given.proof is None or given.proof.ends is None or given.proof.ends > given.now:
        return None
    return proof_ending(given.proof, given.now), given.command("certificate persist")


def _needs_person(given: HealthInput) -> Said | None:
    for task, state in given.waiting():
        if state.stage is Stage.WAITING:
            said = headline(state.message) or "A deployment waits for a person."
            return f"{said}{_again(task, state)}", given.command("certificate show")
    return None


def _deployment_refused(given: HealthInput) -> Said | None:
    for task, state in given.waiting():
        if state.stage is Stage.FAILED and (not state.retryable or state.last_in_use is None):
            return _failed(given, task, state, "The new certificate is not put to use")
    return None


def _renewal_waits(given: HealthInput) -> Said | None:
    return (_why(given), _replace(given)) if given.waits_for_person else None


def _needs_change(given: HealthInput) -> Said | None:
    failure = given.failure
    if failure is None or not failure.cause.waits_for_change:
        return None
    return _waiting(given, failure)


def _first_failing(given: HealthInput) -> Said | None:
    return _waiting(given, given.failure) if given.failure and given.renewal.current is None else None


def _waiting(given: HealthInput, failure: Failure) -> Said:
    what = "The renewal" if given.renewal.current else "The first request"
    said = f"{what} failed: {failure.headline}{_until(given)} {failure.outlook} on {_date(failure.retry_at)}."
    return said, _mend(given, failure)


def _near(given: HealthInput) -> Said | None:
    if given.ends is None or not given.is_within(NEAR, NEAR_SHARE):
        return None
    return f"What is in use ends on {_date(given.ends)}. {_why(given)}", _replace(given)


def _changed(given: HealthInput) -> Said | None:
    for task in given.tasks:
        if task.look and task.look.differences:
            return differs(task.look.differences), _repair(given, task)
    return None


def _unseen(given: HealthInput) -> Said | None:
    for task in given.tasks:
        seen = seen_at(task)
        if task.look and task.look.failures >= UNSEEN:
            said = f"What is served could not be seen since {_date(task.look.seen_at)}: {headline(task.look.problem)}"
            return said, given.command("certificate look")
        if seen and given.now - seen >= UNKNOWN_FOR:
            return f"Nobody has looked at what is served since {_date(seen)}.", given.command("certificate look")
    return None


def _proof_missing(given: HealthInput) -> Said | None:
    if given.proof is None or given.proof.failures < UNSEEN:
        return None
    said = f"The next renewal would find no proof: {headline(given.proof.problem)}"
    return said, given.command("certificate persist")


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
    return (given.decision.message, "") if given.decision.reason is Reason.HELD else None


def _applying(given: HealthInput) -> Said | None:
    for _, state in given.applied():
        return UNDER_WAY if given.deploying else f"{state.broken_off} It goes on by itself.", ""
    return None


def _retrying(given: HealthInput) -> Said | None:
    if failure := given.failure:
        return f"It failed: {failure.headline} {failure.outlook} on {_date(failure.retry_at)}.", ""
    for task, state in given.waiting():
        if state.failures:
            when = f" on {_date(state.retry_at)}" if state.retry_at and not task.waits else ""
            said = f"Its deployment failed, and is tried again by itself{when}. {headline(state.message)}"
            return f"{said} {task.waits}".rstrip(), ""
    return None


def _due(given: HealthInput) -> Said | None:
    return (given.decision.message, "") if given.decision.due else None


def _undone(given: HealthInput) -> Said | None:
    current = given.renewal.current
    for task in given.tasks:
        if task.state and task.state.is_undone and current and task.state.undone == current.id:
            said = f"{task.settings.title}: a person had it taken back, so that what was there before is in use again."
            return f"{said} A newer version is deployed as always.", given.command("exchange plan")
    return None


def _deploying(given: HealthInput) -> Said | None:
    late = [task for task in given.tasks if task.settings.deploys and not given.is_deployed(task)]
    if waits := dict.fromkeys(task.waits for task in late if task.waits):
        return f"The current version is issued. {' '.join(waits)}", ""
    titles = ", ".join(task.settings.title for task in late)
    return (f"The current version is still to be deployed: {titles}.", "") if late else None


def _well(given: HealthInput) -> Said | None:
    looked = [task.look for task in given.tasks if task.look]
    seen = f" Seen in use on {_date(min(look.seen_at for look in looked))}." if looked else ""
    return f"{given.decision.message}{seen}", ""


def seen_at(task: TaskFacts) -> datetime | None:
    """When what the task deployed was seen last, by the deployment itself or by a look."""
    by_itself = task.state.updated_at if task.state and task.state.stage is Stage.DEPLOYED else None
    looked = task.look.seen_at if task.look and task.state and task.state.stage is Stage.DEPLOYED else None
    return max(filter(None, (by_itself, looked)), default=None)


def _until(given: HealthInput) -> str:
    """Until when that can last."""
    return f" What is in use ends on {_date(given.ends)}." if given.ends else ""


def _repair(given: HealthInput, task: TaskFacts) -> str:
    """What the differences themselves advise, else to deploy again."""
    differences = task.look.differences if task.look else ()
    return next((f.remedy for f in differences if f.remedy), "") or given.command("deploy")


def _why(given: HealthInput) -> str:
    """Why nothing has replaced it."""
    if given.failure:
        what = "The renewal waits for a person" if given.waits_for_person else "The last attempt failed"
        return f"{what}: {given.failure.headline}"
    if given.decision.reason is Reason.HELD:
        return given.decision.message
    failed = next((state for _, state in given.waiting() if state.message), None)
    return headline(failed.message) if failed else "No attempt to replace it has failed."


def _replace(given: HealthInput) -> str:
    """The command that replaces it, or that shows what a person has to do first."""
    facts = given.renewal.facts
    if facts and given.ends and given.ends < facts.not_after and given.now < facts.not_after:
        return given.command("deploy")
    return _mend(given, given.failure) if given.failure else given.command("certificate renew")


def _mend(given: HealthInput, failure: Failure) -> str:
    """What the failure itself advises, and what comes after that; else how to find out."""
    if given.waits_for_person:
        return f"Read what is to be done with: {given.command('certificate log')}\n{failure.advice}".rstrip()
    if not failure.advice:
        return given.command("certificate test")
    again = "certificate renew" if given.renewal.current else "certificate request"
    return f"{failure.advice}\n{THEN}{given.command(again)}"


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


RULES: tuple[Rule, ...] = (
    Rule("expired", Health.CRITICAL, "the current version has ended", _expired),
    Rule("served-expired", Health.CRITICAL, "a task still has an earlier version in use, which ended", _served_expired),
    Rule("served-invalid", Health.CRITICAL, "a port serves what is over or does not fit its name", _served_invalid),
    Rule("revoked", Health.CRITICAL, "the current version was revoked, and nothing replaced it", _revoked),
    Rule("stuck", Health.CRITICAL, "a deployment failed and could not be taken back yet", _stuck),
    Rule("urgent", Health.CRITICAL, "less than 3 days, or a twelfth of its life, are left of what is in use", _urgent),
    Rule(
        "broken-off",
        Health.FAILING,
        "a deployment was broken off half-way, and cannot go on by itself now",
        _broken_off,
    ),
    Rule("drift", Health.FAILING, "something else is in use than was deployed", _drift),
    Rule(
        "renewal-failing",
        Health.FAILING,
        "the renewal failed three times in a row; with less than 14 days, or a sixth of its life, left: once",
        _renewal_failing,
    ),
    Rule("given-up", Health.FAILING, "a task failed as often as its retries allow, and is not tried again", _given_up),
    Rule(
        "deployment-failing",
        Health.FAILING,
        "a deployment was taken back, or failed three times in a row; near the end: once",
        _deployment_failing,
    ),
    Rule("proof-ended", Health.FAILING, "a record of dns-persist-01 has ended", _proof_ended),
    Rule("needs-person", Health.ATTENTION, "a deployment waits for a person", _needs_person),
    Rule(
        "deployment-refused",
        Health.ATTENTION,
        "a deployment fails until somebody mends what it names, or is the first of its task",
        _deployment_refused,
    ),
    Rule("renewal-waits", Health.ATTENTION, "a renewal waits for a person, as for records in DNS", _renewal_waits),
    Rule(
        "needs-change",
        Health.ATTENTION,
        "the renewal fails until somebody changes something: a setting, a DNS record, a firewall",
        _needs_change,
    ),
    Rule("first-failing", Health.ATTENTION, "it was never issued, and the request fails", _first_failing),
    Rule("near-its-end", Health.ATTENTION, "less than 14 days, or a sixth of its life, are left", _near),
    Rule(
        "changed", Health.ATTENTION, "something differs from what was deployed that somebody may have chosen", _changed
    ),
    Rule("unseen", Health.ATTENTION, "three looks in a row saw nothing, or nobody has looked for 4 days", _unseen),
    Rule(
        "proof-missing", Health.ATTENTION, "three looks in a row found no good record of dns-persist-01", _proof_missing
    ),
    Rule("proof-ends", Health.ATTENTION, "a record of dns-persist-01 ends within 30 days", _proof_ends),
    Rule("undone", Health.ATTENTION, "a person had the deployment of the current version taken back", _undone),
    Rule("neglected", Health.ATTENTION, "something has been due for 36 hours, and nobody did it", _neglected),
    Rule("held", Health.PAUSED, "a person wants no renewal now", _held),
    Rule(
        "applying",
        Health.RENEWING,
        "a task puts a version to use, or goes on with it after it was broken off",
        _applying,
    ),
    Rule("retrying", Health.RENEWING, "a renewal or deployment failed once or twice, and is tried again", _retrying),
    Rule("due", Health.RENEWING, "a renewal is due, or under way", _due),
    Rule("deploying", Health.RENEWING, "a task has not put the current version to use yet", _deploying),
    Rule("well", Health.OK, "none of the above", _well),
)
"""All, in their order: what stands first decides."""
