"""How a certificate is: every rule is reachable, the gravest decides, and an answer holds as long as it says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.deployment import Finding, ServedRow, Severity, Verdict
from certwright.domain.health import NEEDS_PERSON, judge, of_watched, worst
from certwright.domain.health_input import HealthInput, TaskFacts
from certwright.domain.health_rules import NEGLECTED, RULES, UNKNOWN_FOR, Health
from certwright.domain.looks import ProofLook, TaskLook
from certwright.domain.managed import TaskSettings
from certwright.domain.renewal_state import Failure, Hold, RenewalState
from certwright.domain.retry import Cause
from certwright.domain.runs import DeploymentState, Stage
from certwright.domain.tasks import Trigger
from certwright.domain.watching import Look, Place, Seen, Watched, looked
from unit.domain.test_renewal import MANAGED, VERSION, facts
from unit.domain.test_renewal import given_at as renewal_at
from unit.domain.workshop import START

DAY = timedelta(days=1)
END = START + 90 * DAY
TASK = TaskSettings(id="task00000001", kind="exchange", title="Exchange", params={})
REBOUND = Finding(
    check="drift-web-site", severity=Severity.STOP, subject="ex01", message="Somebody bound it.", remedy="Plan it."
)
CHOSEN = REBOUND.model_copy(update={"check": "drift-connector", "severity": Severity.WARN, "remedy": ""})
STRANGER = ServedRow(
    server="ex01",
    service="IIS",
    address="192.0.2.1",
    port=443,
    protocol="TLSv1.3",
    now="abcd else",
    valid=False,
    verdict=Verdict.STALE,
)
Change = Callable[[HealthInput], HealthInput]


def well(day: float = 10) -> HealthInput:
    """Issued and deployed at the start, and looked at today."""
    now = START + day * DAY
    state = DeploymentState(
        task_id=TASK.id, managed_id=MANAGED.id, version_id=VERSION.id, stage=Stage.DEPLOYED, updated_at=START
    )
    look = TaskLook(version_id=VERSION.id, not_after=END, seen_at=now)
    return HealthInput(renewal_at(now), (TaskFacts(TASK, state, look),), planned_at=START + 60 * DAY)


def renewal(**changed: Any) -> Change:
    return lambda given: replace(given, renewal=replace(given.renewal, **changed))


def failed(count: int = 1, cause: Cause = Cause.UNREACHABLE) -> Change:
    def change(given: HealthInput) -> HealthInput:
        now = given.now
        failure = Failure(
            cause=cause,
            count=count,
            since=now - DAY,
            at=now,
            retry_at=now + DAY / 24,
            message="The authority does not answer.",
            revision=0,
        )
        return renewal(state=RenewalState(failure=failure))(given)

    return change


def state(**changed: Any) -> Change:
    def change(given: HealthInput) -> HealthInput:
        states = [replace(t, state=t.state.model_copy(update=changed) if t.state else None) for t in given.tasks]
        return replace(given, tasks=tuple(states))

    return change


def look(**changed: Any) -> Change:
    def change(given: HealthInput) -> HealthInput:
        looks = [replace(t, look=t.look.model_copy(update=changed) if t.look else None) for t in given.tasks]
        return replace(given, tasks=tuple(looks))

    return change


def proof(days: float | None = None, **changed: Any) -> Change:
    def change(given: HealthInput) -> HealthInput:
        ends = None if days is None else given.now + days * DAY
        return replace(given, proof=ProofLook(name="_validation-persist.x.test", ends=ends, **changed))

    return change


def held(given: HealthInput) -> HealthInput:
    return renewal(state=RenewalState(hold=Hold(reason="server move", since=given.now)))(given)


def at(day: float) -> Change:
    """Everything as it was, but later; the ports were just looked at."""
    return lambda given: look(seen_at=START + day * DAY)(renewal(now=START + day * DAY)(given))


def unissued(given: HealthInput) -> HealthInput:
    return replace(renewal(current=None, facts=None)(given), tasks=(TaskFacts(TASK),), planned_at=given.now)


def behind(**changed: Any) -> Change:
    """A task that has still to deploy the current version."""
    return state(version_id="older", **changed)


def spent(given: HealthInput) -> HealthInput:
    """A task that may be tried again once has failed twice."""
    settings = TASK.model_copy(update={"retries": 1})
    changed = state(stage=Stage.FAILED, failures=2, attempts=2, message="The port is closed.")(given)
    return replace(changed, tasks=tuple(replace(task, settings=settings) for task in changed.tasks))


def manual(given: HealthInput) -> HealthInput:
    """Its task runs when a person runs it, and not by itself."""
    settings = TASK.model_copy(update={"trigger": Trigger.MANUAL})
    return replace(given, tasks=tuple(replace(task, settings=settings) for task in given.tasks))


def in_use_until(days: float) -> Change:
    """A task without ports has had no turn with the current version; the one in use ends in so many days."""

    def change(given: HealthInput) -> HealthInput:
        ends = given.now + days * DAY
        late = behind()(given) if all(t.settings.retries is None for t in given.tasks) else given
        return replace(late, tasks=tuple(replace(task, look=None, in_use_until=ends) for task in late.tasks))

    return change


revoked = renewal(current=VERSION.model_copy(update={"revoked_at": START}))
CASES: list[tuple[str, Change]] = [
    ("expired", at(90)),
    ("expired", lambda given: held(at(90)(given))),
    ("served-expired", look(not_after=START + 10 * DAY)),
    ("served-invalid", look(rows=(STRANGER,))),
    ("revoked", revoked),
    ("stuck", state(stage=Stage.UNDOING)),
    ("urgent", at(87)),
    ("urgent", look(not_after=START + 12 * DAY)),
    ("broken-off", state(stage=Stage.APPLYING, message="A person has to agree first.", failures=4)),
    ("broken-off", lambda given: manual(state(stage=Stage.APPLYING)(given))),
    ("drift", look(differences=(REBOUND,))),
    ("drift", look(rows=(STRANGER.model_copy(update={"valid": True}),))),
    ("renewal-failing", failed(3)),
    ("renewal-failing", lambda given: failed(1)(at(80)(given))),
    ("given-up", spent),
    ("urgent", lambda given: in_use_until(2)(spent(given))),
    ("near-its-end", in_use_until(14)),
    ("served-expired", in_use_until(0)),
    ("deployment-failing", behind(stage=Stage.ROLLED_BACK, failures=1)),
    ("deployment-failing", behind(stage=Stage.FAILED, failures=3)),
    ("deployment-failing", lambda given: behind(stage=Stage.FAILED, failures=1)(at(80)(given))),
    ("proof-ended", proof(0)),
    ("needs-person", behind(stage=Stage.WAITING, message="Restart IIS.", failures=9)),
    ("deployment-refused", behind(stage=Stage.FAILED, failures=1, retryable=False)),
    ("renewal-waits", failed(1, Cause.PERSON)),
    ("renewal-waits", failed(9, Cause.PERSON)),
    ("renewal-waits", lambda given: failed(9, Cause.PERSON)(at(80)(given))),
    ("deployment-refused", behind(stage=Stage.FAILED, failures=1)),
    ("needs-change", failed(1, Cause.SETTINGS)),
    ("needs-change", failed(1, Cause.PROOF)),
    ("needs-change", failed(1, Cause.REFUSED)),
    ("needs-change", lambda given: failed(1, Cause.PROOF)(unissued(given))),
    ("first-failing", lambda given: failed(1)(unissued(given))),
    ("first-failing", lambda given: failed(2, Cause.LIMIT)(unissued(given))),
    ("renewal-failing", lambda given: failed(3)(unissued(given))),
    ("near-its-end", at(77)),
    ("changed", look(differences=(CHOSEN,))),
    ("unseen", look(failures=3)),
    ("unseen", lambda given: look(seen_at=given.now - UNKNOWN_FOR)(given)),
    ("unseen", lambda given: replace(given, tasks=tuple(replace(task, look=None) for task in given.tasks))),
    ("proof-missing", proof(failures=3)),
    ("proof-ends", proof(30)),
    ("undone", state(stage=Stage.ROLLED_BACK, undone=VERSION.id)),
    ("neglected", lambda given: replace(given, planned_at=given.now - NEGLECTED)),
    ("held", held),
    ("held", lambda given: held(unissued(given))),
    ("retrying", failed()),
    ("retrying", failed(2, Cause.UNEXPECTED)),
    ("retrying", behind(stage=Stage.FAILED, failures=1, in_use="older")),
    ("due", at(60)),
    ("due", unissued),
    ("deploying", behind()),
    ("applying", state(stage=Stage.APPLYING)),
    ("applying", state(stage=Stage.APPLYING, failures=4)),
    ("applying", lambda given: replace(manual(state(stage=Stage.APPLYING)(given)), deploying=True)),
    ("well", proof(31)),
    ("well", look(failures=2)),
    ("well", lambda given: replace(given, tasks=())),
]


@pytest.mark.parametrize(("rule", "change"), CASES)
def test_each_rule(rule: str, change: Change) -> None:
    condition = judge(change(well()))
    assert condition.rule == rule
    assert condition.message
    assert bool(condition.hint) is (condition.health in NEEDS_PERSON)


def test_every_rule_is_reached_and_every_health() -> None:
    assert {rule for rule, _ in CASES} == {rule.name for rule in RULES}
    assert {rule.health for rule in RULES} == set(Health)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_rules_stand_in_the_order_of_their_gravity() -> None:
    order = [list(Health).index(rule.health) for rule in RULES]
    assert order == sorted(order)


CHANGES = [change for _, change in CASES]


@given(st.lists(st.sampled_from(CHANGES), max_size=4), st.floats(0, 100))
def test_the_worst_wins(changes: list[Change], day: float) -> None:
    given = at(day)(well())
    for change in changes:
        given = change(given)
    found = [rule.health for rule in RULES if rule.check(given)]
    assert judge(given).health is worst(found)


@given(st.lists(st.sampled_from(CHANGES), max_size=4), st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_an_answer_holds_by_the_clock_until_the_moment_that_it_names(
    changes: list[Change], day: float, part: float
) -> None:
    given = at(day)(well())
    for change in changes:
        given = change(given)
    condition = judge(given)
    until = condition.until or given.now + 1000 * DAY
    assert until > given.now
    between = min(given.now + (until - given.now) * part, until - timedelta.resolution)
    later = judge(renewal(now=between)(given))
    assert (later.health, later.rule, later.message) == (condition.health, condition.rule, condition.message)


@given(st.lists(st.sampled_from(CHANGES), max_size=4), st.floats(0, 200))
def test_what_has_ended_or_is_not_known_for_long_is_never_well(changes: list[Change], day: float) -> None:
    given = well()
    for change in changes:
        given = change(given)
    given = renewal(now=START + day * DAY)(given)
    if given.renewal.facts and given.renewal.facts.not_after <= given.now:
        assert judge(given).health is Health.CRITICAL
    for task in given.tasks:
        if task.ends and task.ends <= given.now:
            assert judge(given).health is Health.CRITICAL
        is_deployed = task.state and task.state.stage is Stage.DEPLOYED
        if task.look and is_deployed and given.now - max(task.look.seen_at, START) >= UNKNOWN_FOR:
            assert judge(given).health in NEEDS_PERSON


@pytest.mark.parametrize(("lifetime", "urgent"), [(90 * DAY, 87), (6 * DAY, 5.5), (timedelta(hours=12), 11 / 24)])
def test_urgent_is_the_last_part_of_a_short_life(lifetime: timedelta, urgent: float) -> None:
    def rule(day: float) -> str:
        given = HealthInput(replace(renewal_at(START + day * DAY), facts=facts(lifetime)))
        return judge(given).rule

    assert rule(urgent - 0.01) == "near-its-end"
    assert rule(urgent) == "urgent"
    assert rule(lifetime / DAY) == "expired"


def test_a_task_that_gave_up_is_never_said_to_be_tried_again_by_itself() -> None:
    condition = judge(spent(well()))
    assert condition.message == "Exchange failed as often as it may, and is not tried again. The port is closed."
    assert condition.hint == f"certwright task run {MANAGED.id} {TASK.id}"
    urgent = judge(in_use_until(1)(spent(well())))
    assert (urgent.hint, urgent.ends) == (f"certwright deploy {MANAGED.id}", well().now + DAY)


def test_a_refused_deployment_says_since_when_until_when_and_what_to_do() -> None:
    message = "The sign-in was refused.\nStore the right one: certwright credential add exchange mail"
    refused = behind(
        stage=Stage.FAILED, failures=1, retryable=False, failing_since=START + DAY, message=message, in_use="older"
    )
    condition = judge(in_use_until(40)(refused(well())))
    assert condition.message == (
        f"The new certificate is not put to use since {START + DAY:%Y-%m-%d} 00:00 UTC. The sign-in was refused. "
        f"What is in use ends on {well().now + 40 * DAY:%Y-%m-%d} 00:00 UTC."
    )
    assert condition.hint.splitlines() == [
        "Store the right one: certwright credential add exchange mail",
        f"Then: certwright deploy {MANAGED.id}",
    ]


def test_what_is_tried_again_says_when() -> None:
    condition = judge(
        behind(stage=Stage.FAILED, failures=1, in_use="older", retry_at=START + 90 * DAY, message="No answer.")(well())
    )
    assert f"tried again by itself on {START + 90 * DAY:%Y-%m-%d} 00:00 UTC. No answer." in condition.message
    waits = judge(
        behind(stage=Stage.WAITING, retry_at=START + 90 * DAY, message="A person has to agree first.")(well())
    )
    assert waits.message == (
        f"A person has to agree first. It is tried again by itself on {START + 90 * DAY:%Y-%m-%d} 00:00 UTC."
    )


def test_the_answer_names_the_cause_and_the_command() -> None:
    condition = judge(failed(4)(well()))
    assert condition.message == (
        "The renewal failed 4 times since 2026-11-10 00:00 UTC: The authority does not answer. "
        "What is in use ends on 2027-01-30 00:00 UTC."
    )
    assert condition.hint == f"certwright certificate test {MANAGED.id}"
    drift = judge(look(differences=(REBOUND, CHOSEN))(well()))
    assert (drift.hint, "Somebody bound it." in drift.message) == ("Plan it.", True)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (60, "The renewal waits for a person: The authority does not answer."),
        (88, "What is in use ends on 2027-01-30 00:00 UTC. The renewal waits for a person: The authority does"),
        (90, "It ended on 2027-01-30 00:00 UTC. The renewal waits for a person: The authority does"),
    ],
)
def test_a_renewal_that_waits_for_a_person_names_where_the_records_are_shown(day: float, said: str) -> None:
    condition = judge(failed(5, Cause.PERSON)(at(day)(well())))
    assert condition.message.startswith(said)
    assert condition.hint == f"Read what is to be done with: certwright certificate log {MANAGED.id}"


@pytest.mark.parametrize(
    ("days", "failures", "problem", "health"),
    [
        (90, 0, "", Health.OK),
        (90, 2, "no answer", Health.OK),
        (90, 3, "no answer", Health.ATTENTION),
        (90, 0, "not its name", Health.ATTENTION),
        (20, 0, "", Health.ATTENTION),
        (0, 0, "", Health.CRITICAL),
    ],
)
def test_what_is_watched(days: int, failures: int, problem: str, health: Health) -> None:
    end = START + days * DAY
    seen = Seen(
        sha256="a", thumbprint="A", subject="", issuer="", names=(), key="", not_before=end - 365 * DAY, not_after=end
    )
    item = Watched(title="Shop", place=Place(host="shop.test", port=443), seen=seen, since=START, looked_at=START)
    for _ in range(failures):
        item, _ = looked(item, Look(seen=None, problem=problem), START)
    if problem and not failures:
        item, _ = looked(item, Look(seen=seen, problem=problem), START)
    assert of_watched(item, START) is health


def test_the_guide_has_every_rule_in_its_order() -> None:
    page = (Path(__file__).parents[3] / "docs/guide/health.md").read_text()
    table = [line for line in page.splitlines() if line.startswith("| `")]
    assert table == [f"| `{rule.name}` | {rule.health} | {rule.meaning} |" for rule in RULES]


@pytest.mark.parametrize(
    ("change", "rule", "said"),
    [
        (behind(), "deploying", "The current version is issued."),
        (
            behind(stage=Stage.WAITING, retry_at=START + 90 * DAY, message="It was begun."),
            "needs-person",
            "It was begun.",
        ),
        (
            behind(stage=Stage.FAILED, failures=1, in_use="older", retry_at=START + 90 * DAY, message="No answer."),
            "retrying",
            "Its deployment failed, and is tried again by itself. No answer.",
        ),
    ],
)
def test_what_waits_for_a_window_tells_until_when(change: Change, rule: str, said: str) -> None:
    given = change(well())
    waits = "Its deployment waits until Sat 2026-01-10 22:00 UTC, when the window 'nights' opens."
    told = judge(replace(given, tasks=tuple(replace(task, waits=waits) for task in given.tasks)))
    assert (told.rule, told.message) == (rule, f"{said} {waits}")
