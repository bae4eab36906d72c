"""Programs are run as it is documented: without a shell, bounded, told apart, and from allowed places alone."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from certwright.dns.script import Params, Script
from certwright.domain.errors import CertwrightError, ConfigurationError, SolverError
from certwright.sdk.dns import DnsContext, TxtRecord
from certwright.sdk.journal import Step
from certwright.sdk.places import Places
from peers.answers import KeptInMemory

ZONE = "contoso.com"
RECORD = TxtRecord("_acme-challenge.mail.contoso.com", "-abc_DEF")
SECRET = "s3cret /&%=ü"
RECORDER = """#!/bin/sh
{ echo "$CERTWRIGHT_ACTION"; printf '<%s>' "$@"; echo; env; } >> "$(dirname "$0")/asked"
"""


@dataclass
class Told:
    """A journal that is kept."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        self.note(title)
        yield self

    def note(self, message: str) -> None:
        self.lines.append(message)

    def skip(self, reason: str) -> None:
        self.lines.append(reason)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scripts"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def journal() -> Told:
    return Told()


Make = Callable[..., Script]


@pytest.fixture
def make(folder: Path, journal: Told) -> Make:
    """A provider whose one program has this text."""

    def made(text: str, *, folders: tuple[Path, ...] = (folder,), **params: Any) -> Script:
        program = write(folder / "records.sh", text)
        read = Params.model_validate({"create": str(program), "delete": str(program), **params})
        return Script(read, DnsContext("own", journal, KeptInMemory(), lambda: datetime.now(UTC), Places(folders)))

    return made


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_record_comes_as_arguments_and_the_secret_in_the_environment(
    make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERTWRIGHT_MASTER_KEY", "the master key")
    monkeypatch.setenv("AWS_PROFILE", "certificates")
    script = make(RECORDER, secret=SECRET)
    script.add(ZONE, [RECORD])
    script.remove(ZONE, [RECORD])
    asked = (folder / "asked").read_text()
    arguments = "<_acme-challenge.mail.contoso.com><-abc_DEF><contoso.com><_acme-challenge.mail>"
    assert f"create\n{arguments}\n" in asked
    assert f"delete\n{arguments}\n" in asked
    assert f"CERTWRIGHT_SECRET={SECRET}\n" in asked
    assert "AWS_PROFILE=certificates\n" in asked
    assert "the master key" not in asked


def test_what_stands_at_the_zone_itself_is_called_at(make: Make, folder: Path) -> None:
    make(RECORDER).add(ZONE, [TxtRecord(ZONE, "value")])
    assert "<contoso.com><value><contoso.com><@>\n" in (folder / "asked").read_text()


def test_no_shell_reads_a_name(make: Make, folder: Path) -> None:
    make(RECORDER).add(ZONE, [TxtRecord("$(touch x);`id`|*.contoso.com", "value")])
    assert "<$(touch x);`id`|*.contoso.com>" in (folder / "asked").read_text()


def test_what_is_printed_is_in_the_journal_without_the_secret(make: Make, journal: Told) -> None:
    script = make(
        '#!/bin/sh\necho "token=$CERTWRIGHT_SECRET url=?t=s3cret+%2F%26%25%3D%C3%BC"\nprintf "\\033[2J" >&2\n'
    )
    script = make((script.params.create).read_text(), secret=SECRET)
    script.add(ZONE, [RECORD])
    assert journal.lines[1:] == ["token=*** url=?t=***", ".[2J"]


def test_much_output_is_cut_to_its_last_whole_lines(make: Make, journal: Told) -> None:
    make('#!/bin/sh\nyes "$CERTWRIGHT_SECRET" | head -n 50000\necho the end\n', secret=SECRET).add(ZONE, [RECORD])
    assert len(journal.lines) == 21
    assert journal.lines[-1] == "the end"
    make('#!/bin/sh\nyes "$CERTWRIGHT_SECRET" | tr -d "\\n" | head -c 1000000\n', secret=SECRET).add(ZONE, [RECORD])
    assert not any("s3" in line or "cret" in line for line in journal.lines)


def test_a_status_that_is_not_0_is_a_failure_with_what_was_said(make: Make, folder: Path) -> None:
    with pytest.raises(SolverError) as raised:
        make("#!/bin/sh\necho no such zone\nexit 7\n").add(ZONE, [RECORD])
    told = "\n".join(raised.value.explain())
    assert "ended with status 7" in told
    assert "no such zone" in told
    by_hand = f"CERTWRIGHT_ACTION=create {folder}/records.sh _acme-challenge.mail.contoso.com -abc_DEF contoso.com"
    assert f"Run it by hand: {by_hand}" in told
    assert "CERTWRIGHT_SECRET" not in told


def test_how_to_run_it_by_hand_is_told_without_the_secret(make: Make) -> None:
    for text in ("exit 7", "sleep 600"):
        with pytest.raises(SolverError) as raised:
            make(f"#!/bin/sh\n{text}\n", secret=SECRET, timeout=0.5).remove(ZONE, [RECORD])
        told = "\n".join(raised.value.explain())
        assert "CERTWRIGHT_ACTION=delete CERTWRIGHT_SECRET=... /" in told
        assert "the credential 'own'" in told
        assert SECRET not in told


def test_a_signal_is_told_from_a_status(make: Make) -> None:
    with pytest.raises(SolverError, match="ended with signal 9"):
        make("#!/bin/sh\nkill -9 $$\n").add(ZONE, [RECORD])


@pytest.mark.parametrize(
    "text",
    [
        "sleep 600",
        "sleep 600 & echo $! > $(dirname $0)/child; wait",
        "exec >&- 2>&-; sleep 600",
    ],
    ids=["slow", "waits for a child", "closed its output"],
)
def test_what_takes_too_long_is_ended_with_all_that_it_started(make: Make, folder: Path, text: str) -> None:
    with pytest.raises(SolverError, match=r"took longer than 0\.5 s"):
        make(f"#!/bin/sh\n{text}\n", timeout=0.5).add(ZONE, [RECORD])
    _await_children(folder)


def test_a_program_has_ended_whatever_it_leaves_in_the_background(make: Make, folder: Path, journal: Told) -> None:
    make("#!/bin/sh\nsleep 600 & echo $! > $(dirname $0)/child\necho done\n").add(ZONE, [RECORD])
    assert journal.lines[-1] == "done"
    assert (folder / "child").exists()
    _await_children(folder)
    with pytest.raises(SolverError, match="ended with status 3"):
        make("#!/bin/sh\nsleep 600 & echo $! > $(dirname $0)/child\nexit 3\n").add(ZONE, [RECORD])
    _await_children(folder)


def _await_children(folder: Path) -> None:
    """Return once those are gone that a program has left."""
    started = folder / "child"
    numbers = started.read_text().split() if started.exists() else []  # none yet, where the machine is slow
    for number in numbers:
        _await_end(Path("/proc") / number / "stat")


def _await_end(stat: Path) -> None:
    """Return once the process is gone, or only waits to be buried."""
    end = time.monotonic() + 10
    while stat.exists():
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        assert time.monotonic() < end, f"{stat.parent} still runs"
        time.sleep(0.01)


def test_records_behind_one_that_cannot_be_deleted_are_deleted(make: Make, folder: Path) -> None:
    script = make(f'{RECORDER}[ "$2" = gone ]\n')
    records = [TxtRecord(RECORD.name, value) for value in ("one", "two", "gone")]
    with pytest.raises(SolverError, match="2 of 3 records could not be deleted"):
        script.remove(ZONE, records)
    assert (folder / "asked").read_text().count("delete\n<") == 3


def test_the_check_names_the_programs(make: Make, folder: Path) -> None:
    assert make(RECORDER).check() == f"{folder / 'records.sh'} may be run."


def test_a_program_elsewhere_is_refused(make: Make, folder: Path, tmp_path: Path) -> None:
    for folders in [(), (tmp_path / "other",), (tmp_path / "script",)]:
        with pytest.raises(ConfigurationError, match="in none of the script folders") as raised:
            make(RECORDER, folders=folders)
        assert "CERTWRIGHT_SCRIPT_FOLDERS" in raised.value.hint


def test_a_link_counts_as_where_it_leads(make: Make, folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.sh", RECORDER)
    (folder / "link.sh").symlink_to(tmp_path / "outside.sh")
    with pytest.raises(ConfigurationError, match=r"outside\.sh may not be run"):
        make(RECORDER, delete=str(folder / "link.sh"))


def test_it_is_looked_at_again_when_it_is_run(make: Make, folder: Path) -> None:
    script = make(RECORDER)
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError) as raised:
        script.add(ZONE, [RECORD])
    assert f"others may write to {folder}" in raised.value.message
    assert raised.value.hint == f"chmod go-w {folder}"
    assert not (folder / "asked").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.chmod(0o775), "its mode is -rwxrwxr-x"),
        (lambda path: path.chmod(0o757), "its mode is -rwxr-xrwx"),
        (lambda path: path.chmod(0o644), "is no program that may be run"),
        (lambda path: os.chown(path, 4711, 4711), "it belongs to the user number 4711"),
    ],
    ids=["group", "others", "not executable", "another's"],
)
def test_a_program_that_is_not_safe_is_refused(
    make: Make, folder: Path, change: Callable[[Path], None], told: str
) -> None:
    script = make(RECORDER)
    if "belongs" in told and os.geteuid():
        pytest.skip("needs root")
    change(folder / "records.sh")
    with pytest.raises(ConfigurationError, match=told):
        script.check()


def test_a_batch_file_is_refused(make: Make, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="run by a shell"):
        make(RECORDER, create=str(write(folder / "a.CMD", RECORDER)))


def test_what_has_no_interpreter_is_told(make: Make) -> None:
    with pytest.raises(CertwrightError, match="cannot be run") as raised:
        make("#!/no/such/interpreter\n").add(ZONE, [RECORD])
    assert "first line" in raised.value.hint
