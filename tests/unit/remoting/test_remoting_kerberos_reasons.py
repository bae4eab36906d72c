"""What Kerberos and Windows' SSPI complain of, as sentences: every reason by the codes of each library."""

from datetime import timedelta

import pytest
from spnego.exceptions import NativeError, SpnegoError

from certwright.remoting.endpoint import EXCHANGE, Endpoint, Identity
from certwright.remoting.kerberos import explain

STORE = "certwright credential add exchange 'our admin' --username svc@CONTOSO.TEST"
KNOWN = Identity("kerberos", "svc@contoso.test", "hunter2", "our admin")
REALM = "the domain CONTOSO.TEST"
URL = "http://ex01.contoso.test/PowerShell/"


class Krb5Error(Exception):
    """As the package krb5 raises it; it is not installed where these tests run."""

    __module__ = "krb5._exceptions"

    def __init__(self, message: str, code: int) -> None:
        super().__init__(f"{message} {code}")
        self.err_code = code


def gss(message: str, code: int, major: int = 13 << 16, above: str = "Unspecified GSS failure.") -> SpnegoError:
    """As pyspnego wraps an error of gssapi, whose minor code is that of Kerberos without its sign."""
    unsigned = code % 2**32
    base = NativeError("", maj_code=major)
    base.min_code = unsigned  # type: ignore[attr-defined]
    base.args = (f"Major ({major}): {above}, Minor ({unsigned}): {message}",)
    wrapped: SpnegoError = SpnegoError(base_error=base, context_msg="Processing security token")
    return wrapped


def sspi(message: str, code: int) -> SpnegoError:
    """As pyspnego wraps an error of Windows."""
    signed = code - 2**32
    base = NativeError("", winerror=signed)
    base.strerror = message  # type: ignore[attr-defined]
    base.args = (f"[WinError {signed}] {message}",)
    wrapped: SpnegoError = SpnegoError(base_error=base, context_msg="Processing security token")
    return wrapped


REASONS = [
    (-1765328360, "Preauthentication failed", "refused the password of {who}", STORE),
    (-1765328353, "Decrypt integrity check failed", "refused the password of {who}", STORE),
    (-1765328361, "Password has expired", "password of {who} has expired", "Set a new one"),
    (-1765328366, "Client's credentials have been revoked", "is locked, disabled", "Get-ADUser"),
    (-1765328378, "Client not found", "The domain does not know {who}.", "user@DOMAIN"),
    (-1765328243, "No Kerberos credentials available", "There is no Kerberos ticket of {who}", "kinit"),
    (-1765328189, "No credentials cache found", "There is no Kerberos ticket of {who}", "KRB5_CLIENT_KTNAME"),
    (-1765328352, "Ticket expired", "ticket of {who} has expired", "kinit"),
    (-1765328377, "Server not found", "knows no service HTTP/ex01.contoso.test", "service_host"),
    (-1765328343, "Message stream modified", "belongs to another account", "setspn -Q HTTP/ex01.contoso.test"),
    (-1765328347, "Clock skew too great", "clock of this machine", "timedatectl"),
    (-1765328236, "Clock skew too great in KDC reply", "clock of this machine", "timedatectl"),
    (-1765328228, "Cannot contact any KDC", "No domain controller of {realm} answers", "port 88"),
    (-1765328230, "Cannot find KDC", "does not know where {realm} is", "krb5.conf"),
    (-1765328203, "Key table entry not found", "no key for {who}", "klist -k"),
    (-1765328370, "KDC has no support for encryption type", "no encryption in common", "AES"),
    (-1765328249, "Can't open/find configuration file", "configuration of this machine", "krb5.conf"),
    (-1765328372, "KDC policy rejects request", "may not sign in at this hour", "LogonHours"),
    (-1765328300, "Something new", "Kerberos does not sign in {who}", "kvno"),
]
WINDOWS = [
    (0x8009030C, "The logon attempt failed", "refused the password of {who}", STORE),
    (0x8009030E, "No credentials are available", "no domain sign-in of {who}", "domain account"),
    (0x80090303, "The target was unknown", "knows no service", "setspn -Q"),
    (0x80090311, "No authority could be contacted", "No domain controller of {realm} answers", "port 88"),
    (0x80090322, "The target principal name is incorrect", "belongs to another account", "setspn -Q"),
    (0x80090324, "The clocks are skewed", "clock of this machine", "w32tm"),
    (0xC0000234, "The account is locked", "is locked", "Get-ADUser"),
    (0xC0000071, "The password has expired", "password of {who} has expired", "Set a new one"),
]


def told(error: Exception, identity: Identity) -> str:
    found = explain(error, Endpoint(URL, EXCHANGE, identity))
    assert found is not None
    text = "\n".join(found.explain())
    assert URL in text
    assert "hunter2" not in text
    assert "{" not in text
    return text


@pytest.mark.parametrize("identity", [KNOWN, Identity()], ids=["known", "current"])
@pytest.mark.parametrize(("code", "message", "says", "hint"), REASONS)
def test_each_reason_of_mit(identity: Identity, code: int, message: str, says: str, hint: str) -> None:
    who, realm = ("svc@CONTOSO.TEST", REALM) if identity is KNOWN else ("the current user", "this machine's own domain")
    texts = {told(Krb5Error(message, code), identity), told(gss(message, code), identity)}
    assert len(texts) == 1
    (text,) = texts
    assert says.format(who=who, realm=realm) in text
    assert f"Kerberos: {message}\n" in text
    if identity is KNOWN:
        assert hint in text


@pytest.mark.parametrize(("code", "message", "says", "hint"), WINDOWS)
def test_each_reason_of_windows(code: int, message: str, says: str, hint: str) -> None:
    text = told(sspi(message, code), KNOWN)
    assert says.format(who="svc@CONTOSO.TEST", realm=REALM) in text
    assert f"Kerberos: {message}\n" in text
    assert hint in text


def test_the_reasons_are_told_apart() -> None:
    wrong_password, others = REASONS[:2], REASONS[2:]
    sentences = [told(Krb5Error("x", code), KNOWN) for code, *_ in (*wrong_password[:1], *others)]
    same = {-1765328189, -1765328236, -1765328366}  # two codes for one reason
    assert len(set(sentences)) == len(sentences) - len(same)


@pytest.mark.parametrize("number", [11, 12])
def test_a_ticket_that_expires_while_it_is_looked_at(number: int) -> None:
    text = told(gss("Success", 100_001, number << 16, "It has expired"), KNOWN)
    assert "ticket of svc@CONTOSO.TEST has expired" in text
    assert "Kerberos: It has expired\n" in text


def test_a_password_that_a_keytab_no_longer_fits_is_not_to_be_stored() -> None:
    text = told(Krb5Error("Preauthentication failed", -1765328360), Identity())
    assert "keytab is older" in text
    assert "credential add" not in text


def test_only_an_unreachable_controller_may_pass_by_itself() -> None:
    passing = [code for code, *_ in REASONS if _may_pass(code)]
    assert passing == [-1765328228]


def _may_pass(code: int) -> bool:
    found = explain(Krb5Error("x", code), Endpoint(URL, EXCHANGE, KNOWN))
    return found is not None and found.retryable


@pytest.mark.parametrize(
    ("seconds", "says"), [(-900, "The server's clock is 15 minutes behind this machine's."), (280, ""), (None, "")]
)
def test_the_servers_clock_is_evidence(seconds: int | None, says: str) -> None:
    skew = None if seconds is None else timedelta(seconds=seconds)
    found = explain(Krb5Error("Clock skew too great", -1765328347), Endpoint(URL, EXCHANGE, KNOWN), skew)
    assert found is not None
    assert [str(cause) for cause in found.causes[1:]] == ([says] if says else [])


def test_a_reason_is_found_below_other_errors() -> None:
    above = RuntimeError("on the way")
    above.__cause__ = Krb5Error("Ticket expired", -1765328352)
    assert "has expired" in told(above, KNOWN)


def test_what_does_not_come_from_kerberos_is_not_explained() -> None:
    network = ConnectionRefusedError(111, "Connection refused")
    network.winerror = 10061  # type: ignore[attr-defined]  # as on Windows
    for error in (network, ValueError("x"), SpnegoError(9)):
        assert explain(error, Endpoint(URL, EXCHANGE, KNOWN)) is None
