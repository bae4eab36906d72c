import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme_server.identifiers import Identifier, check_policy, from_general_name, parse_identifier
from certwright.acme_server.problem import Problem


@pytest.mark.parametrize(
    "name",
    [
        "contoso.test",
        "*.contoso.test",
        "xn--bcher-kva.contoso.test",
        "a" * 63 + ".test",
        "exchange01",
        "1.contoso.test",
    ],
)
def test_names_are_taken(name: str) -> None:
    assert parse_identifier({"type": "dns", "value": name}) == Identifier("dns", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "*",
        "*.",
        "a..test",
        "a.test.",
        "a_b.test",
        "-a.test",
        "a-.test",
        "a.*.test",
        "*.*.test",
        "bücher.test",
        "a b.test",
        "a.test\n",
        "1.2.3.4",
        "a" * 64 + ".test",
        ".".join(["a" * 49] * 6),
        "\u017f.test",
        "\u212a.test",  # lower() makes it k.test
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_identifier({"type": "dns", "value": name})
    assert refused.value.type == "malformed"
    assert refused.value.identifier == {"type": "dns", "value": name}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "2001:db8::1"])
def test_addresses_are_taken(address: str) -> None:
    assert parse_identifier({"type": "ip", "value": address}) == Identifier("ip", address)


@pytest.mark.parametrize("address", ["", "127.1", "127.0.0.01", "2001:DB8::1", "0:0::1", "fe80::1%eth0", "10.0.0.0/8"])
def test_addresses_in_another_spelling_are_refused(address: str) -> None:
    with pytest.raises(Problem, match="address"):
        parse_identifier({"type": "ip", "value": address})


@given(st.from_type(ipaddress.IPv4Address) | st.from_type(ipaddress.IPv6Address).filter(lambda a: a.scope_id is None))
def test_every_address_is_what_its_general_name_says(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    identifier = parse_identifier({"type": "ip", "value": str(address)})
    assert from_general_name(identifier.general_name) == identifier


@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with contextlib.suppress(Problem):
        identifier = parse_identifier({"type": "dns", "value": text})
        assert identifier.value == text.lower()
        assert from_general_name(identifier.general_name) == identifier


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dns", "mail.contoso.test"),
        ("dns", "*.contoso.local"),
        ("dns", "exchange01"),
        ("dns", "printer.home.arpa"),
        ("ip", "192.168.1.1"),
        ("ip", "::1"),
    ],
)
def test_internal_identifiers_are_issued_for_if_allowed(kind: str, value: str) -> None:
    identifier = parse_identifier({"type": kind, "value": value})
    assert check_policy(identifier, allow_internal=True, forbidden_domains=()) == identifier
    with pytest.raises(Problem) as refused:
        check_policy(identifier, allow_internal=False, forbidden_domains=())
    assert refused.value.type == "rejectedIdentifier"


@pytest.mark.parametrize(("kind", "value"), [("dns", "contoso.com"), ("dns", "*.arpa.com"), ("ip", "9.9.9.9")])
def test_public_identifiers_are_always_issued_for(kind: str, value: str) -> None:
    identifier = parse_identifier({"type": kind, "value": value})
    assert check_policy(identifier, allow_internal=False, forbidden_domains=("bank.com",)) == identifier


@pytest.mark.parametrize("value", ["bank.com", "www.bank.com", "*.bank.com"])
def test_forbidden_domains_are_refused_with_all_below(value: str) -> None:
    with pytest.raises(Problem, match="forbidden by policy"):
        check_policy(Identifier("dns", value), allow_internal=True, forbidden_domains=("bank.com",))
    other = Identifier("dns", "notbank.com")
    assert check_policy(other, allow_internal=True, forbidden_domains=("bank.com",)) == other
