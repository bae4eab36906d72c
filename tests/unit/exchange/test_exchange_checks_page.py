"""The guide's page of checks says what the code says."""

import re
from pathlib import Path

import pytest

from certwright.exchange.judgement.checks import CHECKS, Check

PAGE = (Path(__file__).parents[3] / "docs" / "guide" / "exchange-checks.md").read_text()
SECTIONS = dict(re.findall(r"^### ([^\n]+)\n\n(.+?)\n(?=\n|\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_each_check_is_explained_in_the_words_of_the_code(check: Check) -> None:
    assert " ".join(SECTIONS[check.title].split()) == f"`{check.id}`: {check.explanation}"


def test_no_other_check_is_explained() -> None:
    assert list(SECTIONS) != []
    assert set(SECTIONS) == {check.title for check in CHECKS.values()}
