"""Transcripts of PowerShell sessions without a real name in them: lines of JSON that the simulator can say again. Pure.

A line has ``command`` (a list of ``name`` and ``parameters``), ``output`` (a list of CLIXML texts), ``errors`` (a list
of ``message``, ``error_id`` and ``kind``), ``warnings``, and ``serialization``: of each .NET stream that was removed,
the class and the names and kinds of its members, by which one can tell what a version of Exchange sends.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.domain.keys import PrivateKey
from certwright.exchange.access import nrbf, wire
from certwright.exchange.discovery.lookalike import lookalike, similar_key
from certwright.exchange.discovery.pseudonyms import Pseudonyms
from certwright.probe.chain import lenient_parsing
from certwright.remoting import clixml
from certwright.remoting.clixml import Obj
from certwright.remoting.psrp import Command, Transcript

_SERIALIZATION = "SerializationData"
# Their values are words of Exchange's own.
_WORDS_OF_EXCHANGE = frozenset(
    """
    AdminDisplayVersion AuthMechanism CommandType Component DatabaseCopyAutoActivationPolicy DeliveryType DomainType
    Edition ExchangeVersion LoginType ObjectState RootCAType ServerRole Services ServicesStringForm State Status
    TlsAuthLevel TransportRole
    """.split()  # noqa: SIM905 - a list of words is read as such
)
_PROPERTY = re.compile(r"[A-Za-z_]\w*")
_MESSAGES = ("Message", "LastError", "ErrorDetails_RecommendedAction")
_NUMBERS = frozenset(("I16", "I32", "I64", "U16", "U32", "U64", "By", "SB"))
_KEPT = _NUMBERS | {"B", "C", "D", "DT", "Db", "Nil", "Sg", "T", "TN", "TNRef", "TS", "Ref", "Version"}


def redact(transcripts: Sequence[Transcript]) -> Iterator[str]:
    """The lines for `transcripts`. They are gone through twice: what is data anywhere is a name in every sentence."""
    keys: dict[bytes, PrivateKey] = {}
    first = _Redaction(transcripts, Pseudonyms(), keys)
    for transcript in transcripts:
        first.line(transcript)
    second = _Redaction(transcripts, Pseudonyms(first.names.originals), keys)
    for transcript in transcripts:
        yield json.dumps(second.line(transcript), ensure_ascii=False)


class _Redaction:
    """One pass over all transcripts, with one set of pseudonyms; `keys` are made once for each certificate."""

    def __init__(
        self, transcripts: Iterable[Transcript], names: Pseudonyms, keys: MutableMapping[bytes, PrivateKey]
    ) -> None:
        self.names = names
        self._keys = keys
        self._certificates: dict[bytes, bytes] = {}
        self._streams: list[dict[str, Any]] = []
        for der in _certificates(transcripts):
            self._stand_in(der)

    def line(self, transcript: Transcript) -> dict[str, Any]:
        """One pipeline."""
        self._streams = []
        asked = [{"name": c.name, "parameters": self._parameters(c)} for c in transcript.asked]
        output = [self._clixml(text) for text in transcript.output]
        errors = [self._error(text) for text in transcript.errors]
        warnings = [self.names.prose(text) for text in transcript.warnings]
        made = {"command": asked, "output": output, "errors": errors, "warnings": warnings}
        return made | ({"serialization": self._streams} if self._streams else {})

    def _stand_in(self, der: bytes) -> None:
        """Make the certificate that stands for `der` everywhere, by its thumbprint and serial number too."""
        if der in self._certificates:
            return
        with lenient_parsing():
            original = x509.load_der_x509_certificate(der)
            key = self._keys.setdefault(der, self._keys.get(der) or similar_key(original))
            made = lookalike(original, key, self.names.data)
        self._certificates[der] = made.public_bytes(Encoding.DER)
        self.names.equate(_thumbprint(original), _thumbprint(made))
        self.names.equate(f"{original.serial_number:X}", f"{made.serial_number:X}")

    def _parameters(self, command: Command) -> dict[str, Any]:
        return {name: self._parameter(value) for name, value in command.parameters.items()}

    def _parameter(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if value in wire.CERTIFICATE_PROPERTIES else self.names.data(value)
        if isinstance(value, Mapping):
            return {name: self._parameter(entry) for name, entry in value.items()}
        if isinstance(value, Sequence):
            return [self._parameter(entry) for entry in value]
        return value if isinstance(value, bool | int) or value is None else ""

    def _clixml(self, text: str) -> str:
        try:
            root = ET.fromstring(text)  # noqa: S314 - it was read before; expat itself limits entity amplification
        except ET.ParseError:
            return "<S></S>"
        self._element(root, "")
        return ET.tostring(root, encoding="unicode")

    def _element(self, element: ET.Element, name: str) -> None:
        """Redact in place; `name` is the property that the element belongs to, that of a dictionary for its entries."""
        element.tag = _tag(element)
        own = clixml.decode_string(element.get("N"))
        if own and not _PROPERTY.fullmatch(own):
            element.set("N", _encoded(self.names.data(own)))
        name = own if own and own not in {"Key", "Value"} else name
        if element.tag == "BA":
            element.text = self._octets(name, element.text or "")
        elif element.tag not in _KEPT and not len(element):
            element.text = _encoded(self._text(name, clixml.decode_string(element.text)))
        is_enumeration = any(_tag(child) in _NUMBERS for child in element)
        for child in element:
            if is_enumeration and _tag(child) == "ToString":
                child.tag = "ToString"
            else:
                self._element(child, name)

    def _text(self, name: str, text: str) -> str:
        if name in _WORDS_OF_EXCHANGE or (name == "Parameters" and text.isalnum()):
            return text
        if name.endswith(_MESSAGES):
            return self.names.prose(text)
        return self.names.error_id(text) if name == "FullyQualifiedErrorId" else self.names.data(text)

    def _octets(self, name: str, text: str) -> str:
        """A certificate's stand-in; of all else nothing is kept."""
        data = _decoded(text)
        if name == _SERIALIZATION and (stream := _stream(data)) and stream not in self._streams:
            self._streams.append(stream)
        return base64.b64encode(self._certificates.get(data, b"")).decode()

    def _error(self, text: str) -> dict[str, str]:
        record = clixml.read(text)
        properties = record.properties if isinstance(record, Obj) else {}
        exception = properties.get("Exception")
        inner = exception.properties.get("Message") if isinstance(exception, Obj) else ""
        return {
            "message": self.names.prose(str(properties.get("ErrorDetails_Message") or inner or "")),
            "error_id": self.names.error_id(str(properties.get("FullyQualifiedErrorId") or "")),
            "kind": self.names.error_id(str(properties.get("ErrorCategory_Reason") or "")),
        }


def _tag(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _certificates(transcripts: Iterable[Transcript]) -> Iterator[bytes]:
    """Every certificate in DER that stands in an output."""
    for transcript in transcripts:
        for text in transcript.output:
            try:
                elements = list(ET.fromstring(text).iter())  # noqa: S314 - as in _clixml
            except ET.ParseError:
                continue
            octets = (_decoded(e.text or "") for e in elements if _tag(e) == "BA")
            yield from (data for data in octets if wire.facts_of(data))


def _stream(data: bytes) -> dict[str, Any] | None:
    """Class, and names and kinds of the members, of a .NET stream; None if it is none."""
    try:
        found = nrbf.read(nrbf.payload(data))
    except nrbf.MalformedNrbf:
        return None
    kinds = {name: v.name if isinstance(v, nrbf.NetObject) else type(v).__name__ for name, v in found.members.items()}
    return {"class": found.name, "signed": data.startswith(b"#sig#"), "members": kinds}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def _encoded(text: str) -> str:
    """A string as CLIXML writes it: what XML cannot hold, and what could be taken for that, is escaped."""
    safe = text.replace("_x", "_x005F_x")
    return "".join(c if c.isprintable() or c in "\u00a0\u200b" else f"_x{ord(c):04X}_" for c in safe)


def _thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - it is how Windows names certificates
