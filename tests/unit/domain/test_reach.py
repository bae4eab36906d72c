"""What is never connected to."""

import pytest

from certwright.domain.proxy import Proxy
from certwright.domain.reach import is_never_reached


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "[fe80::1%eth0]",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "168.63.129.16",
        "fd20:ce::254",
        "fd00:ec2::254",
        "100.100.100.200",
        "metadata.google.internal",
        "Metadata.Google.Internal.",
    ],
)
def test_what_a_machine_tells_itself_alone_is_never_reached(host: str) -> None:
    assert is_never_reached(host, 443)
    assert not Proxy("proxy.contoso.test", 3128).takes(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "fd12::1", "8.8.8.8", "2606:4700::1", "ca.contoso.com", ""]
)
def test_authorities_inside_a_network_are_reached(host: str) -> None:
    assert not is_never_reached(host, 443)


def test_a_resolver_of_a_cloud_is_asked() -> None:
    assert not is_never_reached("169.254.169.253", 53)
