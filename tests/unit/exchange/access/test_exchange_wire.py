"""Certificates as Exchange sends them: typed, serialized, or hardly at all; unknown is never none."""

import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from certwright.exchange.access import wire
from certwright.exchange.model import Certificate, Service, sites_of
from certwright.exchange_simulator import nrbf as written
from certwright.remoting.clixml import Obj
from peers.exchange_task import Authority

DER = Authority().certificate.public_bytes(Encoding.DER)


def enum(text: str, number: int) -> Obj:
    return Obj(types=("System.Enum",), text=text, value=number)


def serialized(**changed: Any) -> bytes:
    values = {
        "der": DER,
        "friendly_name": "Microsoft Exchange",
        "self_signed": True,
        "status": 1,
        "root_ca_type": 0,
        "services": 24,
        "iis_services": ["IIS://EX01/W3SVC/1"],
        "private_key_exportable": False,
        "identity": "ex01\\AB",
    }
    return written.serialize(written.ExchangeCertificate(**{**values, **changed}))


def test_typed_properties_as_select_object_gives_them() -> None:
    sites = Obj(is_collection=True, items=("IIS://EX01/W3SVC/1", Obj(text="IIS://EX01/W3SVC/2")))
    found = wire.typed_certificate(
        Obj(
            properties={
                "Thumbprint": "ab" * 20,
                "Services": enum("IIS, SMTP", 24),
                "Status": enum("Valid", 1),
                "HasPrivateKey": True,
                "IsSelfSigned": False,
                "Subject": "CN=mail, O=Contoso",
                "Issuer": "CN=CA",
                "IISServices": sites,
                "RawData": DER,
            }
        )
    )
    assert found is not None
    assert (found.thumbprint, found.services, found.status) == ("AB" * 20, Service.IIS | Service.SMTP, "Valid")
    assert found.iis_sites == frozenset({1, 2})
    assert found.tls_certificate_name == "<I>CN=CA<S>CN=mail, O=Contoso"
    assert found.facts is not None


def test_what_did_not_arrive_is_unknown() -> None:
    found = wire.typed_certificate(Obj(properties={"RawData": DER, "Services": None}))
    assert found is not None
    assert (found.services, found.status, found.has_private_key, found.iis_sites) == (None, None, None, None)
    assert found.tls_certificate_name is None
    assert wire.typed_certificate(Obj()) is None


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: written.sign(data, b"key")], ids=["plain", "signed"])
def test_the_serialized_object_is_read_as_data(wrap: Any) -> None:
    found = wire.serialized_certificate(Obj(properties={"RawData": DER, "SerializationData": wrap(serialized())}))
    assert found is not None
    assert found.services == Service.IIS | Service.SMTP
    assert found.status == "Valid"
    assert found.iis_sites == frozenset({1})
    assert found.is_self_signed is True
    assert found.friendly_name == "Microsoft Exchange"
    assert found.has_private_key is None


def test_the_certificate_may_be_in_the_serialized_object_alone() -> None:
    found = wire.serialized_certificate(Obj(properties={"SerializationData": serialized()}))
    assert found is not None
    assert found.facts is not None


def test_no_services_and_no_sites_are_known_to_be_none() -> None:
    data = serialized(services=0, iis_services=[], status=3)
    found = wire.serialized_certificate(Obj(properties={"RawData": DER, "SerializationData": data}))
    assert found is not None
    assert found.services is Service.NONE
    assert found.iis_sites == frozenset()
    assert found.status == "not Valid (3)"  # a number whose name nobody has seen


@pytest.mark.parametrize("data", [b"", b"#sig#", b"\x00" * 40, "text", None])
def test_a_serialized_object_that_cannot_be_read_leaves_all_unknown(data: Any) -> None:
    found = wire.serialized_certificate(Obj(properties={"RawData": DER, "SerializationData": data}))
    assert found is not None
    assert (found.services, found.iis_sites) == (None, None)
    assert wire.serialized_certificate(Obj(properties={"SerializationData": data})) is None


@given(st.data())
def test_a_damaged_serialized_object_never_fails(data: st.DataObject) -> None:
    good = serialized()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=8)) + good[at + data.draw(st.integers(0, 8)) :]
    found = wire.serialized_certificate(Obj(properties={"RawData": DER, "SerializationData": bad}))
    assert isinstance(found, Certificate)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.binary(), st.floats()),
    lambda inner: st.builds(
        Obj, text=st.text(), value=inner, items=st.lists(inner, max_size=3).map(tuple), is_collection=st.booleans()
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(wire.CERTIFICATE_PROPERTIES), VALUES))
@example({"Thumbprint": " "})
def test_properties_of_any_kind_never_fail(properties: dict[str, Any]) -> None:
    found = wire.typed_certificate(Obj(properties=properties))
    assert found is None or found.thumbprint


@pytest.mark.parametrize(
    ("value", "services"),
    [
        (enum("IIS, SMTP", 24), Service.IIS | Service.SMTP),
        ("None", Service.NONE),
        ("IIS, smtp", Service.IIS | Service.SMTP),
        (27, Service(27)),
        ("IP.WS..", None),
        ("", None),
        (None, None),
        (True, None),
        (-1, None),
    ],
)
def test_services(value: Any, services: Service | None) -> None:
    assert wire.services(value) == services


@given(st.sets(st.sampled_from(list(Service))))
def test_services_are_spelled_as_they_are_read(members: set[Service]) -> None:
    chosen = Service(sum(m.value for m in members))
    assert Service.read(str(chosen)) == chosen


def test_unknown_bits_of_services_are_kept() -> None:
    assert Service(24 | 1024).value == 24 | 1024
    assert str(Service(24 | 1024)) == "IIS, SMTP"


def test_web_sites_of_paths() -> None:
    assert sites_of(["IIS://EX01/W3SVC/1", "iis://ex01/w3svc/2/", "W3SVC", "IIS://EX01/W3SVC/1/ROOT"]) == {1, 2}


def test_a_store_element_that_ends_early_is_no_certificate() -> None:
    element = struct.pack("<III", 32, 1, 2**31) + b"\x30"
    assert wire.facts_of(dict(wire._store_properties(element))[32]) is None
