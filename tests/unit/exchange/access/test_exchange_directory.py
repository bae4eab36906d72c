from certwright.exchange.access.directory import Directory
from certwright.remoting.clixml import Obj
from certwright.remoting.failures import CommandFailed, ErrorRecord
from certwright.remoting.psrp import Command, Result

GET = Command("Get-PopSettings", {"Server": "EX01"})


def read_from(*controllers: str | None) -> Result:
    return Result(tuple(Obj(properties={"OriginatingServer": c} if c else {}) for c in controllers), ())


def failure(message: str, kind: str = "") -> CommandFailed:
    return CommandFailed(GET.name, "ex01", [ErrorRecord(message, "", kind)])


def test_the_first_answer_decides() -> None:
    directory = Directory()
    assert directory.aim(GET) is GET
    directory.learn(read_from(None, "dc2.contoso.test", "dc1.contoso.test"))
    directory.learn(read_from("dc3.contoso.test"))
    assert directory.controller == "dc2.contoso.test"
    assert directory.aim(GET).parameters == {"Server": "EX01", "DomainController": "dc2.contoso.test"}


def test_commands_that_have_nothing_to_do_with_it_are_left_alone() -> None:
    directory = Directory()
    directory.pin("dc1")
    for command in (Command("Get-Command"), Command("Select-Object"), Command("Get-Queue")):
        assert directory.aim(command) is command
    chosen = Command(GET.name, {"DomainController": "dc9"})
    assert directory.aim(chosen) is chosen


def test_rights_tell_who_does_not_take_it() -> None:
    directory = Directory()
    directory.pin("dc1")
    directory.know({"Get-PopSettings": frozenset({"Server"}), "Get-AuthConfig": frozenset({"DomainController"})})
    assert directory.aim(GET) is GET
    assert directory.aim(Command("Get-AuthConfig")).parameters


def test_a_cmdlet_that_does_not_take_it_is_remembered() -> None:
    directory = Directory()
    directory.pin("dc1")
    words = "Es wurde kein Parameter gefunden, der dem Parameternamen 'DomainController' entspricht."
    assert directory.is_refused(GET, failure(words, "ParameterBindingException"))
    assert directory.aim(GET) is GET
    assert not directory.is_refused(GET, failure("no parameter 'Server'", "ParameterBindingException"))


def test_a_failure_that_names_the_controller_may_mean_that_it_is_gone() -> None:
    directory = Directory()
    assert not directory.may_be_gone(failure("The RPC server is unavailable."))
    directory.pin("dc1.contoso.test")
    assert not directory.may_be_gone(failure("The RPC server is unavailable."))
    assert directory.may_be_gone(failure("The domain controller 'DC1.contoso.test' cannot be contacted."))
