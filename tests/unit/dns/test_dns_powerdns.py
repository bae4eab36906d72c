"""What is particular to `powerdns`; what all DNS providers keep is in `tests/contract/test_dns_providers.py`."""

from typing import Any

import pytest

from certwright.engine import catalog
from certwright.sdk.params import read_params
from world.dns_accounts import refusal

CANARY = "canary-4711"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://ns1.contoso.com:8081", "https"),
        ("ns1.contoso.com:8081", "https://HOST:PORT"),
        (f"https://user:{CANARY}@ns1.contoso.com", "must hold no user name"),
        ("https://[::1", "address"),
        ("https:// :8443", "that is no address"),
        ("https://ns1:99999", "address"),
        ("ftp://127.0.0.1", "https"),
    ],
)
def test_powerdns_is_asked_over_https_or_on_this_machine(url: str, said: str) -> None:
    told = refusal("powerdns", url=url, api_key=CANARY)
    assert said in told
    assert CANARY not in told


@pytest.mark.parametrize("url", ["https://ns1.contoso.com:8443/", "http://127.0.0.1:8081/api/v1", "http://[::1]:8081"])
def test_powerdns_has_an_address(url: str) -> None:
    params: Any = read_params(catalog.plugin("dns", "powerdns").params, {"url": url, "api_key": CANARY}, "it")
    assert params.url == url.rstrip("/").removesuffix("/api/v1")
