import pytest
from pydantic import BaseModel

from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.runs import DeploymentState, Entry, Outcome, Phase, Run, RunKind, Stage
from unit.domain.workshop import START

ROW = ServedRow(server="ex01", service="IIS", address="127.0.0.1", port=443, protocol="https", verdict=Verdict.OK)


@pytest.mark.parametrize(
    "value",
    [
        Run(
            managed_id="m1",
            kind=RunKind.DEPLOY,
            started_at=START,
            ended_at=START,
            outcome=Outcome.DONE,
            message="Done.",
        ),
        Entry(sequence=7, run_id="r1", at=START, step=2, parent=1, phase=Phase.END, title="x", outcome=Outcome.SKIPPED),
        DeploymentState(task_id="t1", managed_id="m1", stage=Stage.UNDOING, baseline=(ROW,), served=(ROW, ROW)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_stored_of_a_run_is_read_back_as_it_was(value: BaseModel) -> None:
    assert type(value).model_validate_json(value.model_dump_json()) == value


def test_the_message_of_an_attempt_goes_with_the_next_one_which_says_how_to_go_on_where_it_was_broken_off() -> None:
    failed = DeploymentState(task_id="t1", managed_id="m1", version_id="v1", stage=Stage.FAILED, message="Refused.")

    def told(state: DeploymentState, *, deploying: bool, by_itself: bool = False) -> tuple[str, list[str]]:
        said = state.told(deploying=deploying, by_itself=by_itself)
        return state.word(deploying=deploying).value, said.splitlines()

    assert told(failed, deploying=False) == told(failed, deploying=True) == ("failed", ["Refused."])
    begun = failed.begun("v1", ())
    assert told(begun, deploying=False) == ("new", [])
    applying = begun.model_copy(update={"stage": Stage.APPLYING})
    assert told(applying, deploying=True) == ("applying", ["The deployment is under way."])
    word, (first, again) = told(applying, deploying=False)
    assert (word, first) == ("interrupted", "The deployment was broken off half-way.")
    assert again == "Go on with it: certwright task run m1 t1"
    _, (_, at_once) = told(applying, deploying=False, by_itself=True)
    assert at_once == "It goes on by itself. To go on at once: certwright task run m1 t1"
    stopped = applying.model_copy(update={"message": "It waits."})
    for deploying in (True, False):
        assert told(stopped, deploying=deploying, by_itself=True) == ("interrupted", [first, "It waits.", again])
