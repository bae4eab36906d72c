"""What the ACME client raises, in words: for each of the authority's problems what to do."""

import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from certwright.acme import errors, problem
from certwright.acme.errors import ValidationFailure
from certwright.acme.identifier import Identifier
from certwright.acme.problem import Problem
from certwright.domain.errors import CertwrightError, ConfigurationError, IssuanceError, OrderDead, Unreachable
from certwright.issuers import acme
from certwright.issuers.acme import Params
from certwright.sdk.journal import SilentJournal
from certwright.sdk.params import read_params
from unit.acme.tcp_server import read_request, serve

URL = "https://ca.test/order/1"
MAIL = Identifier("dns", "mail.contoso.test")


def _refused(kind: str, detail: str = "The authority's own words.", **more: object) -> errors.ServerProblem:
    return errors.ServerProblem(URL, Problem(kind, detail=detail, status=403, **more), None)  # type: ignore[arg-type]


def _in_words(error: errors.AcmeError) -> CertwrightError:
    with pytest.raises((IssuanceError, Unreachable)) as caught, acme._in_our_words("No certificate was issued"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (problem.CAA, "CAA record"),
        (problem.CONNECTION, "port 80"),
        (problem.DNS, "A or AAAA record"),
        (problem.UNAUTHORIZED, "points here"),
        (problem.INCORRECT_RESPONSE, "points here"),
        (problem.TLS, "broken TLS"),
        (problem.REJECTED_IDENTIFIER, "policy"),
        (problem.UNSUPPORTED_IDENTIFIER, "another authority"),
        (problem.EXTERNAL_ACCOUNT_REQUIRED, "--eab-kid"),
        (problem.USER_ACTION_REQUIRED, "Visit the page"),
        (problem.ACCOUNT_DOES_NOT_EXIST, "add the issuer again"),
        (problem.INVALID_CONTACT, "e-mail address"),
        (problem.BAD_CSR, "--key"),
        (problem.SERVER_INTERNAL, "status page"),
    ],
)
def test_every_known_problem_has_a_hint_beside_the_authoritys_words(kind: str, hint: str) -> None:
    validation = errors.OrderInvalid(
        URL, None, [ValidationFailure(MAIL, "http-01", Problem(kind, detail="Own words."))]
    )
    for error in (
        _refused(kind, "Own words."),
        validation,
        errors.OrderInvalid(URL, Problem(kind, detail="Own words."), []),
    ):
        told = _in_words(error)
        assert told.message == "No certificate was issued."
        assert any("Own words." in str(cause) for cause in told.causes)
        assert hint in told.hint
    assert "mail.contoso.test: Own words." in str(_in_words(validation).causes[0])


def test_the_parts_of_a_compound_problem_are_told_each_with_its_name() -> None:
    parts = (
        Problem(problem.CAA, detail="CAA forbids it.", identifier=MAIL),
        Problem(problem.DNS, detail="No such name.", identifier=Identifier("dns", "www.contoso.test")),
    )
    told = _in_words(_refused(problem.COMPOUND, "Several.", subproblems=parts))
    assert "mail.contoso.test: CAA forbids it." in str(told.causes[0])
    assert "www.contoso.test: No such name." in str(told.causes[0])
    assert "CAA record" in told.hint


def test_a_problem_that_nobody_knows_is_told_as_it_is() -> None:
    told = _in_words(_refused("https://ca.test/problems/moon", "The moon is full."))
    assert "The moon is full." in str(told.causes[0])
    assert told.hint == ""


@pytest.mark.parametrize(("seconds", "when"), [(90.0, "0:01:30"), (86400.0, "1 day, 0:00:00")])
def test_a_rate_limit_tells_when(seconds: float, when: str) -> None:
    limit = Problem(problem.RATE_LIMITED, detail="Slow down.")
    told = _in_words(errors.RateLimited(URL, limit, seconds, ["https://ca.test/limits"]))
    assert f"It may be tried again in {when}." in told.message
    assert told.retry_after == timedelta(seconds=seconds)
    assert told.retryable
    assert "https://ca.test/limits" in told.causes


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.ConnectionFailed(URL, "cannot connect: refused"), "could not be reached"),
        (errors.TimedOut(URL, "no complete answer in time"), "could not be reached"),
        (errors.AnswerTooLarge(URL, "larger than 1 byte"), "could not be reached"),
        (errors.NotTrusted(URL, "its certificate is not trusted: it has expired"), "is not trusted"),
        (
            errors.NotTrusted(URL, "it is not trusted: self-signed", signer="CN=Inspection"),
            "is signed by CN=Inspection,",
        ),
        (errors.TLSFailed(URL, "TLS failed: wrong version number"), "no TLS connection"),
    ],
)
def test_what_did_not_answer_is_unreachable_and_can_be_tried_again_unless_a_root_is_missing(
    error: errors.AcmeError, sentence: str
) -> None:
    told = _in_words(error)
    assert isinstance(told, Unreachable)
    assert told.retryable is not bool(isinstance(error, errors.NotTrusted) and error.signer)
    assert sentence in told.message
    assert told.hint


@pytest.mark.parametrize(
    "error",
    [
        errors.DeadlineExceeded("the CA still has the order processing"),
        errors.UnexpectedAnswer("no order in it"),
        errors.ProfileNotOffered("gold", ["classic"]),
        errors.ChallengeNotAnswered(MAIL, ["dns-01"]),
        errors.CertificateMismatch("another key"),
        errors.OrderInvalid(URL, None, []),
    ],
    ids=lambda error: type(error).__name__,
)
def test_everything_else_is_told_too(error: errors.AcmeError) -> None:
    told = _in_words(error)
    assert isinstance(told, IssuanceError)
    assert not isinstance(told, OrderDead)
    assert str(error) in str(told.causes[0])


def test_an_order_is_dead_when_it_failed_is_forgotten_or_is_for_another_key() -> None:
    gone = errors.ServerProblem(URL, Problem(problem.MALFORMED, status=404), None)
    for dead in (errors.OrderInvalid(URL, None, []), errors.CertificateMismatch("another key"), gone):
        assert acme._is_dead(dead, resumed=True)
    for alive in (_refused(problem.UNAUTHORIZED), errors.DeadlineExceeded("later"), None):
        assert not acme._is_dead(alive, resumed=True)


def test_a_fresh_order_is_dead_when_it_failed_or_its_request_is_refused_but_not_for_a_404() -> None:
    refused = (_refused(problem.BAD_CSR), _refused(problem.BAD_PUBLIC_KEY))
    for dead in (errors.OrderInvalid(URL, None, []), *refused):
        assert acme._is_dead(dead, resumed=False)
    gone = errors.ServerProblem(URL, Problem(problem.MALFORMED, status=404), None)
    assert not acme._is_dead(gone, resumed=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("directory", "http://ca.test/directory"),
        ("directory", "https://"),
        ("directory", "https://user:c4nary@ca.test/"),
        ("directory", "https://[::1/"),
        ("directory", "https://ca.test:99999/"),
        ("directory", "https://ca.test:0/"),
        ("directory", "https:// /directory"),
        ("email", "nobody"),
        ("email", "a@localhost"),
        ("email", "a@contoso.test,b@contoso.test"),
        ("email", "a@contoso.test?cc=b@contoso.test"),
        ("agree_tos", "perhaps"),
        ("colour", "blue"),
    ],
)
def test_wrong_parameters_are_named_and_their_values_not_repeated(field: str, value: str) -> None:
    good = {"directory": "https://ca.test/directory", "email": "a@contoso.test"}
    read_params(Params, good, "the issuer")
    with pytest.raises(ConfigurationError) as caught:
        read_params(Params, good | {field: value}, "the issuer")
    told = "\n".join(caught.value.explain())
    assert field in told
    assert "c4nary" not in told


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_address_without_a_directory_is_told_with_what_to_do(said: bytes, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)

    def handle(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(said)

    with serve(handle, context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        params = Params(directory=url, email="a@contoso.test", ca_file=tmp_path / "ca.pem")
        issuer = acme.AcmeIssuer(params, acme.AcmeIssuer.new_account_key(), {}, SilentJournal())
        with pytest.raises(IssuanceError) as caught:
            issuer.register(None)
    assert url in caught.value.message
    assert caught.value.causes
    assert "usually ends in /directory" in caught.value.hint
