"""A recording answers in the place of the servers it was made of."""

import json
from pathlib import Path
from typing import Any

import pytest

from certwright.exchange_simulator import ExchangeOrganisation, Recording, ServerSpec
from peers.exchange_shell import Shell, TestAuthority

pytestmark = pytest.mark.e2e

SERVICES = """<Obj RefId="0"><TN RefId="0"><T>Selected.ExchangeCertificate</T><T>System.Object</T></TN>
<MS><S N="Thumbprint">AB</S><Obj N="Services" RefId="1"><TN RefId="1"><T>AllowedServices</T><T>System.Enum</T></TN>
<ToString>IIS, SMTP</ToString><I32>24</I32></Obj><BA N="RawData">AAEC</BA></MS></Obj>"""
NAMED = '<Obj RefId="0"><MS><S N="Name">{}</S></MS></Obj>'
SELECT = ("Select-Object", {"Property": ["Thumbprint", "Services"]})


def line(command: list[dict[str, Any]], output: list[str], *errors: dict[str, str]) -> str:
    return json.dumps({"command": command, "output": output, "errors": list(errors)})


CALLS = [
    line(
        [
            {"name": "Get-ExchangeCertificate", "parameters": {"Server": "server-1.example"}},
            {"name": "Select-Object", "parameters": {"Property": ["Thumbprint", "Services"]}},
        ],
        [SERVICES],
    ),
    line([{"name": "Get-OrganizationConfig", "parameters": {}}], [NAMED.format("first")]),
    line([{"name": "Get-OrganizationConfig", "parameters": {}}], [NAMED.format("then")]),
    line(
        [{"name": "Get-ExchangeCertificate", "parameters": {"Server": "edge-1.example", "ErrorAction": "Stop"}}],
        [],
        {
            "message": "A special Rpc error occurs.",
            "error_id": "[Server=X] 1,Task",
            "kind": "InvalidOperationException",
        },
    ),
]


def test_a_recording_is_played(tmp_path: Path) -> None:
    authority = TestAuthority()
    endpoint = authority.issue("ex01.contoso.test", address="127.0.0.1")
    organisation = ExchangeOrganisation(
        [ServerSpec("EX01", "ex01.contoso.test")],
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username="admin",
        password="the password",
        recording=Recording([*CALLS, ""]),
    )
    with organisation, Shell(organisation["EX01"].powershell_url, authority.write_root(tmp_path)) as shell:
        certificate = shell.run("get-exchangecertificate", SELECT, Server="server-1.example").only
        assert (certificate["Thumbprint"], certificate["RawData"]) == ("AB", b"\x00\x01\x02")
        assert "<ToString>IIS, SMTP</ToString><I32>24</I32>" in certificate["Services"]  # as it was recorded
        assert [shell.run("Get-OrganizationConfig").only["Name"] for _ in range(3)] == ["first", "then", "then"]
        failed = shell.run("Get-ExchangeCertificate", Server="edge-1.example", ErrorAction="Stop")
        assert not failed.completed
        assert failed.errors[0].fq_error == "[Server=X] 1,Task"
        assert failed.errors[0].reason == "InvalidOperationException"
        unknown = shell.run("Get-ExchangeCertificate", Server="server-2.example")
        assert unknown.errors[0].fq_error == "NotRecorded"
        assert "get-exchangecertificate -server server-2.example" in str(unknown.errors[0])
        assert shell.run("Get-ExchangeServer").errors


@pytest.mark.parametrize("text", ["{", "[]", '{"command": 1}', line([{"name": "Get-X"}], ["<S"])])
def test_what_is_no_recording(text: str) -> None:
    with pytest.raises(ValueError, match="call 2 of the recording"):
        Recording([CALLS[0], text])
