import itertools
import os
import socket
import stat
import threading
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from certwright.domain.errors import SolverError
from certwright.domain.identifiers import Identifier
from certwright.probe import iis
from certwright.sdk.solver import Challenge
from certwright.solvers.webroot import Params, Webroot
from certwright.targets.folder import Folder
from peers.answers import OutstandingInMemory, http01, solver_context
from peers.nonsense import Behaviour, nonsense

CHALLENGE = http01("mail.contoso.test")


def solver(root: Path, **paths: Path) -> Webroot:
    return Webroot(
        Params(path=root, paths={f"{name}.contoso.test": path for name, path in paths.items()}), solver_context()
    )


def answer(root: Path, token: str = CHALLENGE.token) -> Path:
    return root / ".well-known" / "acme-challenge" / token


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_an_answer_is_a_file_that_the_web_server_may_read(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        solver(tmp_path).present([CHALLENGE])
    finally:
        os.umask(previous)
    assert answer(tmp_path).read_text() == CHALLENGE.key_authorization
    assert stat.S_IMODE(answer(tmp_path).stat().st_mode) == 0o644
    for folder in (answer(tmp_path).parent, answer(tmp_path).parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert everything(tmp_path) == {
        ".well-known",
        ".well-known/acme-challenge",
        f".well-known/acme-challenge/{CHALLENGE.token}",
    }


def test_afterwards_the_folder_is_as_it_was(tmp_path: Path) -> None:
    webroot = solver(tmp_path)
    challenges = [http01(f"host{i}.contoso.test", f"token-{i}") for i in range(5)]
    webroot.present(challenges)
    webroot.clean_up(challenges)
    webroot.clean_up(challenges)
    assert everything(tmp_path) == set()


@pytest.mark.parametrize("before", [".well-known", ".well-known/acme-challenge", ".well-known/acme-challenge/other"])
def test_what_was_there_stays(before: str, tmp_path: Path) -> None:
    (tmp_path / before).mkdir(parents=True)
    (tmp_path / before).chmod(0o700)
    there = everything(tmp_path)
    webroot = solver(tmp_path)
    webroot.present([CHALLENGE])
    webroot.clean_up([CHALLENGE])
    assert everything(tmp_path) == there
    assert stat.S_IMODE((tmp_path / before).stat().st_mode) == 0o700


def test_an_answer_left_by_a_crash_is_replaced_and_removed(tmp_path: Path) -> None:
    solver(tmp_path).present([CHALLENGE])
    again = solver(tmp_path)
    again.present([CHALLENGE])
    again.clean_up([CHALLENGE])
    assert not answer(tmp_path).exists()


def test_a_crashed_run_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    solver(tmp_path).present([CHALLENGE])
    solver(tmp_path).clean_up([CHALLENGE])
    assert not answer(tmp_path).exists()


def test_what_stands_is_remembered_until_it_is_gone(tmp_path: Path) -> None:
    outstanding = OutstandingInMemory()
    webroot = Webroot(Params(path=tmp_path), solver_context(outstanding=outstanding))
    other = http01("www.contoso.test", "other")
    webroot.present([CHALLENGE, other])
    assert outstanding.held == [CHALLENGE, other]
    answer(tmp_path).unlink()
    answer(tmp_path).mkdir()
    with pytest.raises(SolverError, match="1 of 2 answers") as caught:
        webroot.clean_up([CHALLENGE, other])
    assert str(answer(tmp_path)) in str(caught.value.causes[0])
    assert outstanding.held == [CHALLENGE]
    answer(tmp_path).rmdir()
    webroot.clean_up([CHALLENGE])
    assert outstanding.held == []


def test_what_could_not_be_written_is_remembered_as_well(tmp_path: Path) -> None:
    outstanding = OutstandingInMemory()
    webroot = Webroot(Params(path=tmp_path / "missing"), solver_context(outstanding=outstanding))
    with pytest.raises(SolverError):
        webroot.present([CHALLENGE])
    assert outstanding.held == [CHALLENGE]
    webroot.clean_up([CHALLENGE])
    assert outstanding.held == []


@pytest.mark.parametrize("content", [b"somebody else's", b"\xff\xfe"])
def test_a_file_that_is_not_ours_is_left(content: bytes, tmp_path: Path) -> None:
    answer(tmp_path).parent.mkdir(parents=True)
    answer(tmp_path).write_bytes(content)
    solver(tmp_path).clean_up([CHALLENGE])
    assert answer(tmp_path).read_bytes() == content


def test_names_may_have_sites_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "mail").mkdir()
    webroot = solver(tmp_path / "www", mail=tmp_path / "mail")
    challenges = [CHALLENGE, http01("www.contoso.test", "other")]
    webroot.present(challenges)
    assert answer(tmp_path / "mail").exists()
    assert answer(tmp_path / "www", "other").exists()
    webroot.clean_up(challenges)
    assert everything(tmp_path) == {"www", "mail"}


@pytest.mark.parametrize("typed", ["Mail.Contoso.Test", "mail.contoso.test.", " mail.contoso.test"])
def test_a_name_with_a_site_of_its_own_is_known_however_it_is_typed(typed: str, tmp_path: Path) -> None:
    params = Params(path=tmp_path / "www", paths={typed: tmp_path})
    Webroot(params, solver_context()).present([CHALLENGE])
    assert answer(tmp_path).exists()
    assert params.model_dump(mode="json")["paths"] == {"mail.contoso.test": str(tmp_path)}


@pytest.mark.parametrize("link", [".well-known", ".well-known/acme-challenge"])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_out_of_the_folder_is_not_followed(link: str, dangling: bool, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside)
    if not dangling:
        outside.mkdir()
    with pytest.raises(SolverError) as caught:
        solver(root).present([CHALLENGE])
    assert "leads out of it" in str(caught.value.causes[0])
    assert everything(outside) == set()
    assert outside.exists() is not dangling


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".well-known").symlink_to("elsewhere")
    solver(tmp_path).present([CHALLENGE])
    assert (tmp_path / "elsewhere" / "acme-challenge" / CHALLENGE.token).exists()


def test_a_link_in_the_place_of_the_answer_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    answer(tmp_path / "root").parent.mkdir(parents=True)
    answer(tmp_path / "root").symlink_to(victim)
    solver(tmp_path / "root").present([CHALLENGE])
    assert victim.read_text() == "precious"
    assert answer(tmp_path / "root").read_text() == CHALLENGE.key_authorization


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda root: None, "there is no such folder"),
        (lambda root: root.write_text("a file"), "there is no such folder"),
        (lambda root: (root.mkdir(), (root / ".well-known").write_text("a file")), "Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_written_is_named(make: object, reason: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(root)  # type: ignore[operator]
    with pytest.raises(SolverError, match="1 of 1 answers could not be written") as caught:
        solver(root).present([CHALLENGE])
    (cause,) = caught.value.causes
    assert reason in str(cause)
    assert str(root) in str(cause)
    assert "mail.contoso.test" in str(cause)


def test_every_name_that_fails_is_told(tmp_path: Path) -> None:
    webroot = solver(tmp_path, mail=tmp_path / "missing", www=tmp_path / "missing too")
    challenges = [CHALLENGE, http01("www.contoso.test", "2"), http01("good.contoso.test", "3")]
    with pytest.raises(SolverError, match="2 of 3") as caught:
        webroot.present(challenges)
    assert len(caught.value.causes) == 2
    webroot.clean_up(challenges)
    assert everything(tmp_path) == set()


def web_config(root: Path) -> Path:
    return root / ".well-known" / "acme-challenge" / "web.config"


@pytest.mark.parametrize("sign", ["web.config", "Web.Config", "iisstart.htm"])
def test_in_a_folder_of_iis_a_web_config_lies_beside_the_answers(sign: str, tmp_path: Path) -> None:
    (tmp_path / sign).touch()
    webroot = solver(tmp_path)
    webroot.present([CHALLENGE])
    settings = ET.parse(web_config(tmp_path)).getroot().find("system.webServer")
    assert settings is not None
    assert [child.tag for child in settings] == ["httpRedirect", "staticContent", "handlers"]
    assert settings.find("staticContent/mimeMap[@fileExtension='.']") is not None
    webroot.clean_up([CHALLENGE])
    assert everything(tmp_path) == {sign}


def test_elsewhere_there_is_none(tmp_path: Path) -> None:
    solver(tmp_path).present([CHALLENGE])
    assert not web_config(tmp_path).exists()


@pytest.mark.parametrize("content", ["<configuration />", iis.WEB_CONFIG, "\u00fc"])
def test_a_web_config_that_is_not_ours_stays(content: str, tmp_path: Path) -> None:
    (tmp_path / "iisstart.htm").touch()
    web_config(tmp_path).parent.mkdir(parents=True)
    web_config(tmp_path).write_text(content)
    webroot = solver(tmp_path)
    webroot.present([CHALLENGE])
    assert web_config(tmp_path).read_text() == content
    webroot.clean_up([CHALLENGE])
    assert web_config(tmp_path).read_text() == content


def test_the_web_config_stays_until_the_last_answer_is_gone(tmp_path: Path) -> None:
    (tmp_path / "iisstart.htm").touch()
    one, two = solver(tmp_path), solver(tmp_path)
    other = http01("other.contoso.test", "other")
    one.present([CHALLENGE])
    two.present([other])
    one.clean_up([CHALLENGE])
    assert web_config(tmp_path).exists()
    two.clean_up([other])
    one.clean_up([CHALLENGE])
    assert everything(tmp_path) == {"iisstart.htm"}


def test_a_web_config_that_a_crash_left_is_removed_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "iisstart.htm").touch()
    solver(tmp_path).present([CHALLENGE])
    answer(tmp_path).unlink()
    again = solver(tmp_path)
    again.present([CHALLENGE])
    again.clean_up([CHALLENGE])
    assert not web_config(tmp_path).exists()


@given(st.text(max_size=30).filter(lambda t: not t.replace("-", "a").replace("_", "a").isalnum() or not t.isascii()))
def test_a_token_that_is_no_token_touches_no_file(tmp_path_factory: pytest.TempPathFactory, token: str) -> None:
    root = tmp_path_factory.mktemp("root")
    challenge = Challenge(Identifier.parse("mail.contoso.test"), "http-01", token, "x")
    with pytest.raises(SolverError):
        solver(root).present([challenge])
    solver(root).clean_up([challenge])
    assert everything(root) == set()


def test_runs_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    (tmp_path / "iisstart.htm").touch()

    def run(number: int) -> None:
        challenge = http01("mail.contoso.test", f"token-{number}")
        try:
            for _ in range(50):
                webroot = solver(tmp_path)
                webroot.present([challenge])
                assert answer(tmp_path, challenge.token).read_text() == challenge.key_authorization
                webroot.clean_up([challenge])
        except BaseException as error:  # noqa: BLE001 - to be seen by the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert not web_config(tmp_path).exists()


def test_what_another_run_has_begun_to_write_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "iisstart.htm").touch()
    tidy, begun = Folder.tidy, list[Path]()

    def meanwhile(folder: Folder, name: str) -> None:
        tidy(folder, name)
        if name == "web.config" and not begun:
            begun.append(folder.path / ".web.config.certwright")
            begun[0].touch()

    monkeypatch.setattr(Folder, "tidy", meanwhile)
    challenge = http01("mail.contoso.test", "token")
    solver(tmp_path).present([challenge])
    assert answer(tmp_path, challenge.token).read_text() == challenge.key_authorization
    assert web_config(tmp_path).exists()
    assert begun
    assert not begun[0].exists()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"path": "relative"},
        {"path": "/srv", "paths": {"x": "relative"}},
        {"path": "/", "x": 1},
        {"path": "/", "paths": {"no name": "/srv"}},
        {"path": "/", "paths": {"*.contoso.test": "/srv"}},
        {"path": "/", "paths": {"mail.contoso.test": "/a", "Mail.contoso.test.": "/b"}},
    ],
)
def test_parameters_that_cannot_work_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate(values)


def copying(root: Path, looks: int) -> Behaviour:
    """A server of a farm, which has its copy of the folder once it was asked so many times."""
    asked = itertools.count()

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(8192)
        body = answer(root).read_bytes() if next(asked) >= looks else None
        head = b"HTTP/1.1 404 Not Found" if body is None else b"HTTP/1.1 200 OK"
        connection.sendall(b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body or b""), body or b""))

    return behave


def test_a_copy_of_the_folder_may_come_later(tmp_path: Path) -> None:
    with nonsense(copying(tmp_path, looks=8)) as port:  # a wrong answer is looked at four times at once
        via = f"127.0.0.1:{port}"
        patient = Webroot(Params(path=tmp_path, check_via=via, timeout=600), solver_context())
        patient.present([CHALLENGE])
        patient.check([CHALLENGE])
    with nonsense(copying(tmp_path, looks=8)) as port, pytest.raises(SolverError):
        Webroot(Params(path=tmp_path, check_via=f"127.0.0.1:{port}"), solver_context()).check([CHALLENGE])
