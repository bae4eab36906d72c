"""What Exchange says that another server answered, told once and with the next step."""

import pytest

from certwright.remoting.failures import CommandFailed, ErrorRecord

BARE = "A special Rpc error occurs on server EX01:"


def failed(message: str, place: str = "ex01.contoso.test", command: str = "Get-ExchangeCertificate") -> CommandFailed:
    return CommandFailed(command, place, [ErrorRecord(message, "[Server=EX01]", "InvalidOperationException")])


@pytest.mark.parametrize(
    "message",
    [BARE, f"{BARE} ", "Ein spezieller RPC-Fehler ist auf dem Server EX01 aufgetreten: "],
    ids=["bare", "with a space", "German"],
)
def test_a_service_that_did_not_answer_is_named_with_the_next_step(message: str) -> None:
    failure = failed(message)
    assert "the service MSExchangeServiceHost of EX01 could not be reached" in failure.message
    assert "Look on EX01 whether it runs: Get-Service MSExchangeServiceHost" in failure.hint
    assert "firewall" in failure.hint
    assert message in failure.causes
    assert failure.records[0].message == message


def test_a_reason_that_it_could_not_be_reached_is_told_too() -> None:
    failure = failed(f"{BARE} The RPC server is unavailable.")
    assert failure.message.endswith("of EX01 could not be reached: The RPC server is unavailable.")
    assert "Get-Service MSExchangeServiceHost" in failure.hint


@pytest.mark.parametrize(
    ("place", "where"),
    [("ex01.contoso.test", "ex01.contoso.test"), ("ex02.contoso.test", "EX01, asked through ex02.contoso.test")],
)
def test_what_it_answered_is_told_without_the_wrapper(place: str, where: str) -> None:
    failure = failed(f"{BARE} Cannot import certificate. The password is wrong.", place, "Import-ExchangeCertificate")
    assert failure.message == (
        f"Import-ExchangeCertificate failed on {where}: Cannot import certificate. The password is wrong."
    )
    assert sum("special Rpc" in line for line in failure.explain()) == 1
    assert failure.hint == ""


@pytest.mark.parametrize("message", ["The RPC server is unavailable: 1722.", "Special rules on server EX01: none."])
def test_other_sentences_stay_as_they_are(message: str) -> None:
    assert failed(message).message == f"Get-ExchangeCertificate failed on ex01.contoso.test: {message}"
