"""From an exchange certificate, in whichever form it arrives, to a value."""

import struct
from collections.abc import Iterator

from cryptography import x509

from certwright.domain.certificates import CertificateFacts
from certwright.exchange.access import nrbf
from certwright.exchange.access.records import text
from certwright.exchange.model import NOT_VALID, Certificate, Service, sites_of
from certwright.probe.chain import lenient_parsing
from certwright.remoting.clixml import Obj, Value

CERTIFICATE_PROPERTIES = (
    "Thumbprint",
    "Services",
    "Status",
    "HasPrivateKey",
    "IsSelfSigned",
    "Subject",
    "Issuer",
    "FriendlyName",
    "Identity",
    "IISServices",
    "RawData",
)
_STATUS_VALID = 1  # the one number of CertificateStatus that captures show
_STORE_CERTIFICATE, _STORE_FRIENDLY_NAME = 32, 11


def typed_certificate(record: Obj) -> Certificate | None:
    """A certificate from properties that arrived as such; None if neither thumbprint nor certificate did."""
    properties = record.properties
    facts = facts_of(properties.get("RawData"))
    thumbprint = text(properties.get("Thumbprint")).replace(" ", "") or (facts.thumbprint if facts else "")
    if not thumbprint:
        return None
    return Certificate(
        thumbprint=thumbprint.upper(),
        services=services(properties.get("Services")),
        status=text(properties.get("Status")) or None,
        has_private_key=_boolean(properties.get("HasPrivateKey")),
        is_self_signed=_boolean(properties.get("IsSelfSigned")),
        subject=text(properties.get("Subject")) or None,
        issuer=text(properties.get("Issuer")) or None,
        friendly_name=text(properties.get("FriendlyName")),
        identity=text(properties.get("Identity")),
        iis_sites=_sites(properties.get("IISServices")),
        facts=facts,
    )


def serialized_certificate(record: Obj) -> Certificate | None:
    """A certificate from RawData and the note property SerializationData, as the management shell gets it.

    What cannot be read there stays unknown; None if there is not even a certificate.
    """
    facts = facts_of(record.properties.get("RawData"))
    members = _serialized_members(record.properties.get("SerializationData"))
    element = members.get("CertData")
    stored = dict(_store_properties(element)) if isinstance(element, bytes) else {}
    facts = facts or facts_of(stored.get(_STORE_CERTIFICATE))
    if facts is None:
        return None
    return Certificate(
        thumbprint=facts.thumbprint,
        services=services(members.get("Services")),
        status=_status(_enumerated(members.get("Status"))),
        is_self_signed=_boolean(members.get("SelfSigned")),
        friendly_name=stored.get(_STORE_FRIENDLY_NAME, b"").decode("utf-16-le", "replace").rstrip("\0"),
        identity=text(members.get("Identity")),
        iis_sites=_sites(members.get("IISServices")),
        facts=facts,
    )


def facts_of(der: object) -> CertificateFacts | None:
    """The facts of a certificate in DER, or None if it is none."""
    if not isinstance(der, bytes):
        return None
    try:
        with lenient_parsing():
            return CertificateFacts.of(x509.load_der_x509_certificate(der))
    except ValueError:
        return None


def services(value: object) -> Service | None:
    """AllowedServices as a number, as words, or as an enum; None if it is none of these."""
    if isinstance(number := _enumerated(value), int):
        return Service(number) if number >= 0 else None
    words = text(value)
    try:
        return Service.read(words) if words else None
    except ValueError:
        return None


def _enumerated(value: object) -> int | None:
    if isinstance(value, Obj):
        value = value.value
    elif isinstance(value, nrbf.NetObject):
        value = value.members.get("value__")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _status(number: int | None) -> str | None:
    """Exchange's word for a CertificateStatus; which word other numbers stand for is not known, only that it is bad."""
    if number is None:
        return None
    return "Valid" if number == _STATUS_VALID else f"{NOT_VALID} ({number})"


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _sites(value: object) -> frozenset[int] | None:
    """Web sites of IISServices: strings, objects that name a site, or .NET's list of either."""
    if value is None:
        return None
    if isinstance(value, nrbf.NetObject):
        items, size = value.members.get("_items"), value.members.get("_size")
        if items is None and size is None:
            return None
        listed = items if isinstance(items, list) else []
        return sites_of(word for item in listed[: size if isinstance(size, int) else None] for word in _words(item))
    if isinstance(value, Obj) and value.is_collection:
        return sites_of(word for item in value.items for word in _words(item))
    return sites_of(_words(value))


def _words(item: object) -> Iterator[str]:
    """Every text within one entry of IISServices."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, Obj):
        yield item.text
        yield from (p for p in item.properties.values() if isinstance(p, str))
    elif isinstance(item, nrbf.NetObject):
        yield from (m for m in item.members.values() if isinstance(m, str))


def _serialized_members(data: Value) -> dict[str, object]:
    if not isinstance(data, bytes):
        return {}
    try:
        return dict(nrbf.read(nrbf.payload(data)).members)
    except nrbf.MalformedNrbf:
        return {}


def _store_properties(element: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbered properties of a serialized certificate store element (X509ContentType.SerializedCert)."""
    at = 0
    while at + 12 <= len(element):
        number, _, length = struct.unpack_from("<III", element, at)
        yield number, element[at + 12 : at + 12 + length]
        at += 12 + length
