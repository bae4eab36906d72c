from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.exchange.access import windows
from certwright.exchange.access.reading import Reading
from certwright.exchange.access.windows import ScheduledTask, WindowsService
from certwright.exchange.model import Binding, KeyStorage
from certwright.remoting.clixml import Obj, Value
from certwright.remoting.failures import CommandFailed, ErrorRecord
from certwright.remoting.psrp import Command, Result

VALUES = st.recursive(
    st.none() | st.text() | st.integers() | st.booleans() | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.builds(
        Obj,
        text=st.text(),
        items=st.lists(inner, max_size=2).map(tuple),
        properties=st.dictionaries(st.sampled_from(["Execute", "Arguments"]), inner, max_size=2),
        is_collection=st.booleans(),
    ),
    max_leaves=5,
)
NAMES = ("Id", "TimeCreated", "Message", "TaskName", "State", "Actions", "sslFlags", "ItemXPath", "Action", "Status")
RECORDS = st.builds(Obj, properties=st.dictionaries(st.sampled_from(NAMES), VALUES))


def reading(*answers: Obj | CommandFailed) -> Reading:
    def run(*_: Command) -> Result:
        for answer in answers:
            if isinstance(answer, CommandFailed):
                raise answer
        return Result(tuple(answer for answer in answers if isinstance(answer, Obj)), ())

    return Reading(run, "EX01")


def failed(error_id: str) -> CommandFailed:
    return CommandFailed("Get-ChildItem", "ex01", [ErrorRecord("no", error_id, "")])


@settings(deadline=None)
@given(RECORDS)
def test_records_of_any_kind_never_fail(record: Obj) -> None:
    windows.event(record)
    windows.bindings(reading(record))
    windows.scheduled_tasks(reading(record))
    windows.services(reading(record), ["*"])
    windows.key_storage(reading(record), "A" * 40)
    windows.updating(reading(record))


def test_a_binding() -> None:
    record = Obj(
        properties={
            "bindingInformation": "*:443:mail.contoso.com",
            "sslFlags": 1,
            "certificateHash": "ab cd",
            "ItemXPath": "/system.applicationHost/sites/site[@name='Default Web Site' and @id='1']",
        }
    )
    assert windows.bindings(reading(record)) == (Binding("*:443:mail.contoso.com", 1, "ABCD", sni=True),)


def test_what_a_task_starts() -> None:
    action = Obj(properties={"Execute": "C:\\acme\\wacs.exe", "Arguments": "--renew", "Id": None})
    record = Obj(
        properties={
            "TaskName": "Renew",
            "TaskPath": "\\",
            "State": Obj(text="Disabled", value=1),
            "Actions": Obj(items=(action,), is_collection=True),
        }
    )
    assert windows.scheduled_tasks(reading(record)) == (
        ScheduledTask("Renew", "\\", False, "C:\\acme\\wacs.exe --renew"),
    )


def test_a_service() -> None:
    record = Obj(
        properties={"Name": "Certify.Service", "Status": Obj(text="Stopped"), "StartType": Obj(text="Disabled")}
    )
    assert windows.services(reading(record), ["*"]) == (WindowsService("Certify.Service", is_disabled=True),)


def test_who_may_read_a_key() -> None:
    acl = (
        "NT AUTHORITY\\NETWORK SERVICE Allow  GenericRead\nBUILTIN\\Users Deny  Read\nBUILTIN\\Administrators Allow  A"
    )
    properties: dict[str, Value] = {
        "ProviderName": "Microsoft RSA SChannel Cryptographic Provider",
        "CryptoKeySecurity": acl,
    }
    found = windows.key_storage(reading(Obj(properties=properties)), "A" * 40)
    assert found is not None
    assert found.readers == ("NT AUTHORITY\\NETWORK SERVICE", "BUILTIN\\Administrators")


def test_a_key_that_windows_powershell_cannot_show() -> None:
    hidden = reading(failed("ExpandPropertyNotFound,Microsoft.PowerShell.Commands.SelectObjectCommand"))
    assert windows.key_storage(hidden, "A" * 40) == KeyStorage("A" * 40, provider="")
    refused = reading(failed("AccessDenied"))
    assert windows.key_storage(refused, "A" * 40) is None
    assert refused.unknown


def test_a_role_that_is_not_installed_is_not_being_updated() -> None:
    absent = reading(failed("PathNotFound,Microsoft.PowerShell.Commands.GetItemPropertyCommand"))
    assert windows.updating(absent) == ""
    assert not absent.unknown
    assert "MailboxRole" in windows.updating(reading(Obj(properties={"Watermark": "MSExchangeIS"})))


def test_an_event() -> None:
    at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    record = Obj(properties={"Id": 12014, "TimeCreated": at, "ProviderName": "MSExchangeTransport", "Message": "no"})
    assert windows.event(record) == windows.Event(12014, at, "MSExchangeTransport", "no")
