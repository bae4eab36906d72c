"""MS-NRBF streams: those of the simulator, which were written from captures, and hostile ones."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.exchange.access.nrbf import MalformedNrbf, NetObject, payload, read
from certwright.exchange_simulator import nrbf as written

_SITES = ["IIS://EX01/W3SVC/1", "IIS://EX01/W3SVC/2"]


def stream(sites: list[str] | None = None, services: int = 25) -> bytes:
    return written.serialize(
        written.ExchangeCertificate(
            der=b"\x30\x03\x02\x01\x05",
            friendly_name="Microsoft Exchange",
            self_signed=True,
            status=1,
            root_ca_type=0,
            services=services,
            iis_services=_SITES if sites is None else sites,
            private_key_exportable=False,
            identity="ex01.contoso.test\\ABCD",
        )
    )


def test_the_members_are_read() -> None:
    root = read(stream())
    assert root.name.endswith(".ExchangeCertificate")
    assert root.members["SelfSigned"] is True
    assert root.members["PrivateKeyExportable"] is False
    assert root.members["Identity"] == "ex01.contoso.test\\ABCD"
    assert root.members["Services"].members == {"value__": 25}
    assert root.members["CertData"].endswith(b"\x30\x03\x02\x01\x05")
    listed = root.members["IISServices"].members
    assert [item.members["serviceName"] for item in listed["_items"][: listed["_size"]]] == _SITES


@given(st.lists(st.text(max_size=200), max_size=9), st.integers(-(2**31), 2**31 - 1))
def test_any_values_come_back(sites: list[str], services: int) -> None:
    root = read(stream(sites, services))
    listed = root.members["IISServices"].members
    items = listed["_items"][: listed["_size"]]
    assert [item.members["serviceName"] for item in items] == sites
    assert root.members["Services"].members["value__"] == services


def test_the_signed_form_is_unwrapped() -> None:
    plain = stream()
    assert payload(written.sign(plain, b"key")) == plain
    assert payload(plain) == plain


@pytest.mark.parametrize("data", [b"#sig#", b"#sig#\x01\x00\x00\x00", b"#sig#\xff\xff\xff\xff" + bytes(40)])
def test_a_signed_form_that_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedNrbf):
        payload(data)


@given(st.binary(max_size=400))
def test_garbage_is_refused(data: bytes) -> None:
    header = struct.pack("<Biiii", 0, 1, -1, 1, 0)
    for candidate in (data, header + data):
        with contextlib.suppress(MalformedNrbf):
            assert isinstance(read(candidate), NetObject)


@given(st.data())
def test_a_damaged_stream_is_read_or_refused(data: st.DataObject) -> None:
    good = stream()
    position = data.draw(st.integers(0, len(good) - 1))
    replacement = data.draw(st.binary(min_size=0, max_size=6))
    with contextlib.suppress(MalformedNrbf):
        read(good[:position] + replacement + good[position + 1 :])


def _header() -> bytes:
    return struct.pack("<Biiii", 0, 1, -1, 1, 0)


@pytest.mark.parametrize(
    "records",
    [
        struct.pack("<BiiB", 15, 1, 2**31 - 1, 2),  # an array of 2 GiB
        struct.pack("<Bii", 16, 1, 2**31 - 1),  # two thousand million objects
        struct.pack("<Bii", 16, 1, 9_000) + struct.pack("<Bi", 14, 2**31 - 1),  # as many nulls
        b"\x06" + struct.pack("<i", 1) + b"\xff\xff\xff\xff\x7f",  # a string of 2 GiB
        b"".join(struct.pack("<Bii", 16, n, 1) for n in range(2, 200)),  # arrays within arrays
        b"\x0c" + struct.pack("<i", 1) + b"\x01x" * 3,
        struct.pack("<Bi", 9, 1) + b"\x0b",  # only a reference
    ],
)
def test_hostile_sizes_are_refused_without_claiming_memory(records: bytes) -> None:
    with pytest.raises(MalformedNrbf):
        read(_header() + records)


def test_objects_that_contain_each_other_end() -> None:
    cycle = struct.pack("<Bii", 16, 2, 1) + struct.pack("<Bi", 9, 2)
    root = b"\x02" + struct.pack("<i", 1) + b"\x01R" + struct.pack("<i", 1) + b"\x01m" + struct.pack("<Bi", 9, 2)
    assert read(_header() + root + cycle + b"\x0b").members["m"] is not None


def test_shared_objects_do_not_multiply() -> None:
    layers = (
        b"".join(struct.pack("<Bii", 16, n, 4) + struct.pack("<Bi", 9, n + 1) * 4 for n in range(2, 14))
        + struct.pack("<Bi", 6, 14)
        + b"\x01x"
    )
    root = b"\x02" + struct.pack("<i", 1) + b"\x01R" + struct.pack("<i", 1) + b"\x01m" + struct.pack("<Bi", 9, 2)
    with pytest.raises(MalformedNrbf, match="too many"):
        read(_header() + root + layers + b"\x0b")
