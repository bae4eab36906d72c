"""tls-alpn-01 on loopback: what is presented, whose turn it is, and what is said when it cannot be."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import trustme
from pydantic import ValidationError

from certwright.domain.errors import SolverError
from certwright.probe.observation import Endpoint
from certwright.probe.precheck import wrong_answers
from certwright.probe.tls_alpn01 import look
from certwright.sdk.solver import Challenge
from certwright.solvers.tls_alpn import Params, TlsAlpn
from peers.answers import MemoryAnswers, solver_context, tls_alpn01
from peers.nonsense import closes, nonsense, says, silent
from peers.ports import free_port

HOST = "127.0.0.1"
CHALLENGE = tls_alpn01("mail.contoso.test")


def solver(port: int, answers: MemoryAnswers | None = None, *addresses: str) -> TlsAlpn:
    params = Params(address=addresses or (HOST,), port=port, check_via=f"{HOST}:{port}")
    return TlsAlpn(params, solver_context(answers))


@contextmanager
def presented(tls_alpn: TlsAlpn, challenges: Sequence[Challenge] = (CHALLENGE,)) -> Iterator[None]:
    try:
        tls_alpn.present(challenges)
        yield
    finally:
        tls_alpn.close()
        tls_alpn.clean_up(challenges)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "tls-alpn-01" in thread.name}


@contextmanager
def tls_server(protocols: Sequence[str] = ()) -> Iterator[int]:
    """An ordinary https server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("www.contoso.test").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))

    def behave(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(100)

    with nonsense(behave) as port:
        yield port


def test_each_name_has_its_answer_and_afterwards_nothing_is_left() -> None:
    port, answers = free_port(), MemoryAnswers()
    challenges = [tls_alpn01(f"host{i}.contoso.test", f"token-{i}") for i in range(20)]
    tls_alpn = solver(port, answers)
    with presented(tls_alpn, challenges):
        tls_alpn.check(challenges)
        with pytest.raises(SolverError, match="1 of 1 names") as caught:
            tls_alpn.check([tls_alpn01("unknown.contoso.test")])
    assert "'unrecognized name'" in str(caught.value.causes[0])
    assert answers.held == {}
    assert threads() == set()


def test_several_addresses_of_both_families_are_listened_on() -> None:
    port = free_port()
    address = tls_alpn01("::1")
    with presented(solver(port, None, HOST, "::1"), [CHALLENGE, address]):
        for host in (HOST, "::1"):
            assert wrong_answers([CHALLENGE, address], look, Endpoint(host, port), 5) == []


def test_runs_in_many_threads_share_one_listener() -> None:
    port, answers = free_port(), MemoryAnswers()

    def run(number: int) -> None:
        challenges = [tls_alpn01(f"host{number}.contoso.test", f"token-{number}")]
        for _ in range(3):
            tls_alpn = solver(port, answers)
            with presented(tls_alpn, challenges):
                assert threads() == {f"tls-alpn-01 [{HOST}]:{port} listener"}
                tls_alpn.check(challenges)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(run, range(20)))
    assert threads() == set()
    assert answers.held == {}


def test_a_name_is_proved_by_one_run_after_the_other() -> None:
    port, answers = free_port(), MemoryAnswers()
    names = [f"host{i}.contoso.test" for i in range(3)]
    proved: list[str] = []

    def run(number: int) -> None:
        order = names if number % 2 else names[::-1]
        challenges = [tls_alpn01(name, f"token-{number}") for name in order]
        tls_alpn = solver(port, answers)
        with presented(tls_alpn, challenges):
            tls_alpn.check(challenges)
            proved.append(f"token-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert sorted(proved) == [f"token-{number}" for number in range(4)]
    assert answers.held == {}


def test_what_a_dead_run_left_is_replaced_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.solvers.tls_alpn._TURN_SECONDS", 0.2)
    port, answers, notes = free_port(), MemoryAnswers(), []
    answers.put("tls-alpn-01:mail.contoso.test", "left.behind")

    class Notes:
        def note(self, message: str) -> None:
            notes.append(message)

    params = Params(address=(HOST,), port=port, check_via=f"{HOST}:{port}")
    tls_alpn = TlsAlpn(params, solver_context(answers, Notes()))  # type: ignore[arg-type]
    with presented(tls_alpn):
        tls_alpn.check([CHALLENGE])
    assert notes == ["Another run proves mail.contoso.test just now; it is waited for."]


def test_another_runs_answer_is_not_taken_away() -> None:
    answers = MemoryAnswers()
    answers.put("tls-alpn-01:mail.contoso.test", "another.answer")
    solver(free_port(), answers).clean_up([CHALLENGE])
    assert answers.held == {"tls-alpn-01:mail.contoso.test": "another.answer"}


def test_another_proof_is_told_apart() -> None:
    port = free_port()
    with presented(solver(port)):
        (wrong,) = wrong_answers([tls_alpn01("mail.contoso.test", "other")], look, Endpoint(HOST, port), 5)
    assert "presents the proof of another challenge" in wrong.sentence


@pytest.mark.parametrize("protocols", [(), ("h2", "http/1.1")])
def test_a_web_server_on_the_port_is_named_with_its_program(protocols: tuple[str, ...]) -> None:
    with tls_server(protocols) as port, pytest.raises(SolverError) as caught, presented(solver(port)):
        pytest.fail("the port was taken")
    assert caught.value.message.startswith(f"Port {port} is held by another program")
    assert "(process " in caught.value.message
    assert "certwright validation set CERT tls_alpn --port PORT" in caught.value.hint


def test_an_ordinary_certificate_is_named() -> None:
    with tls_server() as port:
        (wrong,) = wrong_answers([CHALLENGE], look, Endpoint(HOST, port), 5)
    assert "does not speak acme-tls/1: an ordinary TLS server with the certificate 'OU=Testing cert" in wrong.sentence
    assert "proxy that ends TLS" in wrong.remedy


@pytest.mark.parametrize(
    ("behave", "said", "timeout"),
    [
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "which is not TLS", 5),
        (
            says(bytes([21, 3, 3, 0, 2, 2, 120])),
            "refuses the TLS handshake with the alert 'no application protocol'",
            5,
        ),
        (closes, "the connection", 5),
        (silent, "did not finish within", 0.5),
    ],
)
def test_what_is_no_answer_is_told(behave: object, said: str, timeout: float) -> None:
    with nonsense(behave) as port:  # type: ignore[arg-type]
        (wrong,) = wrong_answers([CHALLENGE], look, Endpoint(HOST, port), timeout)
    assert said in wrong.sentence
    assert wrong.remedy


def test_a_name_without_an_address_is_told() -> None:
    (wrong,) = wrong_answers([tls_alpn01("nothing.invalid")], look, None, 5)
    assert wrong.cause == "tls-alpn-name-unresolved"


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("", ()),
        ("192.0.2.1, 2001:DB8::1", ("192.0.2.1", "2001:db8::1")),
        (["192.0.2.1", "192.0.2.1"], ("192.0.2.1",)),
        ("::", ()),
        ("0.0.0.0,::", ()),
        ("0.0.0.0", ("0.0.0.0",)),
        ("0.0.0.0,::1", ("0.0.0.0", "::1")),
    ],
)
def test_addresses_may_be_written_as_a_list_or_with_commas(given: object, means: tuple[str, ...]) -> None:
    assert Params.model_validate({"address": given}).address == means


@pytest.mark.parametrize("address", ["localhost", "0.0.0.0,127.0.0.1", "::,::1", "::,127.0.0.1", "192.0.2.1:443"])
def test_addresses_that_cannot_work_are_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate({"address": address})
