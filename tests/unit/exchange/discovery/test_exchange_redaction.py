import base64
import json
import string
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certwright.exchange.discovery.redaction import redact
from certwright.remoting import clixml
from certwright.remoting.clixml import Obj
from certwright.remoting.psrp import Command, Transcript
from peers.exchange_shell import TestAuthority

AUTHORITY = TestAuthority()
NAMES = st.lists(
    st.text(string.ascii_lowercase, min_size=3, max_size=10).map("zqx{}".format),
    min_size=5,
    max_size=5,
    unique=True,
)


def record(*properties: str, types: str = "<T>System.Object</T>", text: str = "") -> str:
    shown = f"<ToString>{text}</ToString>" if text else ""
    return f'<Obj RefId="0"><TN RefId="0">{types}</TN>{shown}<Props>{"".join(properties)}</Props></Obj>'


def s(name: str, value: str) -> str:
    return f'<S N="{name}">{value}</S>'


def lines(*transcripts: Transcript) -> list[Any]:
    return [json.loads(line) for line in redact(transcripts)]


def everything(made: Any) -> str:
    """All that a reader could find: the text, and what its octets hold."""
    words = [json.dumps(made)]
    for line in made:
        for output in line["output"]:
            for octets in output.split("<BA")[1:]:
                data = base64.b64decode(octets.partition(">")[2].partition("<")[0])
                words += [data.decode("latin-1"), data.decode("utf-16-le", "ignore")]
    return " ".join(words).lower()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES)
def test_no_original_name_survives_anywhere(names: list[str]) -> None:
    host, domain, company, user, connector = names
    issued = AUTHORITY.issue(f"{host}.{domain}.com", f"{company}.{domain}.com")
    blob = base64.b64encode(issued.der).decode()
    transcript = Transcript(
        asked=(Command("Get-ExchangeCertificate", {"Server": f"{host}.{domain}.com"}),),
        output=(
            record(
                s("Name", host.upper()),
                s("DistinguishedName", f"CN={host},OU={company.title()},DC={domain},DC=com"),
                s("Identity", f"{host}\\{connector} (Default Web Site)"),
                s("LastError", f"451 4.4.0 Primary target of {company.title()} {user}@{domain}.com is away"),
                f'<URI N="InternalUrl">https://{host}.{domain}.com/owa</URI>',
                f'<BA N="RawData">{blob}</BA>',
                f'<BA N="Other">{base64.b64encode(company.encode()).decode()}</BA>',
                s("Thumbprint", issued.thumbprint),
                text=f"{host}_x005C_{user}",
            ),
        ),
        errors=(
            record(
                s("ErrorDetails_Message", f"Object '{connector}' of {company.title()} is not on {host}.{domain}.com."),
                s("FullyQualifiedErrorId", f"[Server={host.upper()},RequestId=1] X,Microsoft.Exchange.Y"),
                s("ErrorCategory_Reason", "ManagementObjectNotFoundException"),
            ),
        ),
        warnings=(f"{company.title()} is what {user} calls {connector}.",),
    )
    found = everything(lines(transcript))
    for name in (*names, issued.thumbprint.lower()):
        assert name not in found


def test_a_certificate_is_replaced_by_one_of_its_kind() -> None:
    issued = AUTHORITY.issue("mail.fabrikam.com", "autodiscover.fabrikam.com", rsa_key=True)
    blob = base64.b64encode(issued.der).decode()
    transcript = Transcript(
        (Command("Get-ExchangeCertificate"),),
        (
            record(
                f'<BA N="RawData">{blob}</BA>', s("Thumbprint", issued.thumbprint), s("Subject", "CN=mail.fabrikam.com")
            ),
        ),
        (),
        (),
    )
    (line,) = lines(transcript)
    found = clixml.read(line["output"][0])
    assert isinstance(found, Obj)
    der = found.properties["RawData"]
    assert isinstance(der, bytes)
    made = x509.load_der_x509_certificate(der)
    assert made.fingerprint(hashes.SHA1()).hex().upper() == found.properties["Thumbprint"]
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (
        issued.certificate.not_valid_before_utc,
        issued.certificate.not_valid_after_utc,
    )
    assert made.public_key().key_size == 2048  # type: ignore[union-attr]
    assert made.subject.rfc4514_string() == found.properties["Subject"]
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert [name.split(".")[0] for name in names] == ["mail", "autodiscover"]
    assert "fabrikam" not in " ".join(names)


def test_what_exchange_itself_says_is_kept() -> None:
    key = '<S N="Key">Server</S><S N="Value">Server</S>'
    enum = '<Obj N="Status" RefId="1"><TN RefId="1"><T>X.Status</T></TN><ToString>Valid</ToString><I32>1</I32></Obj>'
    command = record(s("Name", "Get-Queue"), f'<Obj N="Parameters" RefId="2"><DCT><En>{key}</En></DCT></Obj>')
    version = s("AdminDisplayVersion", "Version 15.0 (Build 1497.2)")
    server = record(s("ServerRole", "Mailbox, ClientAccess"), version, enum)
    select = Command("Select-Object", {"Property": ["Thumbprint", "IISServices"]})
    made = lines(Transcript((Command("Get-Command", {"Name": ["Get-Queue"]}), select), (command, server), (), ()))[0]
    first, second = map(clixml.read, made["output"])
    assert isinstance(first, Obj)
    assert isinstance(second, Obj)
    parameters = first.properties["Parameters"]
    assert first.properties["Name"] == "Get-Queue"
    assert isinstance(parameters, Obj)
    assert parameters.properties == {"Server": "Server"}
    assert second.properties["ServerRole"] == "Mailbox, ClientAccess"
    assert second.properties["AdminDisplayVersion"] == "Version 15.0 (Build 1497.2)"
    status = second.properties["Status"]
    assert isinstance(status, Obj)
    assert (status.text, status.value) == ("Valid", 1)
    assert made["command"][0]["parameters"] == {"Name": ["Get-Queue"]}
    assert made["command"][1]["parameters"] == {"Property": ["Thumbprint", "IISServices"]}


def test_what_is_no_xml_is_dropped() -> None:
    assert lines(Transcript((Command("Get-Queue"),), ("<Obj>fabrikam",), (), ()))[0]["output"] == ["<S></S>"]
