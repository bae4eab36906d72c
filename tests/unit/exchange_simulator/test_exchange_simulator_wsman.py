"""Whatever arrives is answered: no traceback, no hang, no entity is ever expanded."""

import base64
import contextlib
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psrpcore import ClientRunspacePool

from certwright.exchange_simulator import Faults, ServerState, StoredCertificate, Version
from certwright.exchange_simulator.certificates import self_signed, utc_now
from certwright.exchange_simulator.cmdlet import Session
from certwright.exchange_simulator.configuration import AuthConfig, OrganisationState
from certwright.exchange_simulator.directory import Directory
from certwright.exchange_simulator.runspace import Runspace
from certwright.exchange_simulator.soap import Malformed, read, seconds
from certwright.exchange_simulator.wire import Wire
from certwright.exchange_simulator.world import Node, World
from certwright.exchange_simulator.wsman import Caller, WsmanService

URI = "http://schemas.microsoft.com/powershell/Microsoft.Exchange"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/"


def make_session() -> Session:
    auth = StoredCertificate(*self_signed("Auth", (), now=utc_now()))
    organisation = OrganisationState(AuthConfig(auth.thumbprint))
    state = ServerState(
        name="EX01",
        fqdn="ex01.contoso.test",
        version=Version.EXCHANGE_SE,
        organisation=organisation,
        auth_certificate=auth,
        smtp_fqdn="mail.contoso.test",
        smtp_delay=0.0,
        mail_access=False,
    )
    node = Node(state, Faults(lambda: None, lambda: None))
    return Session(World(organisation, Directory("contoso.test"), nodes={"EX01": node}), node, {})


SESSION = make_session()


def make_creation() -> str:
    """creationXml as psrpcore's client half makes it."""
    client = ClientRunspacePool()
    client.open()
    payload = client.data_to_send()
    assert payload is not None
    data = base64.b64encode(payload.data).decode()
    return f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{data}</creationXml>'


CREATION = make_creation()
CALLER = Caller("admin@contoso.test", management_shell=True)


@pytest.fixture(scope="module")
def service() -> Iterator[WsmanService]:
    service = WsmanService(
        machine="ex01.contoso.test",
        resource_uri=URI,
        open_runspace=lambda _caller: Runspace(SESSION),
        shell_quota=5,
        idle_timeout=60.0,
        wire=Wire("EX01", "ex01.contoso.test"),
    )
    yield service
    service.close()


def envelope(action: str, body: str, shell_id: str = "", timeout: str = "PT0S") -> bytes:
    return f"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
     xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:rsp="{SHELL[:-1]}"
     xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header><a:Action>{action}</a:Action>
     <a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><w:ResourceURI>{URI}</w:ResourceURI>
     <w:OperationTimeout>{timeout}</w:OperationTimeout>
     <w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>
     </s:Header><s:Body>{body}</s:Body></s:Envelope>""".encode()


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE s:Envelope [<!ENTITY a "a"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE s:Envelope SYSTEM "file:///etc/passwd">',
        "<!DOCTYPE s:Envelope>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused(prolog: str, encoding: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
    data = (declaration + prolog + envelope("x", "&b;").decode()).encode(encoding)
    with pytest.raises(Malformed, match="document types"):
        read(data)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(Malformed, match="deep"):
        read(b"<a>" * 1000 + b"</a>" * 1000)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("PT20S", 20), ("PT60.000S", 60), ("PT1M5S", 65), ("PT1H", 3600), ("PT0S", 0), ("nonsense", 60), ("PT", 60)],
)
def test_durations(duration: str, expected: float) -> None:
    assert seconds(duration) == expected


ACTIONS = [TRANSFER + n for n in ("Create", "Delete", "Get", "Put")] + [
    SHELL + n for n in ("Command", "Send", "Receive", "Signal", "Connect", "Disconnect")
]
BODIES = st.sampled_from(
    [
        "",
        "<rsp:Shell/>",
        "<rsp:Shell ShellId='x'/>",
        "<rsp:CommandLine CommandId='x'/>",
        "<rsp:CommandLine><rsp:Arguments>!</rsp:Arguments></rsp:CommandLine>",
        "<rsp:Send><rsp:Stream Name='stdin'>AAAA</rsp:Stream></rsp:Send>",
        f"<rsp:Receive><rsp:DesiredStream CommandId='{uuid.uuid4()}'>stdout</rsp:DesiredStream></rsp:Receive>",
        "<rsp:Receive/>",
        "<rsp:Signal CommandId='x'/>",
    ]
)


@settings(deadline=None)
@given(action=st.sampled_from(ACTIONS), body=BODIES, shell_id=st.sampled_from(["", "x", str(uuid.uuid4())]))
def test_every_odd_request_is_answered(service: WsmanService, action: str, body: str, shell_id: str) -> None:
    reply = service.handle(envelope(action, body, shell_id), CALLER)
    assert reply.status in {200, 500}


@settings(deadline=None)
@given(data=st.binary(min_size=1, max_size=200), message_type=st.integers(0, 0x00041100), whole=st.booleans())
def test_bytes_that_are_no_psrp_are_refused(data: bytes, message_type: int, whole: bool) -> None:
    runspace = Runspace(SESSION)
    message = (2).to_bytes(4, "little") + message_type.to_bytes(4, "little") + bytes(32) + data
    fragment = bytes(7) + b"\1" + bytes(8) + b"\3" + len(message).to_bytes(4, "big") + message
    with pytest.raises(ValueError, match="malformed"):
        runspace.feed(fragment if whole else data)
    runspace.close()


@pytest.mark.parametrize("xml", ["<S>text</S>", "<Obj RefId='0'><MS/></Obj>", "<Nil/>", "<Obj/>", "<I32>x</I32>"])
@pytest.mark.parametrize("message_type", [0x00010002, 0x00010004, 0x00010005, 0x00021006, 0x0002100A, 0x00041003])
def test_messages_without_their_fields_are_refused_or_ignored(xml: str, message_type: int) -> None:
    runspace = Runspace(SESSION)
    message = (2).to_bytes(4, "little") + message_type.to_bytes(4, "little") + uuid.uuid4().bytes * 2 + xml.encode()
    fragment = bytes(7) + b"\1" + bytes(8) + b"\3" + len(message).to_bytes(4, "big") + message
    with contextlib.suppress(ValueError):  # the only thing that may be raised
        runspace.feed(fragment)
    assert runspace.read(None, 0)[1] is False
    runspace.close()


def test_a_shell_from_create_to_delete(service: WsmanService) -> None:
    shell_id = str(uuid.uuid4()).upper()
    created = service.handle(
        envelope(TRANSFER + "Create", f"<rsp:Shell ShellId='{shell_id}'>{CREATION}</rsp:Shell>"), CALLER
    )
    assert (created.status, shell_id in created.body.decode()) == (200, True)
    assert service.handle(envelope(TRANSFER + "Get", "", shell_id), CALLER).status == 200
    opened = service.handle(envelope(SHELL + "Receive", "<rsp:Receive/>", shell_id), CALLER)
    assert b":Stream" in opened.body
    waited = service.handle(envelope(SHELL + "Receive", "<rsp:Receive/>", shell_id, "PT0.050S"), CALLER)
    assert b'Code="2150858793"' in waited.body  # nothing came in time
    garbage = base64.b64encode(b"garbage").decode()
    sent = f"<rsp:Send><rsp:Stream Name='stdin'>{garbage}</rsp:Stream></rsp:Send>"
    assert b"malformed PSRP" in service.handle(envelope(SHELL + "Send", sent, shell_id), CALLER).body
    assert service.handle(envelope(TRANSFER + "Delete", "", shell_id), CALLER).status == 200
    lost = service.handle(envelope(TRANSFER + "Delete", "", shell_id), CALLER)
    assert b'Code="2150858843"' in lost.body
