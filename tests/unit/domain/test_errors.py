import inspect
import re
from datetime import timedelta

import pytest

from certwright.domain import errors
from certwright.domain.errors import CertwrightError, DeploymentError, InvalidIdentifier, LeaseLost, Unreachable

_BRANCH = re.compile(r"^(?P<indent>(?:│   |    )*)(?:├── |└── )(?P<name>\w+) {2,}\S", re.MULTILINE)


def _drawn() -> dict[str, str]:
    """Each class of the drawing with the one it hangs from."""
    path = ["CertwrightError"]
    parents = {}
    for branch in _BRANCH.finditer(inspect.getdoc(errors) or ""):
        depth = len(branch["indent"]) // 4 + 1
        parents[branch["name"]] = path[depth - 1]
        path[depth:] = [branch["name"]]
    return parents


def test_the_tree_of_the_docstring_is_the_real_one() -> None:
    real = {
        name: cls.__base__.__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, CertwrightError) and cls is not CertwrightError and cls.__base__
    }
    assert len(real) >= 13
    assert _drawn() == real


def test_an_error_explains_itself_line_by_line() -> None:
    cause = Unreachable("ex02 does not answer.", hint="Start it.", causes=["port 443: refused", OSError("two\nlines")])
    error = DeploymentError("1 of 2 servers failed.", hint="Run it again.", causes=[cause])
    assert list(error.explain()) == [
        "1 of 2 servers failed.",
        "  ex02 does not answer.",
        "    port 443: refused",
        "    two",
        "    lines",
        "  Start it.",
        "Run it again.",
    ]
    assert str(error) == "1 of 2 servers failed."


@pytest.mark.parametrize(
    ("kind", "default"), [(CertwrightError, False), (InvalidIdentifier, False), (Unreachable, True), (LeaseLost, True)]
)
def test_retryable_is_the_class_s_answer_unless_said(kind: type[CertwrightError], default: bool) -> None:
    assert kind("x").retryable is default
    assert kind("x", retryable=not default).retryable is (not default)
    assert kind.retryable is default


def test_a_peer_s_wish_to_wait_is_kept() -> None:
    assert Unreachable("x", retry_after=timedelta(seconds=30)).retry_after == timedelta(seconds=30)
    assert Unreachable("x").retry_after is None
