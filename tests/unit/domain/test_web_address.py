"""Which addresses of web services can be used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.web_address import web_parts


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("https://ns1.contoso.com:8443/api", "ns1.contoso.com", 8443),
        ("http://127.0.0.1:8081", "127.0.0.1", 8081),
        ("https://[2001:db8::1]:8443", "2001:db8::1", 8443),
        ("http://[fe80::1%eth0]/", "fe80::1%eth0", None),
        ("https://b\u00fccher.example/x?y=1", "b\u00fccher.example", None),
        ("https://dns_1", "dns_1", None),
    ],
)
def test_the_parts_of_what_can_be_used(address: str, host: str, port: int | None) -> None:
    parts = web_parts(address)
    assert (parts.hostname, parts.port) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        *("https:// :8443", "https://\u00a0:8443", "https://:8443", "https://", "https:///path", "https://.:8443", ""),
        *("ns1.contoso.com:8443", "ftp://ns1.contoso.com", "https://ns1:0", "https://ns1:99999", "https://ns1:x"),
        *(
            "https://[::1",
            "https://a b.contoso.com",
            "https://ns1/a b",
            "https://ns1\n",
            "https://-:1",
            "https://{host}",
        ),
        "https://me:letmein@ns1.contoso.com",
    ],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        web_parts(address)
    assert "letmein" not in str(caught.value)


@given(st.text(max_size=30))
def test_whatever_is_typed_has_a_host_or_is_refused(typed: str) -> None:
    try:
        parts = web_parts(f"https://{typed}")
    except ValueError:
        return
    assert parts.hostname
    assert parts.hostname.strip() == parts.hostname
