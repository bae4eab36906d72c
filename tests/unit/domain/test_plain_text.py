"""What is shown otherwise than it is written is refused, and nothing else."""

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.domain.plain_text import check_line, check_new_name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\u202etset.osotnoc", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("mail\u200b", "U+200B"),
        ("a\nb", "U+000A"),
        ("a\x85b", "U+0085"),
        ("a\u2028b", "U+2028"),
        ("a\u2029b", "U+2029"),
        (" mail", "blanks around it"),
        ("mail\u00a0", "blanks around it"),
    ],
)
def test_what_shows_text_otherwise_is_named(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=r"The title cannot be taken\.") as refused:
        check_line(text, "The title")
    assert told in refused.value.message
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("text", ["", "Müller & Söhne", "почта", "דואר", "メール", "mail 🔒", "e\u0301"])
def test_all_else_is_taken(text: str) -> None:
    check_line(text, "The title")


@pytest.mark.parametrize("name", ["ci/prod", "/", ".", ".."])
def test_a_new_name_is_no_path(name: str) -> None:
    with pytest.raises(ConfigurationError, match="It is part of addresses"):
        check_new_name(name, ["other"])
    check_new_name(name, [name])


@pytest.mark.parametrize("name", ["ci-prod", "a.b", "...", "Let's Encrypt (100 % of it)", "a\\b"])
def test_a_name_that_is_no_path_is_taken(name: str) -> None:
    check_new_name(name)
    with pytest.raises(ConfigurationError, match="blanks around it"):
        check_new_name(f"{name} ")
