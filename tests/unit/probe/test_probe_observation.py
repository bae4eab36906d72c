import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.probe import Endpoint, Observation, Target


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("mail.contoso.com:443", "mail.contoso.com", 443),
        (" EX01_OLD:25 ", "EX01_OLD", 25),
        ("192.0.2.7:993", "192.0.2.7", 993),
        ("[2001:db8::1]:465", "2001:db8::1", 465),
        ("bücher.example:443", "xn--bcher-kva.example", 443),
    ],
)
def test_endpoints_are_read(text: str, host: str, port: int) -> None:
    assert Endpoint.parse(text) == Endpoint(host, port)


@pytest.mark.parametrize("text", ["192.0.2.7:993", "[2001:db8::1]:465", "localhost:1"])
def test_endpoints_are_written_as_they_are_read(text: str) -> None:
    assert str(Endpoint.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "mail.contoso.com",
        "mail.contoso.com:",
        "mail.contoso.com:smtp",
        "mail.contoso.com:0",
        "mail.contoso.com:65536",
        "mail.contoso.com:44444444444444444444",
        "mail.contoso.com:٤٤",
        "2001:db8::1:443",
        "[::1:80",
        "::1]:80",
        "[mail.contoso.com]:80",
        "[]:80",
        "[[::1]]:80",
        "a b:443",
        "a\r\nb:443",
        "a..b:443",
        f"{'a' * 64}.test:443",
        "https://contoso.com:443",
    ],
)
def test_what_is_no_endpoint_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Endpoint.parse(text)
    assert caught.value.message.endswith(".")


@given(st.text(max_size=80))
def test_reading_an_endpoint_ends_in_one_of_two_ways(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except (ConfigurationError, InvalidIdentifier):
        return
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"port": 0},
        {"server_name": "a b"},
        {"server_name": ""},
        {"expected_name": "a b"},
        {"expected_name": ""},
        {"ehlo_name": "me\r\nMAIL FROM:<>"},
        {"ehlo_name": ""},
    ],
)
def test_a_target_that_could_not_be_asked_for_is_refused(wrong: dict[str, str | int]) -> None:
    with pytest.raises(ConfigurationError):
        Target(**({"host": "mail.contoso.test", "port": 25} | wrong))  # type: ignore[arg-type]


def test_the_name_to_cover_is_the_expected_one_or_the_server_name_or_the_host() -> None:
    assert Target("192.0.2.1", 443, expected_name="mail.contoso.test").name == "mail.contoso.test"
    assert Target("ex01", 443, server_name="other.test", expected_name="mail.contoso.test").name == "mail.contoso.test"
    assert Target("ex01", 443, server_name="mail.contoso.test").name == "mail.contoso.test"
    assert Target("mail.contoso.test", 25).name == "mail.contoso.test"


@pytest.mark.parametrize(
    ("protocol", "deprecated"),
    [("SSLv3", True), ("TLSv1", True), ("TLSv1.1", True), ("TLSv1.2", False), ("TLSv1.3", False), (None, False)],
)
def test_protocols_that_no_client_should_use_are_told(protocol: str | None, deprecated: bool) -> None:
    assert Observation(Target("ex01", 443), protocol=protocol).is_deprecated is deprecated
