"""An ExchangeCertificate as .NET's BinaryFormatter writes it ([MS-NRBF]).

Exchange adds this as the note property ``SerializationData`` for the management shell, which turns it back into a
live object.  The record order and member names are those of captures; signed payloads (on by default since the
November 2023 security update) are ``#sig#``, the length as a little-endian int32, the payload, and 32 bytes of tag.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_NAMESPACE = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_LIBRARY = "Microsoft.Exchange.Management, Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35"
_SYSTEM_LIBRARY = "System, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_LIST = f"System.Collections.Generic.List`1[[{_NAMESPACE}IisService, {_LIBRARY}]]"

# [MS-NRBF] 2.1.2.1 RecordTypeEnumeration
_HEADER, _CLASS_WITH_ID, _SYSTEM_CLASS, _CLASS = 0, 1, 4, 5
_STRING, _BINARY_ARRAY, _REFERENCE, _NULL, _END, _LIBRARY_RECORD = 6, 7, 9, 10, 11, 12
_NULLS_256, _PRIMITIVE_ARRAY = 13, 15
# 2.1.2.2 BinaryTypeEnumeration and 2.1.2.3 PrimitiveTypeEnumeration
_T_PRIMITIVE, _T_STRING, _T_SYSTEM_CLASS, _T_CLASS, _T_PRIMITIVE_ARRAY = 0, 1, 3, 4, 7
_P_BOOLEAN, _P_BYTE, _P_INT32 = 1, 2, 8

_MANAGEMENT_ID, _SYSTEM_ID = 2, 11
_CERT_DATA_ID, _LIST_ID, _IDENTITY_ID, _ITEMS_ID, _FIRST_SERVICE_ID = 3, 7, 8, 9, 10
# CertEnrollment's property numbers in a serialized store element: SHA-1, friendly name, the certificate itself.
_PROP_SHA1, _PROP_FRIENDLY_NAME, _PROP_CERTIFICATE = 3, 11, 32


@dataclass(frozen=True, slots=True)
class ExchangeCertificate:
    """The fields that are serialized; the enumerations as their numbers, sites as ``IIS://EX01/W3SVC/1``."""

    der: bytes
    friendly_name: str
    self_signed: bool
    status: int
    root_ca_type: int
    services: int
    iis_services: Sequence[str]
    private_key_exportable: bool
    identity: str


def serialize(value: ExchangeCertificate) -> bytes:
    """The BinaryFormatter stream of `value`."""
    element = _store_element(value.der, value.friendly_name)
    return b"".join(
        (
            struct.pack("<Biiii", _HEADER, 1, -1, 1, 0),
            _library(_MANAGEMENT_ID, _LIBRARY),
            _root_class(),
            _reference(_CERT_DATA_ID),
            _boolean(value.self_signed),
            _enumeration(-4, "CertificateStatus", value.status),
            _enumeration(-5, "CertificateAuthorityType", value.root_ca_type),
            _enumeration(-6, "AllowedServices", value.services),
            _reference(_LIST_ID),
            _boolean(value.private_key_exportable),
            _string(_IDENTITY_ID, value.identity),
            struct.pack("<BiiB", _PRIMITIVE_ARRAY, _CERT_DATA_ID, len(element), _P_BYTE) + element,
            _service_list(value.iis_services),
            bytes([_END]),
        )
    )


def sign(payload: bytes, key: bytes) -> bytes:
    """The signed form; the tag is an HMAC-SHA-256 of the payload, whose key a client never has."""
    return b"#sig#" + struct.pack("<i", len(payload)) + payload + hmac.digest(key, payload, hashlib.sha256)


def _root_class() -> bytes:
    enumerations = ("CertificateStatus", "CertificateAuthorityType", "AllowedServices")
    members = (
        ("CertData", _T_PRIMITIVE_ARRAY, bytes([_P_BYTE])),
        ("SelfSigned", _T_PRIMITIVE, bytes([_P_BOOLEAN])),
        *(
            (name, _T_CLASS, _text(_NAMESPACE + kind) + struct.pack("<i", _MANAGEMENT_ID))
            for name, kind in zip(("Status", "RootCAType", "Services"), enumerations, strict=True)
        ),
        ("IISServices", _T_SYSTEM_CLASS, _text(_LIST)),
        ("PrivateKeyExportable", _T_PRIMITIVE, bytes([_P_BOOLEAN])),
        ("Identity", _T_STRING, b""),
    )
    return (
        bytes([_CLASS])
        + _class_info(1, _NAMESPACE + "ExchangeCertificate", members)
        + struct.pack("<i", _MANAGEMENT_ID)
    )


def _class_info(object_id: int, name: str, members: Sequence[tuple[str, int, bytes]]) -> bytes:
    """2.3.1.1 ClassInfo followed by 2.3.1.2 MemberTypeInfo."""
    return b"".join(
        (
            struct.pack("<i", object_id),
            _text(name),
            struct.pack("<i", len(members)),
            *(_text(member) for member, _kind, _extra in members),
            bytes(kind for _member, kind, _extra in members),
            *(extra for _member, _kind, extra in members),
        )
    )


def _enumeration(object_id: int, name: str, value: int) -> bytes:
    info = _class_info(object_id, _NAMESPACE + name, [("value__", _T_PRIMITIVE, bytes([_P_INT32]))])
    return bytes([_CLASS]) + info + struct.pack("<ii", _MANAGEMENT_ID, value)


def _service_list(services: Sequence[str]) -> bytes:
    members = (
        ("_items", _T_CLASS, _text(_NAMESPACE + "IisService[]") + struct.pack("<i", _MANAGEMENT_ID)),
        ("_size", _T_PRIMITIVE, bytes([_P_INT32])),
        ("_version", _T_PRIMITIVE, bytes([_P_INT32])),
    )
    # A .NET list grows to a capacity of four with its first item.
    capacity = max(4, len(services)) if services else 0
    array = struct.pack("<BiBiiB", _BINARY_ARRAY, _ITEMS_ID, 0, 1, capacity, _T_CLASS)
    array += _text(_NAMESPACE + "IisService") + struct.pack("<i", _MANAGEMENT_ID)
    array += b"".join(_reference(_FIRST_SERVICE_ID + 100 * index) for index in range(len(services)))
    if capacity > len(services):
        array += bytes([_NULLS_256, capacity - len(services)])
    return b"".join(
        (
            bytes([_SYSTEM_CLASS]) + _class_info(_LIST_ID, _LIST, members),
            _reference(_ITEMS_ID) + struct.pack("<ii", len(services), 1),
            array,
            _library(_SYSTEM_ID, _SYSTEM_LIBRARY) if services else b"",
            *(_service(index, name) for index, name in enumerate(services)),
        )
    )


def _service(index: int, name: str) -> bytes:
    object_id = _FIRST_SERVICE_ID + 100 * index
    url = (_T_CLASS, _text("System.Uri") + struct.pack("<i", _SYSTEM_ID))
    validation = (_T_CLASS, _text(_NAMESPACE + "UrlValidation") + struct.pack("<i", _MANAGEMENT_ID))
    if index == 0:
        members = (
            ("serviceName", _T_STRING, b""),
            ("internalUrl", *url),
            ("internalUrlValid", *validation),
            ("externalUrl", *url),
            ("externalUrlValid", *validation),
        )
        opening = bytes([_CLASS]) + _class_info(object_id, _NAMESPACE + "IisService", members)
        opening += struct.pack("<i", _MANAGEMENT_ID)
        internal = _enumeration(-13, "UrlValidation", 0)
    else:
        opening = struct.pack("<Bii", _CLASS_WITH_ID, object_id, _FIRST_SERVICE_ID)
        internal = struct.pack("<Biii", _CLASS_WITH_ID, -13 - 100 * index, -13, 0)
    external = struct.pack("<Biii", _CLASS_WITH_ID, -14 - 100 * index, -13, 0)
    null = bytes([_NULL])
    return opening + _string(object_id + 2, name) + null + internal + null + external


def _store_element(der: bytes, friendly_name: str) -> bytes:
    """What ``X509Certificate.Export(SerializedCert)`` gives: numbered properties, the certificate last."""
    properties = [(_PROP_SHA1, hashlib.sha1(der, usedforsecurity=False).digest())]
    if friendly_name:
        properties.append((_PROP_FRIENDLY_NAME, friendly_name.encode("utf-16-le") + b"\0\0"))
    properties.append((_PROP_CERTIFICATE, der))
    return b"".join(struct.pack("<III", number, 1, len(data)) + data for number, data in properties)


def _library(object_id: int, name: str) -> bytes:
    return struct.pack("<Bi", _LIBRARY_RECORD, object_id) + _text(name)


def _reference(object_id: int) -> bytes:
    return struct.pack("<Bi", _REFERENCE, object_id)


def _string(object_id: int, value: str) -> bytes:
    return struct.pack("<Bi", _STRING, object_id) + _text(value)


def _boolean(value: bool) -> bytes:  # noqa: FBT001 - the value that is written
    return bytes([value])


def _text(value: str) -> bytes:
    """2.1.1.6 LengthPrefixedString: seven bits of length a byte, then UTF-8."""
    data = value.encode()
    length, prefix = len(data), bytearray()
    while length > 0x7F:  # noqa: PLR2004 - seven bits
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*prefix, length]) + data
