"""Explicit rules that say where challenge records are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.delegation import Delegation, read_rules, ruled_target
from certwright.domain.errors import InvalidIdentifier


@pytest.mark.parametrize(
    ("rule", "name", "target"),
    [
        (
            "*.contoso.com:*.acme.fabrikam.net",
            "_acme-challenge.mail.contoso.com",
            "_acme-challenge.mail.acme.fabrikam.net",
        ),
        ("*.contoso.com:*.fabrikam.net", "_acme-challenge.contoso.com", "_acme-challenge.fabrikam.net"),
        ("*.contoso.com:proof.fabrikam.net", "_acme-challenge.a.b.contoso.com", "proof.fabrikam.net"),
        ("_acme-challenge.contoso.com:p.fabrikam.net", "_acme-challenge.contoso.com", "p.fabrikam.net"),
        ("_acme-challenge.contoso.com:p.fabrikam.net", "_acme-challenge.a.contoso.com", None),
        ("*.contoso.com:p.fabrikam.net", "_acme-challenge.notcontoso.com", None),
        ("*.Contoso.COM.:P.fabrikam.net.", "_acme-challenge.contoso.com", "p.fabrikam.net"),
        ("*.Bücher.com:*.bücher.net", "_acme-challenge.a.xn--bcher-kva.com", "_acme-challenge.a.xn--bcher-kva.net"),
    ],
)
def test_where_a_record_is_written(rule: str, name: str, target: str | None) -> None:
    assert Delegation.parse(rule).target(name) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:",
        ":b",
        "*.a.com",
        "a.com:*.b.com",
        "*:b.com",
        "a..com:b.com",
        "a b.com:c.com",
        "*.*.a.com:b.com",
        "ü\u0301\u200d.com:b.com",
    ],
)
def test_what_is_no_delegation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no delegation|nothing on the left"):
        Delegation.parse(text)


def test_a_name_that_grows_too_long_is_refused() -> None:
    rule = Delegation.parse(f"*.a.com:*.{'.'.join(['x' * 60] * 4)}")
    with pytest.raises(InvalidIdentifier, match="too long a name"):
        rule.target("_acme-challenge.mail.a.com")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("_acme-challenge.x.mail.contoso.com", "_acme-challenge.x.b.net"),
        ("_acme-challenge.mail.contoso.com", "c.net"),
        ("_acme-challenge.contoso.com", "_acme-challenge.a.net"),
        ("_acme-challenge.other.com", None),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_closest_rule_counts(name: str, target: str | None, *, turned: bool) -> None:
    rules = ["*.contoso.com:*.a.net", "*.mail.contoso.com:*.b.net", "_acme-challenge.mail.contoso.com:c.net"]
    assert ruled_target(reversed(rules) if turned else rules, name) == target


@pytest.mark.parametrize(
    ("rule", "instead"),
    [
        (
            "mail.a.com:p.b.com",
            "write _acme-challenge.mail.a.com:p.b.com for that name alone, or *.mail.a.com:p.b.com for",
        ),
        (
            "*._acme-challenge.a.com:*.b.com",
            "write _acme-challenge.a.com:b.com for that name alone, or *.a.com:*.b.com",
        ),
        ("_dmarc.a.com:b.com", "write _acme-challenge.a.com:b.com for that name alone, or *.a.com:b.com"),
        ("_acme-challenge:b.com", "write _acme-challenge.NAME:b.com for that name alone, or *.NAME:b.com"),
    ],
)
def test_a_rule_that_can_fit_nothing_is_refused_with_what_to_write(rule: str, instead: str) -> None:
    with pytest.raises(ValueError, match="fits nothing") as raised:
        read_rules(["*.fine.com:b.com", rule])
    assert instead in str(raised.value)


def test_two_rules_for_the_same_names_are_refused() -> None:
    with pytest.raises(ValueError, match="are for the same names: leave one of them out"):
        read_rules(["*.a.com:b.com", "*.A.com.:c.com"])
    assert len(read_rules(["*.a.com:b.com", "*.A.com.:b.com"])) == 1


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rule = Delegation.parse(text)
    except ValueError:
        return
    assert Delegation.parse(str(rule)) == rule
