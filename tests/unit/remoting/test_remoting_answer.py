"""What the head of an HTTP answer tells, whatever it holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Response

from certwright.remoting.transport import Answer

NOW = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)
HEADERS = ("Date", "Via", "Location", "WWW-Authenticate", "X-FEServer", "X-DiagInfo")


def answer(status: int = 200, **headers: str) -> Answer:
    response = Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer.of(response, NOW)


def test_the_servers_clock() -> None:
    found = answer(Date="Sun, 22 Nov 2026 21:37:00 GMT")
    assert found.clock == NOW + timedelta(minutes=7)
    assert found.skew == timedelta(minutes=7)
    assert answer(Date="Sun, 22 Nov 2026 21:30:00 -0000").skew == timedelta()


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 22 Nov 99999 21:37:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2300"])
def test_a_date_that_is_none_tells_nothing(date: str) -> None:
    found = answer(Date=date)
    assert (found.clock, found.skew) == (None, None)


def test_the_servers_that_took_the_request() -> None:
    assert answer(X_FEServer="MAIL01", X_CalculatedBETarget="mail02.contoso.com").front_end == "MAIL01"
    assert answer(X_CalculatedBETarget="mail02.contoso.com", X_DiagInfo="MAIL02").back_end == "mail02.contoso.com"
    assert answer(X_BEServer="MAIL02").back_end == "MAIL02"
    assert answer(X_DiagInfo="MAIL02").back_end == "MAIL02"
    assert (answer().front_end, answer().back_end) == ("", "")


@pytest.mark.parametrize(
    ("header", "offered"),
    [
        ("Negotiate, Kerberos", ("Negotiate", "Kerberos")),
        ('Basic realm="a, b", Negotiate YIIC==', ("Basic", "Negotiate")),
        ("", ()),
    ],
)
def test_the_ways_to_sign_in(header: str, offered: tuple[str, ...]) -> None:
    assert answer(401, WWW_Authenticate=header).offered == offered


@given(st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=50)))
def test_no_header_breaks_it_or_gets_on_the_screen_as_it_is(headers: dict[str, str]) -> None:
    found = answer(500, **headers)
    assert all(c.isprintable() for text in (found.via, found.location, found.back_end, *found.offered) for c in text)
