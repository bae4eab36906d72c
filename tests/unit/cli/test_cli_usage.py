"""A command line that makes no sense: words for a person, and with --json the same object as for every other error."""

import json
import sys

import pytest

from certwright.cli import main


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["certwright", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "says", "command"),
    [
        (["exchange", "plan"], "Missing argument 'CERT'.", "certwright exchange plan"),
        (["exchange", "discover", "--nonsense"], "No such option: --nonsense", "certwright exchange discover"),
        (["exchange", "nonsense"], "No such command 'nonsense'.", "certwright exchange"),
        (["nonsense"], "No such command 'nonsense'.", "certwright"),
        (["exchange", "setup", "--wave-width", "wide"], "should be a valid integer", "certwright exchange setup"),
    ],
)
def test_it_is_told_in_both_forms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str, command: str
) -> None:
    assert typed(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert says in err
    assert typed(monkeypatch, *arguments, "--json") == 2
    out, err = capsys.readouterr()
    assert not err
    (error,) = json.loads(out).values()
    assert says in error["message"]
    assert error["hint"] == f"See how it is typed: {command} --help"
    assert error["retryable"] is False


def test_help_and_version_are_no_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "exchange", "plan", "--json", "--help") == 0
    assert "Say exactly what would be done." in capsys.readouterr().out
    assert typed(monkeypatch, "--version") == 0
