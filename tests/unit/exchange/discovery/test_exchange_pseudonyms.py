import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from certwright.exchange.discovery.pseudonyms import _KEPT, Pseudonyms

LABELS = st.text(string.ascii_lowercase, min_size=4, max_size=12).filter(lambda word: word not in _KEPT)


def test_a_host_keeps_its_likeness_in_every_spelling() -> None:
    names = Pseudonyms()
    full = names.data("ex01.contoso.com")
    host, domain, com = full.split(".")
    assert com == "com"
    assert names.data("EX01") == host.upper()
    assert names.data(r"EX01\Default Frontend EX01") == rf"{host.upper()}\Default Frontend {host.upper()}"
    assert names.data("CN=EX01,CN=Servers,DC=contoso,DC=com") == f"CN={host.upper()},CN=Servers,DC={domain},DC=com"
    assert names.data("*.contoso.com") == f"*.{domain}.com"
    assert names.data("<I>CN=R3, O=Fabrikam<S>CN=mail.contoso.com").endswith(f"<S>CN=mail.{domain}.com")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Version 15.2 (Build 1748.10)",
        "15.2.1748.10",
        "*:443:",
        "127.0.0.1:443:",
        "[::]:25",
        "0.0.0.0-255.255.255.255",
        "smtp:*;1",
        "S-1-5-18",
        "00000000-0000-0000-0000-000000000000",
        "10:30:00",
    ],
)
def test_what_every_organisation_has_is_kept(text: str) -> None:
    assert Pseudonyms().data(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "10.20.30.40",
        "10.20.30.0/24",
        "fd00:12::7",
        "S-1-5-21-111111111-222222222-333333333-1105",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "A" * 40,
        "4111111111111",
    ],
)
def test_addresses_and_numbers_are_replaced_by_others_of_their_kind(text: str) -> None:
    names = Pseudonyms()
    made = names.data(text)
    assert made != text
    assert names.data(text) == made
    assert made.count(".") == text.count(".") or ":" in text


def test_a_country_is_not_told() -> None:
    assert Pseudonyms().data("mail.contoso.ch").endswith(".org")


def test_a_certificate_has_its_stand_in() -> None:
    names = Pseudonyms()
    names.equate("AB" * 20, "CD" * 20)
    assert names.data(rf"ex01\{'AB' * 20}") == rf"n1\{'CD' * 20}"
    assert names.data("ab" * 20) == "cd" * 20


def test_sentences_keep_their_plain_words() -> None:
    told = "The operation couldn't be performed because object 'Printer relay' couldn't be found on 'dc01.x.de'."
    kept = "The operation couldn't be performed because object 'n1 relay' couldn't be found on 'n2.x.org'."
    assert Pseudonyms().prose(told) == kept


def test_sentences_lose_what_is_known_as_a_name_and_what_looks_like_one() -> None:
    names = Pseudonyms()
    names.data("contoso")
    made = names.prose("Server Fabrikam of contoso, at srv7 and admin@tailspin.com, is down.")
    for name in ("Fabrikam", "contoso", "srv7", "tailspin", "admin"):
        assert name not in made
    assert made.endswith("is down.")


def test_ids_of_errors_keep_types() -> None:
    told = (
        "[Server=EX01,RequestId=3f2504e0-4f89-11d3-9a0c-0305e82c3301,TimeStamp=11/22/2026 10:00:00 PM] "
        "[FailureCategory=Cmdlet-InvalidOperationException] "
        "DCA528C3,Microsoft.Exchange.Management.SystemConfigurationTasks.RemoveExchangeCertificate"
    )
    made = Pseudonyms().error_id(told)
    assert made.startswith("[Server=N")
    assert "EX01" not in made
    assert "3f2504e0" not in made
    assert "[FailureCategory=Cmdlet-InvalidOperationException]" in made
    assert made.endswith("Microsoft.Exchange.Management.SystemConfigurationTasks.RemoveExchangeCertificate")
    assert Pseudonyms().error_id("ExpandPropertyNotFound,srv1") == "ExpandPropertyNotFound,n1"


@settings(deadline=None)
@given(
    st.lists(LABELS, min_size=1, max_size=4),
    st.sampled_from(["{}", "CN={}", r"{}\owa", "<{}>", "a-{}-b", "{}_1", "x{}"]),
)
def test_no_word_survives_in_data(labels: list[str], around: str) -> None:
    text = around.format(".".join(labels))
    made = Pseudonyms().data(text)
    for label in labels:
        assert label not in made


@settings(deadline=None)
@given(st.text())
def test_no_text_fails(text: str) -> None:
    names = Pseudonyms()
    for way in (names.data, names.prose, names.error_id):
        way(text)


@settings(deadline=None)
@given(st.lists(LABELS, min_size=2, max_size=6, unique=True))
def test_different_words_stay_different(labels: list[str]) -> None:
    names = Pseudonyms()
    assert len({names.data(label) for label in labels}) == len(labels)


@settings(deadline=None)
@given(LABELS, LABELS)
def test_nothing_that_is_made_up_was_there(first: str, second: str) -> None:
    assume(first != second)
    names = Pseudonyms(frozenset({"n1", "n2"}))
    assert {names.data(first), names.data(second)} == {"n3", "n4"}
