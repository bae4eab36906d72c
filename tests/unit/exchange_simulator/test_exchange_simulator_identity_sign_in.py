"""The authentication of one connection, spoken to with pyspnego's client half."""

import base64
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import spnego

from certwright.exchange_simulator.authentication import Access, Account, Scheme, SignIn

ADMIN = Account("admin@contoso.test", "a: password")
ALL = Access(schemes=(Scheme.BASIC, Scheme.NEGOTIATE, Scheme.NTLM))
CHALLENGES = {"WWW-Authenticate": ["Negotiate", "NTLM"]}


def connection(account: Account = ADMIN) -> SignIn:
    """One outside TLS."""
    return SignIn(ALL, account, "ex01.contoso.test", certificate=None)


def token(data: bytes | None) -> str:
    return base64.b64encode(data or b"").decode()


def ntlm(
    sign_in: SignIn, username: str = ADMIN.username, password: str = ADMIN.password, scheme: str = "Negotiate"
) -> bool:
    """Whether both messages of a client get it in."""
    client = spnego.client(username, password, protocol="ntlm", options=spnego.NegotiateOptions.wrapping_winrm)
    challenge = sign_in.check(f"{scheme} {token(client.step())}")
    assert not challenge.granted
    (header,) = challenge.headers["WWW-Authenticate"]
    given, _, answer = header.partition(" ")
    assert given == scheme
    return sign_in.check(f"{scheme} {token(client.step(base64.b64decode(answer)))}").granted


def test_a_connection_stays_signed_in_until_a_header_fails() -> None:
    sign_in = connection()
    assert sign_in.check(None).headers == CHALLENGES
    assert ntlm(sign_in)
    assert sign_in.context is not None
    assert ADMIN.is_named(sign_in.user)
    assert sign_in.check(None).granted
    assert not sign_in.check("Negotiate AAAA").granted
    assert sign_in.check(None).headers == CHALLENGES
    assert sign_in.context is None


@pytest.mark.parametrize("scheme", ["Negotiate", "NTLM"])
def test_a_client_may_sign_in_again(scheme: str) -> None:
    sign_in = connection()
    assert ntlm(sign_in, scheme=scheme)
    first = sign_in.context
    assert ntlm(sign_in, scheme=scheme)
    assert sign_in.context is not first


def test_after_a_wrong_password_the_right_one_is_taken() -> None:
    sign_in = connection()
    assert not ntlm(sign_in, password="wrong")
    assert sign_in.check(None).headers == CHALLENGES
    assert ntlm(sign_in)


def test_the_second_message_does_not_go_with_another_scheme() -> None:
    sign_in = connection()
    client = spnego.client("admin@contoso.test", "a: password", protocol="ntlm")
    (header,) = sign_in.check(f"NTLM {token(client.step())}").headers["WWW-Authenticate"]
    answer = client.step(base64.b64decode(header.removeprefix("NTLM ")))
    assert not sign_in.check(f"Negotiate {token(answer)}").granted


def test_the_names_of_an_account() -> None:
    assert ADMIN.spellings == ("admin@contoso.test", "CONTOSO\\admin")
    assert ADMIN.is_named("Admin@CONTOSO.TEST")
    assert not ADMIN.is_named("admin")
    assert Account("admin", "x").spellings == ("admin",)
    assert "a: password" not in repr(ADMIN)


@pytest.mark.parametrize("name", ADMIN.spellings)
def test_basic_counts_inside_tls_alone(endpoint: bytes, name: str) -> None:
    header = f"Basic {token(f'{name}:a: password'.encode())}"
    inside = SignIn(ALL, ADMIN, "ex01.contoso.test", endpoint)
    assert inside.check(header).granted
    refused = inside.check(None)  # basic signs a request in, no connection
    assert refused.headers == {"WWW-Authenticate": ['Basic realm="ex01.contoso.test"', "Negotiate", "NTLM"]}
    assert not connection().check(header).granted
    for wrong in ("", "!", token(b"admin"), token(f"{name}:a: Password".encode())):
        assert not inside.check(f"Basic {wrong}").granted


@pytest.fixture(scope="module")
def endpoint() -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    from certwright.exchange_simulator.certificates import self_signed, utc_now

    certificate, _key = self_signed("EX01", ("ex01.contoso.test",), now=utc_now())
    return certificate.public_bytes(Encoding.DER)


def test_accounts_of_several_organisations_are_kept_apart() -> None:
    accounts = [Account(f"admin@forest{n}.test", f"password {n}") for n in range(4)]

    def enter(n: int) -> list[bool]:
        own = accounts[n % 4]
        other = accounts[(n + 1) % 4]
        return [
            ntlm(connection(own), own.username, own.password),
            ntlm(connection(own), other.username, other.password),
        ]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(enter, range(24))) == [[True, False]] * 24


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", "/as/it/was")
    monkeypatch.delenv("KRB5_KTNAME", raising=False)
    assert ntlm(connection())
    assert os.environ["NTLM_USER_FILE"] == "/as/it/was"
    assert "KRB5_KTNAME" not in os.environ


@pytest.mark.skipif(importlib.util.find_spec("gssapi") is not None, reason="the extra is installed here")
def test_a_keytab_needs_the_extra() -> None:
    with pytest.raises(ImportError, match="extra 'kerberos'"):
        Access(schemes=(Scheme.KERBEROS,), keytab=Path("http.keytab"))


def test_without_a_keytab_nobody_has_a_ticket() -> None:
    sign_in = SignIn(Access(schemes=(Scheme.KERBEROS,)), ADMIN, "ex01.contoso.test", certificate=None)
    assert sign_in.check("Kerberos YIIB").headers == {"WWW-Authenticate": ["Kerberos"]}
