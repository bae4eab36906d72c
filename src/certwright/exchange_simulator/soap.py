"""SOAP envelopes of WS-Management ([DSP0226], [MS-WSMV]): reading requests, writing responses and faults."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
IDENTIFY = "http://schemas.dmtf.org/wbem/wsman/identify/1/wsmanidentity.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
POWERSHELL = "http://schemas.microsoft.com/powershell"

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_ANONYMOUS = ADDRESSING + "/role/anonymous"
_DURATION = re.compile(r"PT(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6}(?:\.\d{1,6})?)S)?")
_MAX_DEPTH = 64


class Malformed(ValueError):
    """The bytes are no SOAP request that may be looked at."""


@dataclass
class Fault(Exception):
    """A WSMan fault.

    Attributes:
        code: Microsoft's number; None for a fault that has none.
        subcode: As ElementTree writes qualified names, ``{namespace}InvalidSelectors``.
        reason: The sentence that clients show.
        provider: What the shell's provider (Exchange) adds.
        category: Exchange's word for what failed, for example ``WSMan-InvalidShellID``.
    """

    code: int | None
    subcode: str
    reason: str
    provider: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request's header says, and its body's first element.

    Attributes:
        timeout: OperationTimeout in seconds.
    """

    action: str
    message_id: str
    resource_uri: str
    shell_id: str
    timeout: float
    body: ET.Element | None = field(repr=False)


class _Builder(ET.TreeBuilder):
    """Refuses document types, hence every entity definition, and absurd nesting."""

    depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - expat's names
        raise Malformed("document types are not allowed")

    def start(self, tag: str, attrs: dict[str, str]) -> ET.Element:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Malformed("nested too deeply")
        return super().start(tag, attrs)

    def end(self, tag: str) -> ET.Element:
        self.depth -= 1
        return super().end(tag)


def read(data: bytes) -> Request:
    """Parse an envelope.

    Raises:
        Malformed: It is none.
    """
    try:
        parser = ET.XMLParser(target=_Builder())  # noqa: S314 - _Builder refuses document types
        parser.feed(data)
        root = parser.close()
    except (ET.ParseError, ValueError, LookupError) as error:
        raise Malformed(str(error)) from None
    if root.tag != f"{{{ENVELOPE}}}Envelope":
        raise Malformed("not a SOAP 1.2 envelope")
    header = root.find(f"{{{ENVELOPE}}}Header")
    if header is None:
        header = ET.Element("none")
    body = root.find(f"{{{ENVELOPE}}}Body")
    selectors = header.iterfind(f"{{{WSMAN}}}SelectorSet/{{{WSMAN}}}Selector")
    return Request(
        action=_text(header, f"{{{ADDRESSING}}}Action"),
        message_id=_text(header, f"{{{ADDRESSING}}}MessageID"),
        resource_uri=_text(header, f"{{{WSMAN}}}ResourceURI"),
        shell_id=next((s.text or "" for s in selectors if s.get("Name") == "ShellId"), ""),
        timeout=seconds(_text(header, f"{{{WSMAN}}}OperationTimeout")),
        body=next(iter(body), None) if body is not None else None,
    )


def _text(parent: ET.Element, path: str) -> str:
    return (parent.findtext(path) or "").strip()


def seconds(duration: str) -> float:
    """An xs:duration of hours, minutes and seconds; 60 for anything else."""
    match = _DURATION.fullmatch(duration)
    if match is None or not any(match.groups()):
        return 60.0
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest


def response(request: Request, body: Iterable[ET.Element]) -> bytes:
    """The answer to `request`."""
    return _envelope(f"{request.action}Response", request.message_id, body)


def identify_response() -> bytes:
    """The answer to an Identify request, which has no header."""
    answer = ET.Element(f"{{{IDENTIFY}}}IdentifyResponse")
    for name, value in (
        ("ProtocolVersion", "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"),
        ("ProductVendor", "Microsoft Corporation"),
        ("ProductVersion", "OS: 10.0.17763 SP: 0.0 Stack: 3.0"),
    ):
        ET.SubElement(answer, f"{{{IDENTIFY}}}{name}").text = value
    return _envelope("", "", [answer])


def fault_response(fault: Fault, message_id: str, machine: str) -> bytes:
    """The envelope that carries `fault`."""
    element = ET.Element(f"{{{ENVELOPE}}}Fault")
    code = ET.SubElement(element, f"{{{ENVELOPE}}}Code")
    _code_value(code, f"{{{ENVELOPE}}}Sender")
    subcode = ET.SubElement(code, f"{{{ENVELOPE}}}Subcode")
    _code_value(subcode, fault.subcode)
    reason = ET.SubElement(element, f"{{{ENVELOPE}}}Reason")
    ET.SubElement(reason, f"{{{ENVELOPE}}}Text", {_LANGUAGE: "en-US"}).text = fault.reason
    if fault.code is not None:
        detail = ET.SubElement(element, f"{{{ENVELOPE}}}Detail")
        wsman = ET.SubElement(detail, f"{{{FAULT}}}WSManFault", {"Code": str(fault.code), "Machine": machine})
        message = ET.SubElement(wsman, f"{{{FAULT}}}Message")
        message.text = fault.reason
        if fault.provider:
            provider = ET.SubElement(message, f"{{{FAULT}}}ProviderFault", {"provider": "Exchange", "path": "Exchange"})
            provider.text = fault.provider
    return _envelope(f"{WSMAN.removesuffix('/wsman.xsd')}/fault", message_id, [element])


def _code_value(parent: ET.Element, name: str) -> None:
    """A fault code, which is a qualified name as *text*: its prefix is declared where it is used."""
    namespace, _, local = name.removeprefix("{").partition("}")
    ET.SubElement(parent, f"{{{ENVELOPE}}}Value", {"xmlns:code": namespace}).text = f"code:{local}"


def _envelope(action: str, relates_to: str, body: Iterable[ET.Element]) -> bytes:
    envelope = ET.Element(f"{{{ENVELOPE}}}Envelope")
    header = ET.SubElement(envelope, f"{{{ENVELOPE}}}Header")
    if action:
        ET.SubElement(header, f"{{{ADDRESSING}}}Action").text = action
        ET.SubElement(header, f"{{{ADDRESSING}}}MessageID").text = f"uuid:{str(uuid.uuid4()).upper()}"
        ET.SubElement(header, f"{{{ADDRESSING}}}To").text = _ANONYMOUS
        ET.SubElement(header, f"{{{ADDRESSING}}}RelatesTo").text = relates_to
    ET.SubElement(envelope, f"{{{ENVELOPE}}}Body").extend(body)
    return bytes(ET.tostring(envelope, encoding="utf-8"))
