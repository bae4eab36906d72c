"""Which resolvers are asked."""

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.probe.dns.resolver import Resolver
from certwright.probe.observation import Endpoint


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", Endpoint("192.0.2.1", 53)),
        ("192.0.2.1:5353", Endpoint("192.0.2.1", 5353)),
        ("2001:db8::1", Endpoint("2001:db8::1", 53)),
        ("[2001:db8::1]", Endpoint("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", Endpoint("2001:db8::1", 5353)),
    ],
)
def test_a_resolver_is_an_address_with_or_without_a_port(text: str, server: Endpoint) -> None:
    assert Resolver([text]).servers == (server,)


@pytest.mark.parametrize("text", ["", "dns.test", "dns.test:53", "192.0.2.1:0", "192.0.2.1:x", "https://192.0.2.1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address of a resolver") as caught:
        Resolver([text])

    assert "9.9.9.9" in caught.value.hint


def test_a_resolver_is_shown_by_its_addresses() -> None:
    assert str(Resolver(["192.0.2.1", "[2001:db8::1]:5353"])) == "192.0.2.1, [2001:db8::1]:5353"


def test_asking_without_checks_leaves_the_resolver_as_it_is() -> None:
    resolver = Resolver(["192.0.2.1"])

    assert (resolver.unchecked.checking_disabled, resolver.checking_disabled) == (True, False)
    assert resolver.unchecked.servers == resolver.servers
