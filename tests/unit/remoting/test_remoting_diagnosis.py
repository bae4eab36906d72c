"""What libraries raise and servers answer, as sentences; the rest is shown with real peers in tests/e2e."""

from dataclasses import replace
from datetime import timedelta

import pytest
import requests
import urllib3
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from spnego.exceptions import FeatureMissingError, NegotiateOptions, SpnegoError

from certwright.domain.errors import CertwrightError, ConfigurationError, NotFound, Unreachable
from certwright.remoting.diagnosis import Reached, diagnose
from certwright.remoting.endpoint import EXCHANGE, Authentication, Endpoint, Identity
from certwright.remoting.failures import OutcomeUnknown, ShellLost
from certwright.remoting.transport import Answer, HttpRefusal, NotEncrypted, StaleContext, TooMuch

URL = "https://ex01.contoso.test/PowerShell/"
REFUSED = Answer(401, offered=("Negotiate",))


def as_who(auth: Authentication) -> Identity:
    return Identity() if auth == "current" else Identity(auth, "svc@contoso.test", "hunter2")


def told(
    error: Exception, answer: Answer | None = None, auth: Authentication = "basic", reached: Reached = Reached.NOTHING
) -> str:
    found = diagnose(error, Endpoint(URL, EXCHANGE, as_who(auth)), answer, reached)
    text = "\n".join(found.explain())
    assert "hunter2" not in text
    assert "{" not in text
    return text


def wsman(code: int | None, reason: str = "", provider: str = "") -> WSManFaultError:
    return WSManFaultError(code, None, reason, None, None, provider)


@pytest.mark.parametrize(
    ("auth", "offered", "says", "hint"),
    [
        ("basic", ("Negotiate", "Kerberos"), "does not take auth=basic; it offers Negotiate, Kerberos.", "current or"),
        ("basic", ("NTLM",), "it offers NTLM.", "Choose auth=ntlm."),
        ("ntlm", ("Kerberos",), "does not take auth=ntlm", "current or kerberos"),
        ("kerberos", ("Basic",), "does not take auth=kerberos", "Choose auth=basic."),
        ("current", ("NTLM",), "does not take auth=current", "Choose auth=ntlm."),
        ("current", ("Digest",), "it offers Digest.", "Set-PowerShellVirtualDirectory"),
        ("negotiate", ("Basic",), "does not take auth=negotiate", "Choose auth=basic."),
    ],
)
def test_a_way_to_sign_in_that_is_not_offered(
    auth: Authentication, offered: tuple[str, ...], says: str, hint: str
) -> None:
    for error in (HttpRefusal(), AuthenticationError("x"), ValueError("incompatible")):
        text = told(error, Answer(401, offered=offered), auth)
        assert says in text
        assert hint in text


def test_basic_alone_over_http_wants_https_too() -> None:
    endpoint = Endpoint(URL.replace("https", "http"), EXCHANGE)
    found = diagnose(HttpRefusal(), endpoint, Answer(401, offered=("Basic",)), Reached.NOTHING)
    assert "an https address" in found.hint


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ("basic", "the user name or the password is wrong, or the account is locked."),
        ("ntlm", "or it does not take NTLM"),
        ("negotiate", "choose kerberos instead of negotiate"),
        ("kerberos", "although the domain gave a ticket for HTTP/ex01.contoso.test"),
        ("current", "refused the sign-in of the current user although"),
    ],
)
def test_a_refused_sign_in(auth: Authentication, says: str) -> None:
    answer = Answer(401, offered=("Basic",) if auth == "basic" else ("Negotiate",))
    for error in (HttpRefusal(), AuthenticationError("x"), SpnegoError(9)):
        assert says in told(error, answer, auth)
    assert not diagnose(HttpRefusal(), Endpoint(URL, EXCHANGE, as_who(auth)), answer, Reached.NOTHING).retryable


def test_a_refused_sign_in_with_clocks_apart() -> None:
    for skew, side in ((timedelta(minutes=-7), "7 minutes behind"), (timedelta(minutes=16), "16 minutes ahead of")):
        text = told(HttpRefusal(), replace(REFUSED, skew=skew), "kerberos")
        assert f"its clock is {side} this machine's" in text
        assert "timedatectl" in text
    for auth, skew in (("kerberos", timedelta(minutes=4)), ("ntlm", timedelta(minutes=16))):
        assert "clock" not in told(HttpRefusal(), replace(REFUSED, skew=skew), auth)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "says", "may_pass"),
    [
        (302, "redirects to https://login.contoso.test/", False),
        (400, "speaks the scheme of the address", True),
        (403, "Set-User svc@contoso.test -RemotePowerShellEnabled $true", False),
        (404, "no PowerShell virtual directory", False),
        (407, "a proxy in between asks for a sign-in of its own", False),
        (500, "answered HTTP 500.", True),
        (502, "does not reach the server behind it", True),
        (503, "application pools", True),
        (504, "waited in vain", True),
        (200, "answered with a web page", False),
    ],
)
def test_an_answer_of_the_web_server_in_front(status: int, says: str, may_pass: bool) -> None:
    answer = Answer(status, location="https://login.contoso.test/")
    found = diagnose(HttpRefusal(), Endpoint(URL, EXCHANGE, as_who("basic")), answer, Reached.NOTHING)
    assert isinstance(found, Unreachable)
    assert says in "\n".join(found.explain())
    assert found.retryable is may_pass


def test_a_redirect_to_https_is_a_wrong_scheme() -> None:
    endpoint = Endpoint(URL.replace("https", "http"), EXCHANGE)
    found = diagnose(HttpRefusal(), endpoint, Answer(301, location=URL), Reached.NOTHING)
    assert found.hint == "Use https in the address."


def test_a_proxy_that_names_itself_is_named() -> None:
    text = told(HttpRefusal(), Answer(503, via="1.1 gateway (squid)"))
    assert "it came through a proxy, Via: 1.1 gateway (squid)" in text
    assert "let it pass what this machine sends to ex01.contoso.test" in text


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (wsman(2150858811, "no such resource"), Unreachable, "session configuration Microsoft.Exchange"),
        (wsman(2150858843, "", "gone"), ShellLost, "closed the PowerShell session"),
        (wsman(5, "Access is denied."), Unreachable, "does not let it use PowerShell (fault 5): Access is denied."),
        (wsman(None), Unreachable, "refused (fault None): no details"),
    ],
)
def test_a_fault_of_the_service(fault: Exception, kind: type[CertwrightError], says: str) -> None:
    found = diagnose(fault, Endpoint(URL, EXCHANGE), Answer(500), Reached.SENDING)
    assert type(found) is kind
    assert says in found.message


def test_a_session_that_cannot_be_gone_on_with_is_lost() -> None:
    found = diagnose(StaleContext(), Endpoint(URL, EXCHANGE), REFUSED, Reached.SENDING)
    assert isinstance(found, ShellLost)


def test_what_fails_while_a_command_runs_is_of_unknown_outcome() -> None:
    for error in (NotEncrypted(), HttpRefusal(), wsman(5), TooMuch(), ValueError("x"), requests.ConnectionError("x")):
        found = diagnose(error, Endpoint(URL, EXCHANGE), Answer(503), Reached.RUNNING)
        assert isinstance(found, OutcomeUnknown)


@pytest.mark.parametrize(
    ("status", "is_unknown"),
    [(s, True) for s in (200, 500, 502, 504)] + [(s, False) for s in (302, 400, 403, 407, 503)],
)
def test_a_message_that_something_in_between_may_have_passed_on_is_of_unknown_outcome(
    status: int, is_unknown: bool
) -> None:
    found = diagnose(HttpRefusal(), Endpoint(URL, EXCHANGE), Answer(status), Reached.SENDING)
    assert isinstance(found, OutcomeUnknown) is is_unknown


def test_a_readable_answer_leaves_the_outcome_unknown() -> None:
    assert isinstance(diagnose(NotEncrypted(), Endpoint(URL, EXCHANGE), Answer(200), Reached.SENDING), OutcomeUnknown)


def test_a_connection_that_breaks_in_a_sign_in_is_no_wrong_password() -> None:
    broken = requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(104, "reset")))
    text = told(broken, REFUSED, "kerberos")
    assert "did not answer as PowerShell remoting" in text
    assert "password" not in text


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("certificate has expired", "Renew it"),
        ("certificate is not yet valid", "clock"),
        ("self-signed certificate", "The server made it itself"),
        ("self signed certificate", "The server made it itself"),
        ("self-signed certificate in certificate chain", "inspects TLS"),
        ("unable to get local issuer certificate", "Give the authority that issued it as ca_file"),
    ],
)
def test_a_certificate_that_is_not_trusted(reason: str, hint: str) -> None:
    error = requests.exceptions.SSLError(f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason} (_ssl")
    text = told(error)
    assert f"is not trusted: {reason}." in text
    assert hint in text


def test_missing_libraries_are_named() -> None:
    for error in (
        ImportError("GSSAPIProxy requires the Python gssapi library: No module named 'gssapi'"),
        FeatureMissingError(NegotiateOptions.wrapping_winrm),
    ):
        found = diagnose(error, Endpoint(URL, EXCHANGE), REFUSED, Reached.NOTHING)
        assert isinstance(found, ConfigurationError)
        assert "certwright[kerberos]" in found.hint
        assert "libkrb5-dev" in found.hint
    assert "pip install pypsrp" in told(ModuleNotFoundError("x", name="pypsrp"))


def test_errors_of_ours_stay_as_they_are() -> None:
    ours = NotFound("x")
    assert diagnose(ours, Endpoint(URL, EXCHANGE), None, Reached.RUNNING) is ours
