"""Which names are proved how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import Identifier
from certwright.domain.validation import Challenge, Validation, check_provable, check_rules, choose, unused

EXACT = Validation(solver="exact", names=("mail.contoso.com",))
LEVEL = Validation(solver="level", names=("*.contoso.com",))
SUFFIX = Validation(solver="suffix", names=(".contoso.com",))
LONGER = Validation(solver="longer", names=(".eu.contoso.com",))
ADDRESS = Validation(solver="address", names=("192.0.2.7",))
REST = Validation(solver="rest")
ALL = [REST, SUFFIX, LONGER, LEVEL, EXACT, ADDRESS]


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("mail.contoso.com", "exact"),
        ("www.contoso.com", "level"),
        ("*.contoso.com", "level"),
        ("contoso.com", "suffix"),
        ("a.b.contoso.com", "suffix"),
        ("*.b.contoso.com", "suffix"),
        ("a.eu.contoso.com", "longer"),
        ("*.eu.contoso.com", "longer"),
        ("eu.contoso.com", "level"),
        ("notcontoso.com", "rest"),
        ("192.0.2.7", "address"),
        ("192.0.2.8", "rest"),
    ],
)
def test_the_closest_rule_chooses(name: str, solver: str) -> None:
    assert choose(ALL, Identifier.parse(name)).solver == solver
    assert choose(ALL[::-1], Identifier.parse(name)).solver == solver


def test_a_name_that_no_rule_fits_is_refused() -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_rules([EXACT, LEVEL], [Identifier.parse("mail.contoso.com"), Identifier.parse("fabrikam.com")])
    told = "\n".join(raised.value.explain())
    assert "fabrikam.com" in told
    assert "No validation is chosen for mail" not in told


def test_what_is_for_no_name_is_known_by_its_rules() -> None:
    names = [Identifier.parse(name) for name in ("mail.contoso.com", "b.contoso.com")]
    several = Validation(solver="several", names=("unrelated.com", ".contoso.com", "*.fabrikam.com"))
    found = unused([EXACT, LEVEL, several, LONGER, ADDRESS, REST], names)
    assert [(v.solver, v.names) for v in found] == [
        ("several", ("unrelated.com", "*.fabrikam.com")),
        ("longer", LONGER.names),
        ("address", ADDRESS.names),
        ("rest", ()),
    ]
    assert unused([REST], names) == []
    assert unused([EXACT, REST], names) == []


def test_two_validations_for_the_same_rule_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not clear") as raised:
        check_rules([REST, LEVEL, REST, LEVEL], [])
    assert len(raised.value.causes) == 2


def test_without_a_validation_nothing_is_proved() -> None:
    with pytest.raises(ConfigurationError):
        check_rules([], [Identifier.parse("contoso.com")])


@pytest.mark.parametrize(
    "rule", ["", "*", ".", "*.*.contoso.com", "a b", "mail.*.com", "..contoso.com", "*contoso.com"]
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError, match="is no rule"):
        Validation(names=(rule,))


def test_rules_are_kept_as_names_are_compared() -> None:
    assert Validation(names=("Mail.Contoso.com.", ".BÜCHER.example")).names == (
        "mail.contoso.com",
        ".xn--bcher-kva.example",
    )


@given(st.permutations(ALL), st.sampled_from(["mail.contoso.com", "x.y.eu.contoso.com", "contoso.com", "x.org"]))
def test_the_order_of_validations_does_not_count(order: list[Validation], name: str) -> None:
    assert choose(order, Identifier.parse(name)) == choose(ALL, Identifier.parse(name))


LONG = ".".join(["a" * 62] * 3)


@pytest.mark.parametrize(
    ("challenge", "prefix", "longest"), [("dns-01", "", 237), ("dns-01", "*.", 237), ("dns-persist-01", "", 233)]
)
def test_a_name_too_long_for_its_record_is_refused_with_what_proves_it(
    challenge: Challenge, prefix: str, longest: int
) -> None:
    way = Validation(challenge=challenge, solver="dns", params={})

    def named(length: int) -> Identifier:
        return Identifier.parse(f"{prefix}{LONG}.{'b' * (length - len(LONG) - len('..test'))}.test")

    check_provable([way], [named(longest)])
    with pytest.raises(InvalidIdentifier) as caught:
        check_provable([way], [named(longest + 1)])
    assert f"is too long for {challenge}" in str(caught.value.causes)
    assert ("choose http-01" in caught.value.hint) is (not prefix)
    check_provable([Validation()], [named(253)] if not prefix else [])
