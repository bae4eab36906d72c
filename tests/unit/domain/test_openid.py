"""What an ID token must say, and what follows from its claims."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.access import Role
from certwright.domain.errors import Forbidden, NotSignedIn
from certwright.domain.openid import Expected, Mapped, values_of

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MOMENT = int(NOW.timestamp())
EXPECTED = Expected("https://login.contoso.test", "certwright", "a-nonce")
RIGHT = {
    "iss": "https://login.contoso.test",
    "sub": "4711",
    "aud": "certwright",
    "exp": MOMENT + 60,
    "iat": MOMENT,
    "nonce": "a-nonce",
}
MAPPED = Mapped("name", "groups", ((Role.ADMINISTRATOR, ("chiefs",)), (Role.VIEWER, ("desk", "chiefs"))), "sites")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "also",
    [
        {},
        {"azp": "certwright"},
        {"aud": ["certwright"]},
        {"aud": ["another", "certwright"], "azp": "certwright"},
        {"exp": MOMENT - 119},
        {"iat": MOMENT + 120, "exp": MOMENT + 180.5},
        {"more": {"of": "it"}},
    ],
)
def test_a_token_that_says_what_it_must_tells_of_its_subject(also: dict[str, Any]) -> None:
    assert EXPECTED.subject({**RIGHT, **also}, NOW) == "4711"


@given(name=st.sampled_from([*RIGHT, "azp"]), value=JSON)
def test_of_a_token_every_claim_counts(name: str, value: Any) -> None:
    claims = {**RIGHT, name: value}
    is_same = claims == RIGHT or (name == "azp" and value is None) or value == [RIGHT.get(name)]
    is_text = name == "sub" and isinstance(value, str) and value
    is_moment = name in ("exp", "iat") and isinstance(value, int | float) and not isinstance(value, bool)
    if is_same or is_text or is_moment:
        return
    with pytest.raises(NotSignedIn):
        EXPECTED.subject(claims, NOW)


@given(claims=st.dictionaries(st.sampled_from(["name", "groups", "sites", "_claim_names", "x"]), JSON))
def test_whatever_claims_say_they_let_in_by_a_value_that_was_named_or_nobody(claims: dict[str, Any]) -> None:
    told: Iterable[str] = ()
    try:
        name, role, tags = MAPPED.person(claims)
    except Forbidden as error:
        told = error.explain()
    else:
        assert name
        assert {"chiefs", "desk"} & set(values_of(claims, "groups"))
        assert role is Role.ADMINISTRATOR or tags
    assert "".join(told).isprintable()


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["desk"], Role.VIEWER),
        ("desk", Role.VIEWER),
        (["desk", "chiefs"], Role.ADMINISTRATOR),
        (["others", "desk"], Role.VIEWER),
    ],
)
def test_of_several_roles_the_first_counts(groups: Any, role: Role) -> None:
    assert MAPPED.person({"name": "anna", "groups": groups, "sites": ["berlin"]})[:2] == ("anna", role)


@pytest.mark.parametrize("groups", ["Chiefs", "chief", ["chiefs "], {"chiefs": True}, [["chiefs"]], "", None, [True]])
def test_a_value_is_compared_as_it_is(groups: Any) -> None:
    with pytest.raises(Forbidden, match="Nothing gives you a role here"):
        MAPPED.person({"name": "anna", "groups": groups, "sites": ["berlin"]})


def test_dots_lead_into_objects_where_no_claim_is_called_so() -> None:
    nested = {"realm": {"roles": ["a"], "deep": {"er": 7}}}
    assert values_of(nested, "realm.roles") == ("a",)
    assert values_of(nested, "realm.deep.er") == ("7",)
    assert values_of({**nested, "realm.roles": "b"}, "realm.roles") == ("b",)
    assert values_of(nested, "realm.roles.a") == values_of(nested, "realm") == values_of(nested, "") == ()


def test_many_values_are_shown_in_part() -> None:
    with pytest.raises(Forbidden) as caught:
        MAPPED.person({"name": "anna", "groups": [f"{'g' * 200}{number}" for number in range(500)]})
    assert "and 490 more" in caught.value.message
    assert len(caught.value.message) < 1200
