"""Which certificate a TlsCertificateName refers to."""

import pytest

from certwright.exchange.model import Certificate
from certwright.exchange.references import common_name, referred_to, refers_to
from unit.exchange.organisations import OLD, facts, old


@pytest.mark.parametrize(
    ("value", "refers"),
    [
        ("<I>CN=R11, O=Let's Encrypt, C=US<S>CN=mail.contoso.com", True),
        ("<i>cn=r11, o=let's encrypt, c=us<s>cn=MAIL.contoso.com", True),
        ("<I>CN=R12, O=Let's Encrypt, C=US<S>CN=mail.contoso.com", False),
        ("<I>C=US,O=Let's Encrypt,CN=R11<S>CN=mail.contoso.com", False),
        ("", False),
        (None, False),
    ],
)
def test_exchange_s_own_spelling_decides(value: str | None, refers: bool) -> None:
    assert refers_to(value, old()) is refers


@pytest.mark.parametrize(
    ("subject", "refers"),
    [
        ("CN=mail.contoso.com", True),
        ("CN=mail.contoso.com, O=Contoso", True),
        ("O=Contoso, CN=mail.contoso.com", True),
        ("CN=mail.contoso.com.au", False),
        ("CN=webmail.contoso.com", False),
    ],
)
def test_the_common_name_decides_where_exchange_told_no_strings(subject: str, refers: bool) -> None:
    bare = Certificate(OLD, facts=facts(thumbprint=OLD))
    assert refers_to(f"<I>CN=R11<S>{subject}", bare) is refers


def test_nothing_is_known_of_a_certificate_without_facts() -> None:
    assert not refers_to("<I>CN=R11<S>CN=mail.contoso.com", Certificate(OLD))


def test_several_may_be_referred_to() -> None:
    assert referred_to(old().tls_certificate_name, (old(), old(), Certificate(OLD))) == (old(), old())


def test_the_common_name_is_read_from_the_subject_only() -> None:
    assert common_name("<I>CN=R11, O=X<S>O=Contoso, CN=Mail.contoso.com") == "mail.contoso.com"
    assert common_name("<I>CN=R11<S>O=Contoso") == common_name(None) == ""
