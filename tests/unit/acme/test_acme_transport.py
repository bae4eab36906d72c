import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme.transport import Headers, Response

NOW = 1_750_000_000.0  # 2025-06-15 15:06:40 UTC


def with_header(**fields: str) -> Response:
    return Response(200, Headers((name.replace("_", "-"), value) for name, value in fields.items()))


def test_header_names_have_no_case_and_repeated_fields_are_joined() -> None:
    headers = Headers([("Link", "<a>"), ("LINK", "<b>"), ("Replay-Nonce", "x")])
    assert headers["link"] == "<a>, <b>"
    assert headers.get("REPLAY-NONCE") == "x"
    assert headers.get("Location") is None
    assert dict(headers) == {"link": "<a>, <b>", "replay-nonce": "x"}
    assert len(headers) == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 15 Jun 2025 15:07:40 GMT", 60.0),
        ("Sun, 15 Jun 2025 15:07:40 -0000", 60.0),
        ("Sun, 15 Jun 2025 15:00:00 GMT", 0.0),
        ("99999999999999999999", 30 * 86_400.0),
        ("9" * 400, 30 * 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 30 * 86_400.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert with_header(Retry_After=value).retry_after(NOW) == seconds


def test_a_date_in_retry_after_counts_from_the_answers_own_date() -> None:
    answer = with_header(Retry_After="Sun, 15 Jun 2025 15:07:40 GMT", Date="Sun, 15 Jun 2025 15:07:10 GMT")
    assert answer.retry_after(NOW + 86_400) == 30


@given(st.text(), st.text())
def test_no_header_makes_retry_after_fail(value: str, date: str) -> None:
    seconds = with_header(Retry_After=value, Date=date).retry_after(NOW)
    assert seconds is None or 0 <= seconds <= 30 * 86_400


@given(st.text())
def test_no_header_reaches_a_terminal_with_control_characters(value: str) -> None:
    assert with_header(Location=f"\x1b]0;{value}\x07").headers["Location"].isprintable()


def test_links() -> None:
    link = '<https://ca.test/dir>;rel="index", </alt/1>; title="a, b"; rel=alternate, <https://x/2>;REL="up Alternate"'
    answer = with_header(Link=link)
    assert answer.links("alternate", "https://ca.test/cert/1") == ["https://ca.test/alt/1", "https://x/2"]
    assert answer.links("index", "https://ca.test/") == ["https://ca.test/dir"]
    assert answer.links("help", "https://ca.test/") == []


def test_a_link_that_is_no_url_is_left_out() -> None:
    answer = with_header(Link='<http://[>;rel="alternate", <https://x/2>;rel="alternate"')
    assert answer.links("alternate", "https://ca.test/") == ["https://x/2"]


@given(st.text())
def test_no_header_makes_links_fail(value: str) -> None:
    assert isinstance(with_header(Link=value).links("alternate", "https://ca.test/"), list)
