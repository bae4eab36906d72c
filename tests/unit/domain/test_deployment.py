from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.deployment import Change, Plan, ServedRow, Verdict, failures

TEXT = st.text(max_size=20)
CHANGE = st.builds(Change, target=TEXT, action=TEXT, parameters=st.dictionaries(TEXT, TEXT, max_size=3), why=TEXT)
PLAN = st.builds(
    Plan,
    changes=st.lists(CHANGE, max_size=3).map(tuple),
    refusals=st.lists(TEXT, max_size=2).map(tuple),
    notes=st.lists(TEXT, max_size=2).map(tuple),
)


@given(PLAN)
def test_a_plan_read_back_from_storage_has_the_same_digest(plan: Plan) -> None:
    assert Plan.model_validate_json(plan.model_dump_json()).digest == plan.digest


@given(PLAN, PLAN)
def test_plans_have_one_digest_only_if_they_are_equal(one: Plan, other: Plan) -> None:
    assert (one.digest == other.digest) is (one == other)


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
