"""The fields of a form, as browsers send them, and what is none."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError
from certwright.web.received import received

KIND = "multipart/form-data; boundary=b"
LONG = 1024 * 1024


def part(disposition: str, content: bytes, *head: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *head, "", ""]
    return b"\r\n--b\r\n" + "\r\n".join(lines).encode() + content


def form(*parts: bytes) -> bytes:
    return b"".join((*parts, b"\r\n--b--\r\n")).removeprefix(b"\r\n")


NAMES = st.from_regex(r"[a-z ;=%\u00e4-]{1,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "\r\n--b" not in text)
FILES = st.binary(min_size=1).filter(lambda content: b"\r\n--b" not in content)


@given(st.lists(st.tuples(NAMES, TEXTS | FILES)))
def test_what_a_browser_sends_is_what_is_received(fields: list[tuple[str, str | bytes]]) -> None:
    parts = [
        part(f'name="{name}"', value.encode())
        if isinstance(value, str)
        else part(f'name="{name}"; filename="a; name=x"', value, "Content-Type: application/octet-stream")
        for name, value in fields
    ]
    assert received(KIND, form(*parts)).multi_items() == fields


def test_a_file_that_was_not_chosen_is_left_out() -> None:
    sent = form(part('name="file"; filename=""', b""), part('name="a"', b""))
    assert received('multipart/form-data; charset=utf-8; boundary="b"', sent).multi_items() == [("a", "")]


NESTED = b"".join(b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (at, at + 1) for at in range(20_000))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (KIND, form(part("name=a; " + '"' * LONG, b"x"))),
        (KIND, form(part("(" * LONG, b"x"))),
        (KIND, form(part('name="' + ";" * LONG, b"x"))),
        (KIND, b"\r\n--b" * (LONG // 5)),
        (KIND, form(*[part('name="a"', b"")] * 2001)),
        (KIND, NESTED),
        (KIND, form(part('name="a"', b"\xff"))),
        (KIND, form(part('name="a"', b"x")).removesuffix(b"--\r\n")),
        (KIND, b""),
        ("multipart/form-data; boundary=" + '"' * LONG, form()),
        ("multipart/form-data" + "; " * LONG, form()),
        ("multipart/form-data", form()),
        ("application/x-www-form-urlencoded", b"a=\xff"),
        ("application/x-www-form-urlencoded", b"a&" * 3000),
    ],
    ids=range(14),
)
def test_what_is_no_form_is_refused_however_long_it_is(kind: str, body: bytes) -> None:
    with pytest.raises(ConfigurationError, match="no form that a browser sends"):
        received(kind, body)


def test_what_is_nested_in_a_part_is_its_content() -> None:
    (name, content), *others = received(KIND, form(part('name="a"', NESTED))).multi_items()
    assert (name, content.encode(), others) == ("a", NESTED, [])


@given(
    st.sampled_from([KIND, "text/plain", ""]), st.binary() | st.binary().map(lambda each: form(part(str(each), each)))
)
def test_nothing_else_comes_of_anything(kind: str, body: bytes) -> None:
    with suppress(ConfigurationError):
        assert len(received(kind, body).multi_items()) <= 2000
