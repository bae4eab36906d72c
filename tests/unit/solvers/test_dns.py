"""What the dns-01 solver and the providers beneath refuse when it is typed, since at night it would be too late."""

import math
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.engine import catalog
from certwright.sdk.params import read_params

TOO_LONG = [math.inf, math.nan, 1e300, 0, -1]


def wrong(kind: catalog.Kind, name: str, **values: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read_params(catalog.plugin(kind, name).params, values, "the validation")
    return "\n".join(raised.value.explain())


@pytest.mark.parametrize("resolver", ["foo", "127.0.0.1:99999", "", "192.0.2.256", "[::1]:x"])
def test_a_resolver_that_is_no_address_is_refused(resolver: str) -> None:
    told = wrong("solvers", "dns", credential="manual", resolvers=["192.0.2.1", resolver])
    assert "resolvers: " in told
    assert "Write ADDRESS, ADDRESS:PORT or [IPV6]:PORT" in told


def test_resolvers_that_are_addresses_are_taken() -> None:
    taken = ("192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53")
    read: Any = read_params(catalog.plugin("solvers", "dns").params, {"credential": "manual", "resolvers": taken}, "it")
    assert read.resolvers == taken


def test_a_delegation_that_can_fit_nothing_is_refused() -> None:
    told = wrong("solvers", "dns", credential="manual", delegations=["mail.contoso.com:proof.fabrikam.com"])
    assert "write _acme-challenge.mail.contoso.com:proof.fabrikam.com for that name alone" in told


@pytest.mark.parametrize("seconds", TOO_LONG)
def test_a_wait_that_never_ends_is_refused(seconds: float) -> None:
    assert "timeout: " in wrong("solvers", "dns", credential="manual", timeout=seconds)
    for name in ("manual", "script", "windows_dns", "lexicon:powerdns"):
        assert "wait: " in wrong("dns", name, wait=seconds)
