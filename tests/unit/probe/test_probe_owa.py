"""What a web server may do to an attempt to sign in, however odd it is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from certwright.probe import Target
from certwright.probe.owa import _Attempt, _reason, _Refused, _shown
from certwright.probe.wire import Deadline

NAME = "mail.contoso.test"
START = f"https://{NAME}/owa/auth.owa"


def attempt() -> _Attempt:
    return _Attempt(Target("192.0.2.1", 443, server_name=NAME), Deadline(5), urls=[START])


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/owa/", f"https://{NAME}/owa/"),
        ("auth/logon.aspx?reason=2#x", f"https://{NAME}/owa/auth/logon.aspx?reason=2"),
        ("https://MAIL.contoso.test:443/owa/", "https://MAIL.contoso.test:443/owa/"),
        ("https://192.0.2.1/owa/", "https://192.0.2.1/owa/"),
        (f"https://{NAME}", f"https://{NAME}/"),
        ("/a b\u00fc", f"https://{NAME}/a%20b%FC"),
    ],
)
def test_redirects_on_the_same_host_are_followed(location: str, url: str) -> None:
    assert attempt()._next(location) == url


@given(
    st.text()
    | st.sampled_from(["//", "https:", "http://", f"https://{NAME}:"]).flatmap(lambda s: st.text().map(s.__add__))
)
@example("https://[::1/")
@example(f"https://{NAME}:99999/")
@example("")
def test_any_other_is_followed_on_this_host_or_told(location: str) -> None:
    words = "followed"
    try:
        url = attempt()._next(location)
    except _Refused as error:
        words = str(error)
    else:
        assert url.isascii()
        assert url.isprintable()
        assert _shown(url).isprintable()
    assert words.isprintable()
    assert words.isascii()


def test_cookies_are_kept_replaced_and_dropped() -> None:
    one = attempt()
    one._keep(["a=1; path=/", "b=2", " c = 3", "d=", "a=4"])
    one._keep(["b=; expires=Thu, 30-Oct-1980 16:00:00 GMT"])
    assert one.cookies == {"PBack": "0", "a": "4"}


@given(st.lists(st.text(st.sampled_from("a=;\r\n \x00\xff,")) | st.text(), max_size=100))
def test_any_cookies_make_a_harmless_header(lines: list[str]) -> None:
    one = attempt()
    one._keep(lines)
    assert len(one.cookies) <= 50
    assert all(f"{name}={value}".isascii() and f"{name}={value}".isprintable() for name, value in one.cookies.items())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("reason=2", "2"),
        ("url=x&reason=0&reason=2", "0"),
        ("", None),
        ("Reason=2", None),
        ("&".join("a=1" for _ in range(60)), None),
    ],
)
def test_the_reason_is_read_from_the_query(query: str, reason: str | None) -> None:
    assert _reason(f"https://{NAME}/owa/auth/logon.aspx?{query}") == reason
