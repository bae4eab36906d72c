from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.deployment import (
    Change,
    Finding,
    Plan,
    ServedRow,
    Severity,
    Verdict,
    basis_changes,
    between,
    failures,
    is_seen,
    outcome,
)

TEXT = st.text(max_size=20)
CHANGE = st.builds(Change, target=TEXT, action=TEXT, parameters=st.dictionaries(TEXT, TEXT, max_size=3), why=TEXT)
FINDING = st.builds(Finding, check=TEXT, severity=st.sampled_from(Severity), subject=TEXT, message=TEXT, remedy=TEXT)
PLAN = st.builds(
    Plan,
    changes=st.lists(CHANGE, max_size=3).map(tuple),
    findings=st.lists(FINDING, max_size=2).map(tuple),
    basis=st.dictionaries(TEXT, TEXT, max_size=2),
)


@given(PLAN)
def test_a_plan_read_back_from_storage_has_the_same_digest(plan: Plan) -> None:
    assert Plan.model_validate_json(plan.model_dump_json()).digest == plan.digest


@given(PLAN, PLAN)
def test_plans_have_one_digest_only_if_they_do_and_refuse_the_same_to_the_same_world(one: Plan, other: Plan) -> None:
    same = (one.changes, one.refusals, one.questions, one.basis) == (
        other.changes,
        other.refusals,
        other.questions,
        other.basis,
    )
    assert (one.digest == other.digest) is same


@given(PLAN, TEXT)
def test_what_a_person_should_only_know_is_no_difference(plan: Plan, text: str) -> None:
    note = Finding(check="clock", severity=Severity.WARN, message=text)
    assert plan.model_copy(update={"findings": (*plan.findings, note)}).digest == plan.digest


def test_the_order_of_parameters_is_no_difference_but_that_of_changes_is() -> None:
    first = Change(target="ex01", action="Import", parameters={"a": "1", "b": "2"}, why="new")
    same = Change(target="ex01", action="Import", parameters={"b": "2", "a": "1"}, why="new")
    second = Change(target="ex01", action="Enable", why="new")
    assert Plan(changes=(first, second)).digest == Plan(changes=(same, second)).digest
    assert Plan(changes=(first, second)).digest != Plan(changes=(second, first)).digest


def test_the_rows_that_keep_a_deployment_from_being_done() -> None:
    rows = [
        ServedRow(server="ex01", service="IMAP", address="127.0.0.1", port=993, protocol="tls", verdict=verdict)
        for verdict in Verdict
    ]
    assert {row.verdict for row in failures(rows)} == {Verdict.STALE, Verdict.REGRESSION}


def test_what_changed_since_a_plan_was_made_is_told() -> None:
    old = Plan(basis={"EX01 internal transport": "AB", "POP name on EX01": "mail", "IIS on EX01": "CD"})
    new = Plan(basis={"EX01 internal transport": "EF", "IIS on EX01": "CD", "IMAP name on EX01": "mail"})
    assert basis_changes(old, new) == (
        "EX01 internal transport: was AB, is EF",
        "IMAP name on EX01: was nothing, is mail",
        "POP name on EX01: was mail, is nothing",
    )
    assert not basis_changes(old, old)


def test_the_outcome_claims_no_more_than_was_seen() -> None:
    seen = ServedRow(server="s", service="IIS", address="a", port=443, protocol="", verdict=Verdict.OK)
    unseen = seen.model_copy(update={"service": "POP", "verdict": Verdict.NOT_VERIFIED})
    sent = seen.model_copy(update={"service": "outbound: To partner", "sends": True})
    assert outcome([]) == outcome([sent]) == "no port was looked at"
    assert is_seen([unseen, seen])
    assert not is_seen([unseen, sent])
    assert outcome([seen, seen]) == "every checked port serves it"
    assert outcome([seen, unseen, unseen]) == "1 of 3 ports serve it; not verified: POP of s"


def test_which_servers_have_what_is_told_of_what_was_broken_off() -> None:
    def row(server: str, before: str | None, now: str | None, **changed: Any) -> ServedRow:
        place = {"server": server, "service": "IIS", "address": "192.0.2.1", "port": 443, "protocol": "TLS"}
        return ServedRow(**{**place, "before": before, "now": now, "verdict": Verdict.OK, **changed})

    rows = [row("ex01", "old", "new"), row("ex02", "old", "old")]
    assert between(rows) == "ex01 has the new certificate; ex02 has the old one"
    rows += [row("ex03", "old", "new"), row("ex04", "old", "old"), row("ex04", "old", "new"), row("", None, "new")]
    assert between(rows) == ("ex01, ex03, 192.0.2.1 have the new certificate; ex04 has both; ex02 has the old one")
    assert between([row("ex01", "old", None), row("ex02", "old", "new", sends=True)]) == ""
