from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.exchange.access import records
from certwright.remoting.clixml import Obj

VALUES = st.recursive(
    st.none() | st.text() | st.integers() | st.binary() | st.booleans(),
    lambda inner: st.builds(
        Obj,
        text=st.text(),
        value=inner,
        items=st.lists(inner, max_size=2).map(tuple),
        properties=st.dictionaries(st.sampled_from(["Parameters", "CertificateIssuer", "A"]), inner, max_size=2),
        is_collection=st.booleans(),
    ),
    max_leaves=6,
)
PROPERTIES = (
    "Name",
    "Identity",
    "Fqdn",
    "Site",
    "Bindings",
    "TlsCertificateName",
    "SourceTransportServers",
    "InternalUrl",
    "DomainName",
    "CurrentCertificateThumbprint",
    "Domains",
    "Parameters",
)
RECORDS = st.builds(Obj, properties=st.dictionaries(st.sampled_from(PROPERTIES), VALUES))


def several(*items: str) -> Obj:
    return Obj(types=("Microsoft.Exchange.Data.MultiValuedProperty",), items=items, is_collection=True)


@settings(deadline=None)
@given(RECORDS)
def test_records_of_any_kind_never_fail(record: Obj) -> None:
    records.server_info(record)
    records.connector(record, "receive", "EX01")
    records.virtual_directory(record, "OWA")
    records.outlook_anywhere(record)
    records.autodiscover(record)
    records.accepted_domain(record)
    records.auth_certificates([record])
    records.federation_certificates([record])
    records.hybrid(record)
    records.commands([record])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("<I>CN=CA<S>CN=mail", "<I>CN=CA<S>CN=mail"),
        (Obj(text="<I>CN=CA<S>CN=mail"), "<I>CN=CA<S>CN=mail"),
        (Obj(properties={"CertificateIssuer": "CN=CA", "CertificateSubject": "CN=mail"}), "<I>CN=CA<S>CN=mail"),
        (None, None),
        ("", None),
    ],
)
def test_names_of_certificates_in_connectors(value: Any, name: str | None) -> None:
    record = Obj(properties={"Name": "c", "TlsCertificateName": value})
    assert records.connector(record, "send").tls_certificate_name == name


def test_a_receive_connector() -> None:
    record = Obj(
        properties={
            "Name": "Relay EX01",
            "Identity": "EX01\\Relay EX01",
            "Enabled": False,
            "Bindings": several("[::]:25", "0.0.0.0:25", "10.0.0.5:2525", "nonsense"),
            "RemoteIPRanges": several("10.0.0.0/8"),
            "TransportRole": Obj(text="FrontendTransport", value=32768),
            "RequireTLS": True,
        }
    )
    found = records.connector(record, "receive", "EX01")
    assert found.ports == (25, 2525)
    assert found.remote_ranges == ("10.0.0.0/8",)
    assert (found.role, found.enabled, found.require_tls) == ("FrontendTransport", False, True)


def test_a_send_connector() -> None:
    record = Obj(
        properties={
            "Name": "To Office 365",
            "AddressSpaces": several("smtp:contoso.mail.onmicrosoft.com;1"),
            "SmartHosts": several("contoso-com.mail.protection.outlook.com"),
            "SourceTransportServers": several("contoso.test/Configuration/Servers/EX01", "EX02"),
            "CloudServicesMailEnabled": True,
            "TlsAuthLevel": Obj(text="DomainValidation", value=3),
            "Guid": "0F0E0D0C-0000-0000-0000-000000000001",
        }
    )
    found = records.connector(record, "send")
    assert found.source_servers == ("EX01", "EX02")
    assert found.cloud_mail
    assert found.enabled
    assert found.guid == "0f0e0d0c-0000-0000-0000-000000000001"
    assert found.tls_auth_level == "DomainValidation"


def test_a_server_and_its_site() -> None:
    site = "contoso.test/Configuration/Sites/Branch"
    found = records.server_info(Obj(properties={"Name": "EX01", "ServerRole": "Mailbox", "Site": site}))
    assert (found.site, found.is_edge) == ("Branch", False)
    assert records.server_info(Obj(properties={"Name": "ED01", "ServerRole": Obj(text="Edge", value=64)})).is_edge


def test_thumbprints_of_signing_certificates() -> None:
    record = Obj(properties={"CurrentCertificateThumbprint": "ab cd", "NextCertificateThumbprint": None})
    found = records.auth_certificates([record])
    assert found is not None
    assert found.thumbprints == {"ABCD"}
    assert records.federation_certificates([]) is None


def test_cmdlets_and_their_parameters() -> None:
    record = Obj(properties={"Name": "Get-Queue", "Parameters": Obj(properties={"Server": "Server", "Filter": 1})})
    assert records.commands([record]) == {"Get-Queue": frozenset({"Server", "Filter"})}
