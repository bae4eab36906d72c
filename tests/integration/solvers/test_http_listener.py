"""The listener on loopback: what it answers, to whom, and who holds the port when."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from certwright.domain.errors import SolverError
from certwright.listener.http_01 import respond
from certwright.solvers.http_listener import HttpListener, Params
from peers.answers import MemoryAnswers, http01, solver_context
from peers.nonsense import nonsense, says, silent
from peers.ports import free_port

HOST = "127.0.0.1"
PATH = "/.well-known/acme-challenge/"
CHALLENGE = http01("mail.contoso.test")
SECONDS = 10
SOURCES = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])


def solver(port: int, answers: MemoryAnswers | None = None, address: str = HOST) -> HttpListener:
    values = {"address": address, "port": port, "check_via": f"{HOST}:{port}"}
    params = Params.model_validate(values)
    return HttpListener(params, solver_context(answers))


@contextmanager
def presented(listener: HttpListener, *challenges: object) -> Iterator[None]:
    wanted = list(challenges) or [CHALLENGE]
    try:
        listener.present(wanted)  # type: ignore[arg-type]
        yield
    finally:
        listener.close()
        listener.clean_up(wanted)  # type: ignore[arg-type]


def ask(port: int, path: str = PATH + CHALLENGE.token, method: str = "GET", host: str = HOST) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(host, port, timeout=SECONDS)) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()


def answer(port: int, request: bytes) -> bytes:
    """All that the listener says to ``request``."""
    with socket.create_connection((HOST, port), timeout=SECONDS) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "http-01" in thread.name}


def wait_until_answers(port: int) -> None:
    """Once another listener has taken the port; bounded by the connection's and the test's time-outs."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            assert ask(port) == (200, CHALLENGE.key_authorization.encode())
        except ConnectionError:
            time.sleep(0.01)
        else:
            return
    pytest.fail(f"nobody took over port {port}")


def test_it_answers_get_and_head_for_all_its_tokens() -> None:
    port = free_port()
    challenges = [http01(f"host{i}.contoso.test", f"token-{i}") for i in range(50)]
    with presented(solver(port), *challenges):
        for challenge in challenges:
            assert ask(port, PATH + challenge.token) == (200, challenge.key_authorization.encode())
            assert ask(port, PATH + challenge.token, "HEAD") == (200, b"")


def test_the_check_sees_what_is_presented_and_nothing_else() -> None:
    port = free_port()
    listener = solver(port)
    with presented(listener):
        listener.check([CHALLENGE])
        with pytest.raises(SolverError, match="1 of 2 names") as caught:
            listener.check([CHALLENGE, http01("other.contoso.test", "unknown")])
    assert "404 Not Found" in str(caught.value.causes[0])


def test_the_answer_of_any_other_process_is_served_too() -> None:
    """All that counts is the store."""
    port, answers = free_port(), MemoryAnswers()
    with presented(solver(port, answers)):
        answers.put("from-elsewhere", "from-elsewhere.thumbprint")
        assert ask(port, PATH + "from-elsewhere") == (200, b"from-elsewhere.thumbprint")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", PATH),
        ("GET", PATH + "unknown"),
        ("GET", PATH + CHALLENGE.token + "/"),
        ("GET", PATH + CHALLENGE.token + "?x"),
        ("GET", PATH + "../" + CHALLENGE.token),
        ("GET", PATH + "%74ok-EN_1"),
        ("GET", "/.well-known//acme-challenge/" + CHALLENGE.token),
        ("POST", PATH + CHALLENGE.token),
        ("DELETE", PATH + CHALLENGE.token),
    ],
)
def test_everything_else_is_not_found_and_says_no_more(method: str, path: str) -> None:
    said = respond(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), {CHALLENGE.token: "secret"}.get)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert body == b""
    assert b"server" not in head.lower()


def test_the_absolute_form_is_understood() -> None:
    said = respond(b"GET http://mail.contoso.test/.well-known/acme-challenge/t HTTP/1.0\r\n\r\n", {"t": "t.x"}.get)
    assert said.endswith(b"\r\n\r\nt.x")


def test_a_store_that_fails_is_not_there_for_now() -> None:
    def fail(_: str) -> str | None:
        raise OSError("database is locked")

    assert respond(f"GET {PATH}t HTTP/1.1\r\n\r\n".encode(), fail).startswith(b"HTTP/1.1 503 ")


TOKENS = st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True)
PIECES = st.sampled_from(
    [b"GET ", b"HEAD ", PATH.encode(), b"token", b" HTTP/1.1", b"\r\n", b"\n", b":", b"\x00", b"Host: x"]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=40).map(b"".join))
@example(b"")
@example(b"\r\n\r\n")
@example(b"GET " + b"a" * 9000)
@example(f"GET {PATH}token HTTP/1.1\r\n".encode() + b"x: y\r\n" * 2000 + b"\r\n")
def test_any_head_gets_one_well_formed_response(head: bytes) -> None:
    asked: list[str] = []

    def lookup(token: str) -> str:
        asked.append(token)
        return "the answer"

    said, _, body = respond(head, lookup).partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.1 (200|400|404|431) ", said)
    assert found
    assert (found[1] == b"200") == bool(asked)
    assert body in (b"", b"the answer")
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", token) for token in asked)


@given(TOKENS, st.lists(st.from_regex(r"[A-Za-z-]{1,10}: [ -~]{0,20}", fullmatch=True), max_size=5))
def test_every_token_is_found_whatever_the_headers(token: str, headers: list[str]) -> None:
    head = "\r\n".join([f"GET {PATH}{token} HTTP/1.1", *headers, "", ""]).encode()
    said = respond(head, {token: f"{token}.thumbprint"}.get)
    assert said.endswith(f"\r\n\r\n{token}.thumbprint".encode())
    assert f"Content-Length: {len(token) + 11}\r\n".encode() in said


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"get / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 10_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 3000 + b"\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"404"),
    ],
)
def test_malformed_requests_on_the_wire(request_bytes: bytes, status: bytes) -> None:
    port = free_port()
    with presented(solver(port)):
        assert answer(port, request_bytes).split()[1] == status


def test_a_request_may_come_in_pieces() -> None:
    port = free_port()
    with presented(solver(port)), socket.create_connection((HOST, port), timeout=SECONDS) as connection:
        for byte in f"GET {PATH}{CHALLENGE.token} HTTP/1.1\r\n\r\n".encode():
            connection.sendall(bytes([byte]))
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert said.endswith(CHALLENGE.key_authorization.encode())


def test_who_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.listener.server._HEARING_SECONDS", 0.2)
    port = free_port()
    with presented(solver(port)):
        assert answer(port, b"") == b""
        assert answer(port, b"GET / HTTP/1.1\r\n") == b""


def test_many_who_say_nothing_do_not_keep_others_out() -> None:
    port = free_port()
    with presented(solver(port)):
        idle = [socket.create_connection((HOST, port), timeout=SECONDS) for _ in range(200)]
        try:
            assert ask(port)[0] == 200
        finally:
            for connection in idle:
                connection.close()


@pytest.mark.parametrize("address", ["", "::"])
def test_ipv4_and_ipv6_are_both_answered(address: str) -> None:
    port = free_port()
    with presented(solver(port, address=address)):
        assert ask(port, host=HOST)[0] == ask(port, host="::1")[0] == 200


@pytest.mark.parametrize(("address", "other"), [("::1", HOST), (HOST, "::1")])
def test_an_address_is_the_only_one_that_is_answered(address: str, other: str) -> None:
    port = free_port(address)
    with presented(solver(port, address=address)):
        assert ask(port, host=address)[0] == 200
        with pytest.raises(ConnectionRefusedError):
            ask(port, host=other)


def test_several_addresses_are_answered_and_no_other() -> None:
    port = free_port()
    with presented(solver(port, address=f"{HOST},::1")):
        assert ask(port)[0] == ask(port, host="::1")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            ask(port, host="127.0.0.2")
    assert threads() == set()


def test_if_one_of_several_addresses_cannot_be_had_none_is_kept() -> None:
    port = free_port()
    with pytest.raises(SolverError, match=r"192\.0\.2\.1"), presented(solver(port, address=f"{HOST},192.0.2.1")):
        pytest.fail("one address is not ours")
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_many_runs_in_threads_share_one_listener_that_ends_with_the_last() -> None:
    port, answers = free_port(), MemoryAnswers()

    def run(number: int) -> list[int]:
        challenge = http01(f"host{number}.contoso.test", f"token-{number}")
        seen = []
        for _ in range(5):
            with presented(solver(port, answers), challenge):
                assert len(threads()) == 1
                seen.append(ask(port, PATH + challenge.token)[0])
        return seen

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(run, range(20))) == [[200] * 5] * 20
    assert threads() == set()
    assert answers.held == {}


def test_after_cleaning_up_nothing_is_left() -> None:
    port, answers = free_port(), MemoryAnswers()
    before = threads()
    listener = solver(port, answers)
    with presented(listener):
        assert threads() > before
    assert threads() == before
    assert answers.held == {}
    with pytest.raises(ConnectionRefusedError):
        ask(port)
    listener.close()
    listener.clean_up([CHALLENGE])


def test_who_has_come_before_the_end_is_still_answered() -> None:
    port, answers = free_port(), MemoryAnswers()
    listener = solver(port, answers)
    listener.present([CHALLENGE])
    answers.put("from-elsewhere", "from-elsewhere.thumbprint")
    waiting = [socket.create_connection((HOST, port), timeout=SECONDS) for _ in range(20)]
    for connection in waiting:
        connection.sendall(f"GET {PATH}from-elsewhere HTTP/1.1\r\n\r\n".encode())
    listener.close()
    for connection in waiting:
        with connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_runs_of_one_process_share_the_listener() -> None:
    port, one, two = free_port(), MemoryAnswers(), MemoryAnswers()
    second = http01("second.contoso.test", "second")
    with presented(solver(port, two), second):
        with presented(solver(port, one)):
            assert ask(port)[0] == ask(port, PATH + "second")[0] == 200
        assert ask(port)[0] == 404
        assert ask(port, PATH + "second")[0] == 200


OTHER_PROCESS = f"""
import sys
from peers.answers import *
from certwright.solvers.http_listener import *
answers = MemoryAnswers()
answers.put({CHALLENGE.token!r}, {CHALLENGE.key_authorization!r})
listener = HttpListener(Params(address=("{HOST}",), port=int(sys.argv[1])), solver_context(answers))
listener.present([http01("x.contoso.test", "other")])
print("ready", flush=True)
sys.stdin.readline()
listener.close()
"""


@contextmanager
def other_process(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Certwright process that holds the port, with the same answers in its store."""
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", OTHER_PROCESS, str(port)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_listener_of_another_process_is_joined_and_nobody_notices_when_it_leaves() -> None:
    port = free_port()
    leave, seen = threading.Event(), []

    def visit(times: int) -> None:
        for _ in range(times):
            seen.append(ask(port))
            leave.set()

    with other_process(port) as other, presented(solver(port)):
        assert threads() == {f"http-01 [{HOST}]:{port} listener"}
        visitors = [threading.Thread(target=visit, args=(200,)) for _ in range(4)]
        for visitor in visitors:
            visitor.start()
        assert leave.wait(SECONDS)
        other.communicate(b"\n", timeout=SECONDS)
        for visitor in visitors:
            visitor.join()
    assert seen == [(200, CHALLENGE.key_authorization.encode())] * 800
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_the_port_is_handed_on_as_often_as_processes_come_and_go() -> None:
    port = free_port()
    with other_process(port) as first, other_process(port) as second:
        first.communicate(b"\n", timeout=SECONDS)
        with other_process(port) as third, presented(solver(port)):
            second.communicate(b"\n", timeout=SECONDS)
            third.kill()
            third.wait(SECONDS)
            assert [ask(port)[0] for _ in range(20)] == [200] * 20


def test_another_user_gets_nothing() -> None:
    if os.geteuid():
        pytest.skip("only root can be another user")
    port = free_port()
    with presented(solver(port)):
        name = f"\0certwright 0 http-01 [{HOST}]:{port}"
        steal = f"import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect({name!r})\n"
        steal += "print(socket.recv_fds(s, 1, 2)[:2])"
        done = subprocess.run([sys.executable, "-c", steal], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "(b'', [])\n"


def test_a_listener_of_another_process_that_cannot_share_is_succeeded() -> None:
    port = free_port()
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(f"\0certwright {os.geteuid()} http-01 [{HOST}]:{port}")
        _is_succeeded(port)


def _is_succeeded(port: int) -> None:
    with other_process(port) as other, presented(solver(port)):
        assert threads() == {f"http-01 [{HOST}]:{port} successor"}
        assert ask(port)[0] == 200
        other.communicate(b"\n", timeout=SECONDS)
        wait_until_answers(port)
    assert threads() == set()
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_a_listener_of_another_process_may_outlive_us() -> None:
    port = free_port()
    with other_process(port):
        with presented(solver(port)):
            assert ask(port)[0] == 200
        assert threads() == set()
        assert ask(port)[0] == 200


def test_a_web_server_on_the_port_is_named() -> None:
    page = b"HTTP/1.1 404 Not Found\r\nServer: Microsoft-IIS/10.0\r\nContent-Length: 0\r\n\r\n"
    with nonsense(says(page)) as port, pytest.raises(SolverError) as caught, presented(solver(port)):
        pytest.fail("the port was taken")
    here = f"(process {os.getpid()})"
    assert caught.value.message.startswith(f"Port {port} is held by another program: Microsoft-IIS/10.0, ")
    assert caught.value.message.endswith(f"{here}.")
    assert "If it is a web server" in caught.value.hint
    assert "certwright validation set CERT webroot --path FOLDER" in caught.value.hint
    assert f"Microsoft-IIS/10.0 at {HOST}:{port} answers 404 Not Found." in str(caught.value.causes[0])


def test_a_listener_with_another_store_is_another_program() -> None:
    port = free_port()
    with presented(solver(port), http01("x.contoso.test", "other")):
        foreign = HttpListener(Params(port=port), solver_context())
        with pytest.raises(SolverError, match="is held by another program"), presented(foreign):
            pytest.fail("the port was taken")


@pytest.mark.parametrize("other", ["127.0.0.2", "::1"])
def test_a_port_that_is_held_at_another_address_is_told_with_the_way_round(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("certwright.listener.stand._HANDOVER_SECONDS", 0.1)
    port = free_port()
    family = socket.AF_INET6 if ":" in other else socket.AF_INET
    with socket.create_server((other, port), family=family):
        with pytest.raises(SolverError) as caught, presented(solver(port, address="")):
            pytest.fail("the port was taken")
        with presented(solver(port)):
            assert ask(port)[0] == 200
    assert caught.value.message.startswith(f"Port {port} of {other} is held by another program: ")
    told = "\n".join(caught.value.explain())
    assert "no program listens" not in told
    assert "certwright validation set CERT http_listener --address ADDRESS" in told
    assert "certwright validation set CERT webroot --path FOLDER" in told


def test_a_web_server_at_this_address_alone_is_told_with_the_way_round() -> None:
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with nonsense(says(page)) as port, pytest.raises(SolverError) as caught, presented(solver(port, address="")):
        pytest.fail("the port was taken")
    assert f"Port {port} of {HOST} is held" in caught.value.message
    assert "answers 404" in str(caught.value.causes[0])
    assert "--address ADDRESS" in caught.value.hint


def test_a_port_that_somebody_has_without_listening_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.listener.stand._HANDOVER_SECONDS", 0.1)
    port = free_port()
    with socket.socket() as bound:
        bound.bind((HOST, port))
        with pytest.raises(SolverError, match=f"Port {port} is held") as caught, presented(solver(port)):
            pytest.fail("the port was taken")
    assert "without listening" in str(caught.value.causes[0])
    assert "--address" not in caught.value.hint


def test_something_that_does_not_speak_http_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with nonsense(says(b"SSH-2.0-x\r\n")) as port, pytest.raises(SolverError) as caught, presented(solver(port)):
        pytest.fail("the port was taken")
    assert "does not speak HTTP" in str(caught.value.causes[0])


def test_something_silent_on_the_port_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.listener.listening._ASK_SECONDS", 0.2)
    with nonsense(silent) as port, pytest.raises(SolverError, match="another program"), presented(solver(port)):
        pytest.fail("the port was taken")


def test_a_port_that_is_just_being_let_go_is_taken() -> None:
    """A socket that is bound but does not listen: refused, and in use."""
    port = free_port()
    bound = socket.socket()
    bound.bind((HOST, port))
    threading.Timer(0.3, bound.close).start()
    with presented(solver(port)):
        assert ask(port)[0] == 200


def test_a_foreign_address_is_refused_in_words() -> None:
    with pytest.raises(SolverError) as caught, presented(solver(free_port(), address="192.0.2.1")):
        pytest.fail("the address is not ours")
    assert "192.0.2.1" in caught.value.message
    assert "this machine" in caught.value.hint


def test_a_port_that_needs_privileges_says_which() -> None:
    """Without the capability, even root may not."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        pytest.skip("any user of this machine may listen on any port")
    script = (
        "from peers.answers import *\n"
        "from certwright.domain.errors import SolverError\n"
        "from certwright.solvers.http_listener import *\n"
        "try:\n"
        f"    listener = HttpListener(Params(address=('{HOST}',), port=81), solver_context())\n"
        "    listener.present([http01('x.contoso.test')])\n"
        "except SolverError as error:\n"
        "    print(*error.explain(), sep='\\n')\n"
    )
    drop = ["setpriv", "--inh-caps=-net_bind_service", "--bounding-set=-net_bind_service"]
    done = subprocess.run(
        [*(drop if os.geteuid() == 0 else []), sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "CAP_NET_BIND_SERVICE" in done.stdout
    assert "setcap cap_net_bind_service=+ep " in done.stdout
    assert "ip_unprivileged_port_start=81" in done.stdout


@pytest.mark.parametrize(
    "values", [{"port": 0}, {"port": 65536}, {"address": "localhost"}, {"check_via": "nowhere"}, {"portt": 80}]
)
def test_parameters_that_cannot_work_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate(values)


def test_the_check_can_be_turned_off() -> None:
    notes: list[str] = []

    class Notes:
        def note(self, message: str) -> None:
            notes.append(message)

    context = solver_context(journal=Notes())  # type: ignore[arg-type]
    HttpListener(Params(precheck=False), context).check([CHALLENGE])
    (note,) = notes
    assert note.startswith("The answers were not looked at first, as was chosen")
