"""What goes over the wire: parameters, as another implementation of the protocol reads them, and the transcript."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from psrpcore.types import deserialize
from pypsrp.serializer import Serializer

from certwright.exchange_simulator import Fail
from certwright.remoting import clixml
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, SecureString, Transcript, _serialized
from peers.powershell import Simulated, simulated

MOMENT = datetime(2026, 11, 22, 21, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def one() -> Iterator[Simulated]:
    with simulated() as made:
        yield made


def received(value: Any) -> Any:
    """`value` as psrpcore reads what pypsrp writes."""
    element = Serializer().serialize(_serialized(value))
    assert element is not None
    cipher: Any = None  # nothing secret comes
    return deserialize(ET.fromstring(ET.tostring(element)), cipher)


@pytest.mark.parametrize("value", ["text", "_x0041_ \U0001f600 <&>", True, False, 42, b"\x00\xff", None])
def test_primitive_values_arrive_as_they_are(value: Any) -> None:
    found = received(value)
    assert found == value
    assert isinstance(found, type(value)) or found is None


def test_lists_arrive_in_order() -> None:
    assert list(received(("a", "b"))) == ["a", "b"]


def test_a_filter_arrives_as_a_hashtable_with_typed_entries() -> None:
    asked: Mapping[str, Any] = {
        "LogName": "Application",
        "ProviderName": ["MSExchangeTransport", "MSExchangeFrontEndTransport"],
        "Id": (12014, 12018),
        "Level": 2,
        "StartTime": MOMENT.astimezone(timezone(timedelta(hours=2))),
    }
    found = received(asked)
    assert found["LogName"] == "Application"
    assert list(found["ProviderName"]) == ["MSExchangeTransport", "MSExchangeFrontEndTransport"]
    assert list(found["Id"]) == [12014, 12018]
    assert found["Level"] == 2
    assert isinstance(found["Level"], int)
    assert found["StartTime"].astimezone(UTC) == MOMENT
    assert "System.Collections.Hashtable" in found.PSObject.type_names


def test_null_is_sent_as_a_value_and_true_as_a_switch(one: Simulated) -> None:
    with one.session() as shell:
        shell.change(Command("Set-PopSettings", {"X509CertificateName": "mail.contoso.test"}))
        shell.change(Command("Set-PopSettings", {"X509CertificateName": None, "WhatIf": True}))
    asked = one.organisation.calls[-1].parameters
    assert (asked["X509CertificateName"], asked["WhatIf"]) == (None, True)


# --- the transcript ---------------------------------------------------------------------------------------------------


def test_a_pipeline_is_recorded_as_it_was_on_the_wire(one: Simulated) -> None:
    kept: list[Transcript] = []
    pipeline = (
        Command("Get-ExchangeCertificate", {"Server": "EX01"}),
        Command("Select-Object", {"Property": ["Thumbprint", "Services"]}),
    )
    with one.session(record=kept.append) as shell:
        result = shell.read(*pipeline)
    (transcript,) = kept
    assert transcript.asked == pipeline
    assert [clixml.read(text) for text in transcript.output] == list(result.output)
    assert transcript.output[0].startswith("<Obj")
    assert not transcript.errors


def test_values_that_are_no_objects_are_recorded_too(one: Simulated) -> None:
    kept: list[Transcript] = []
    pipeline = (Command("Get-ExchangeServer"), Command("Select-Object", {"ExpandProperty": "Name"}))
    with one.session(record=kept.append) as shell:
        result = shell.read(*pipeline)
    assert result.output == ("EX01",)
    assert kept[0].output == ("<S>EX01</S>",)


def test_a_pipeline_that_fails_is_recorded_with_its_errors(one: Simulated) -> None:
    kept: list[Transcript] = []
    one.server.faults.inject(Fail("The disk is full."), "Get-ExchangeCertificate")
    with one.session(record=kept.append) as shell, pytest.raises(CommandFailed):
        shell.read(Command("Get-ExchangeCertificate"))
    (error,) = kept[0].errors
    found = clixml.read(error)
    assert isinstance(found, clixml.Obj)
    assert "disk is full" in error
    assert "FullyQualifiedErrorId" in found.properties


def test_changes_bytes_and_secrets_are_not_recorded(one: Simulated) -> None:
    kept: list[Transcript] = []
    secrets: Mapping[str, Any] = {"Server": "EX01", "FileData": b"CANARY", "Password": SecureString("CANARY")}
    with one.session(record=kept.append) as shell:
        shell.change(Command("Set-PopSettings", {"X509CertificateName": "pop.contoso.test"}))
        assert not kept
        with pytest.raises(CommandFailed):
            shell.read(Command("Import-ExchangeCertificate", secrets))
    assert kept[0].asked[0].parameters == {"Server": "EX01"}
    assert "CANARY" not in str(kept)
