import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.issue_value import IssueValue

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
domains = st.lists(labels, min_size=1, max_size=4).map(".".join)
parameters = st.lists(st.tuples(labels, st.from_regex(r"[\x21-\x3a\x3c-\x7e]{0,20}", fullmatch=True)), max_size=4)
space = st.text(" \t", max_size=3)


@given(issuer=st.one_of(st.just(""), domains), given_parameters=parameters, gap=space)
def test_what_follows_the_grammar_is_read(issuer: str, given_parameters: list[tuple[str, str]], gap: str) -> None:
    stated = ";".join(f"{gap}{tag}{gap}={gap}{value}{gap}" for tag, value in given_parameters)
    value = IssueValue.parse(f"{gap}{issuer.upper()}{gap};{stated}")
    assert value == IssueValue(issuer, tuple(given_parameters))
    assert all(value.given(tag) for tag, _ in given_parameters)


@given(st.text())
def test_nothing_that_is_no_domain_is_an_issuer(text: str) -> None:
    try:
        value = IssueValue.parse(text)
    except ValueError:
        return
    assert value.issuer == text.partition(";")[0].strip(" \t").lower()


@pytest.mark.parametrize("text", ["", ";", " ; "])
def test_a_value_may_name_nobody(text: str) -> None:
    assert IssueValue.parse(text) == IssueValue("")


@pytest.mark.parametrize(
    "text",
    [
        "le test",
        "-le.test",
        "le..test",
        "le.test.",
        "le.test; accounturi",
        "le.test; =x",
        "le.test;;",
        "le.test; a=b;",
        "le.test; a=b c",
        "%",
        "le_.test",
    ],
)
def test_what_does_not_follow_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it does not begin with|NAME=VALUE"):
        IssueValue.parse(text)
