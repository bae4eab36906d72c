"""The BinaryFormatter stream, read back by a reader made from [MS-NRBF] alone."""

import hashlib
import hmac
import io
import struct
from dataclasses import replace
from typing import Any

import pytest

from certwright.exchange_simulator import nrbf

CERTIFICATE = nrbf.ExchangeCertificate(
    der=bytes(range(256)) * 3,
    friendly_name="Microsoft Exchange",
    self_signed=True,
    status=1,
    root_ca_type=3,
    services=27,
    iis_services=["IIS://EX01/W3SVC/1", "IIS://EX01/W3SVC/2"],
    private_key_exportable=False,
    identity="ex01.contoso.test\\" + "AB" * 20,
)


class Reader:
    """Reads the record types that such a stream may hold; fails on any other."""

    def __init__(self, data: bytes) -> None:
        self.stream = io.BytesIO(data)
        self.objects: dict[int, Any] = {}
        self.classes: dict[int, tuple[str, list[tuple[str, int, Any]]]] = {}
        self.libraries: dict[int, str] = {}

    def read(self) -> Any:
        kind, root, _header, major, minor = self.unpack("<Biiii")
        assert (kind, major, minor) == (0, 1, 0)
        while (record := self.byte()) != 11:
            self.record(record)
        assert self.stream.read() == b""
        return self.resolved(self.objects[root])

    def resolved(self, value: Any) -> Any:
        match value:
            case ("ref", int(number)):
                return self.resolved(self.objects[number])
            case dict():
                return {k: self.resolved(v) for k, v in value.items()}
            case list():
                return [self.resolved(v) for v in value]
        return value

    def record(self, kind: int) -> Any:  # noqa: PLR0911 - one for each record type
        match kind:
            case 1:
                number, metadata = self.unpack("<ii")
                return self.members(number, *self.classes[metadata])
            case 4 | 5:
                return self.declared_class(has_library=kind == 5)
            case 6:
                (number,) = self.unpack("<i")
                self.objects[number] = self.text()
                return self.objects[number]
            case 7:
                return self.array()
            case 9:
                return ("ref", *self.unpack("<i"))
            case 10:
                return None
            case 12:
                (number,) = self.unpack("<i")
                self.libraries[number] = self.text()
                return self.record(self.byte()) if self.peek() != 11 else None
            case 15:
                number, length, primitive = self.unpack("<iiB")
                assert primitive == 2
                self.objects[number] = self.stream.read(length)
                return self.objects[number]
        raise AssertionError(f"record type {kind}")

    def declared_class(self, *, has_library: bool) -> Any:
        (number,) = self.unpack("<i")
        name = self.text()
        (count,) = self.unpack("<i")
        names = [self.text() for _ in range(count)]
        kinds = [self.byte() for _ in range(count)]
        members = [(n, k, self.extra(k)) for n, k in zip(names, kinds, strict=True)]
        if has_library:
            assert self.unpack("<i")[0] in self.libraries
        self.classes[number] = (name, members)
        return self.members(number, name, members)

    def extra(self, kind: int) -> Any:
        match kind:
            case 0 | 7:
                return self.byte()
            case 1:
                return None
            case 3:
                return self.text()
            case 4:
                return self.text(), self.unpack("<i")[0]
        raise AssertionError(f"binary type {kind}")

    def members(self, number: int, name: str, members: list[tuple[str, int, Any]]) -> Any:
        values: dict[str, Any] = {"type": name}
        self.objects[number] = values
        for member, kind, extra in members:
            if kind == 0:
                values[member] = bool(self.byte()) if extra == 1 else self.unpack("<i")[0]
            else:
                values[member] = self.record(self.byte())
        return values

    def array(self) -> Any:
        number, shape, rank, length, kind = self.unpack("<iBiiB")
        assert (shape, rank) == (0, 1)
        self.extra(kind)
        items: list[Any] = []
        while len(items) < length:
            record = self.byte()
            items += [None] * self.byte() if record == 13 else [self.record(record)]
        assert len(items) == length
        self.objects[number] = items
        return items

    def unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.stream.read(struct.calcsize(form)))

    def byte(self) -> int:
        return self.stream.read(1)[0]

    def peek(self) -> int:
        value = self.byte()
        self.stream.seek(-1, io.SEEK_CUR)
        return value

    def text(self) -> str:
        length, shift = 0, 0
        while True:
            part = self.byte()
            length |= (part & 0x7F) << shift
            shift += 7
            if part < 0x80:
                return self.stream.read(length).decode()


def store_element(data: bytes) -> dict[int, bytes]:
    properties: dict[int, bytes] = {}
    while data:
        number, one, length = struct.unpack("<III", data[:12])
        assert one == 1
        properties[number], data = data[12 : 12 + length], data[12 + length :]
    return properties


def test_a_reader_finds_every_field() -> None:
    read = Reader(nrbf.serialize(CERTIFICATE)).read()
    assert read["type"] == "Microsoft.Exchange.Management.SystemConfigurationTasks.ExchangeCertificate"
    assert list(read) == [
        "type",
        "CertData",
        "SelfSigned",
        "Status",
        "RootCAType",
        "Services",
        "IISServices",
        "PrivateKeyExportable",
        "Identity",
    ]
    assert (read["SelfSigned"], read["PrivateKeyExportable"]) == (True, False)
    assert [read[name]["value__"] for name in ("Status", "RootCAType", "Services")] == [1, 3, 27]
    assert read["Services"]["type"].endswith(".AllowedServices")
    assert read["Identity"] == CERTIFICATE.identity
    element = store_element(read["CertData"])
    assert element[32] == CERTIFICATE.der
    assert element[3] == hashlib.sha1(CERTIFICATE.der).digest()
    assert element[11].decode("utf-16-le") == "Microsoft Exchange\0"


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
def test_any_number_of_sites(count: int) -> None:
    sites = [f"IIS://EX01/W3SVC/{number}" for number in range(count)]
    services = Reader(nrbf.serialize(replace(CERTIFICATE, iis_services=sites))).read()["IISServices"]
    assert services["_size"] == count
    assert [item["serviceName"] for item in services["_items"][:count]] == sites
    assert services["_items"][count:] == [None] * (len(services["_items"]) - count)
    assert all(item["externalUrlValid"]["value__"] == 0 for item in services["_items"][:count])


def test_long_strings_have_longer_lengths() -> None:
    identity = "x" * 20_000
    assert Reader(nrbf.serialize(replace(CERTIFICATE, identity=identity))).read()["Identity"] == identity


def test_the_signed_form() -> None:
    payload = nrbf.serialize(CERTIFICATE)
    signed = nrbf.sign(payload, b"key")
    assert signed[:5] == b"#sig#"
    (length,) = struct.unpack("<i", signed[5:9])
    assert signed[9 : 9 + length] == payload
    assert signed[9 + length :] == hmac.digest(b"key", payload, "sha256")
