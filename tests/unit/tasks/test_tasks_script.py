"""What the `script` task would run, and what it is told, without running it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.domain.triggers import Occasion, OccasionKind
from certwright.sdk.context import Credential, TaskContext
from certwright.sdk.journal import SilentJournal
from certwright.sdk.params import read_params
from certwright.sdk.places import Places
from certwright.tasks.script import Params, Script
from peers.answers import KeptInMemory


@pytest.fixture
def program(tmp_path: Path) -> Path:
    made = tmp_path / "program"
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


def script(program: Path, *folders: Path, arguments: str = "", **context: Any) -> Script:
    given = TaskContext(
        certificate_title="Contoso mail",
        version=None,
        predecessors=(),
        credentials=lambda name: Credential(name, "postmaster", "s3cret"),
        memory=KeptInMemory(),
        journal=SilentJournal(),
        now=lambda: datetime.now(UTC),
        guard=lambda: None,
        places=Places(folders),
        **context,
    )
    return Script(read_params(Params, {"program": str(program), "arguments": arguments}, "the task"), given)


def test_the_plan_shows_what_would_be_typed_and_why(program: Path) -> None:
    occasion = Occasion(OccasionKind.REQUEST_FAILED)
    (change,) = script(program, program.parent, arguments="-x 'two words' $HOME", occasion=occasion).plan().changes
    assert change.typed == f"{program} -x 'two words' '$HOME'"
    assert change.why == "It runs for: request-failed."


def test_a_program_elsewhere_is_refused_by_the_plan_already(program: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="in none of the script folders"):
        script(program, tmp_path / "other").plan()


@pytest.mark.parametrize("arguments", ["it's", 'a "b', "end\\", "nul\0"])
def test_arguments_that_are_no_words_are_refused(program: Path, arguments: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        script(program, program.parent, arguments=arguments)
    (cause,) = raised.value.causes
    assert str(cause).startswith("arguments: it ")
