"""The catalog: our own plugins, a third party's, and those that cannot be loaded, which stop nothing else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.engine import catalog, dns
from certwright.sdk.task import Task
from world.plugins import found, install

PLUGIN = '''"""Puts the certificate on a printer.

Nobody should.
"""

from collections.abc import Sequence

from certwright.domain.deployment import Finding, Inspection, Plan, ServedRow, Severity
from certwright.sdk.params import Params as BaseParams
from certwright.sdk.task import Task
from pydantic import Field


class Params(BaseParams):
    """Which printer."""

    printer: str = Field(description="Name of the printer.")


class Printer(Task[Params]):
    """The task."""

    Params = Params
    organisations = ()

    def baseline(self) -> tuple[ServedRow, ...]:
        return ()

    def plan(self) -> Plan:
        found = Finding(check="fire", severity=Severity.WARN, message=f"{self.params.printer} is on fire.")
        return Plan(findings=(found,))

    def apply(self, plan: Plan) -> None:
        """Nothing is ever planned."""

    def verify(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        return ()

    def inspect(self) -> Inspection:
        return Inspection()

    def undo(self) -> tuple[str, ...]:
        return ()

    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        return ()
'''
FLEET = f"""{PLUGIN}

def members():
    return {{"old": "ribbons", "new": ""}}


def member(name):
    return type(name, (Printer,), {{"__doc__": f"The {{name}} one.", "Params": Params}})
"""


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    install(
        tmp_path,
        "third_party",
        {
            "printer": PLUGIN,
            "exchange": "raise AssertionError('not asked for, and ours is first')\n",
            "fax": "import no_such_fax_driver\n",
            "telex": "raise RuntimeError('line noise')\n",
            "pigeon": "'''Flies, but is no task.'''\n",
            "fleet": FLEET,
            "_shared": "raise AssertionError('no plugin at all')\n",
        },
    )
    install(tmp_path, "third_party_broken", {"ghost": ""}, init="raise RuntimeError('broken')\n")
    return tmp_path


@pytest.fixture
def installed(site_packages: Path) -> Iterator[Path]:
    with found(site_packages, "third_party"):
        yield site_packages


def test_our_own_plugins_are_there() -> None:
    assert "acme" in catalog.names("issuers")
    assert {"http_listener", "webroot"} <= set(catalog.names("solvers"))
    found = catalog.plugin("tasks", "exchange")
    assert issubclass(found.cls, Task)
    assert found.params is found.cls.Params
    assert found.page.startswith("Microsoft Exchange")


def test_a_third_partys_plugin_is_one_file_and_is_not_imported_before_it_is_asked_for(installed: Path) -> None:
    known = catalog.names("tasks")
    assert known["printer"] == "third_party.printer"
    assert "third_party.printer" not in sys.modules
    found = catalog.plugin("tasks", "printer")
    assert found.page.startswith("Puts the certificate on a printer.")
    assert set(found.params.model_fields) == {"printer"}


def test_a_module_may_stand_for_many(installed: Path) -> None:
    assert catalog.members("tasks", "fleet") == {"old": "ribbons", "new": ""}
    assert catalog.members("tasks", "printer") == {}
    found = catalog.plugin("tasks", "fleet:old")
    assert (found.name, found.page, set(found.params.model_fields)) == ("fleet:old", "The old one.", {"printer"})


@pytest.mark.parametrize(
    ("name", "told", "hint"),
    [
        ("fleet", "stands for many", "Write fleet:NAME"),
        ("fleet:nwe", "no task 'fleet:nwe'", "Did you mean fleet:new?"),
        ("fleet:", "no task 'fleet:'", "fleet"),
        ("printer:new", "no task 'printer:new'", ""),
    ],
)
def test_a_name_that_is_not_one_of_the_many(name: str, told: str, hint: str, installed: Path) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        catalog.plugin("tasks", name)
    assert hint in caught.value.hint


def test_nobody_replaces_a_plugin_of_ours(installed: Path) -> None:
    assert catalog.names("tasks")["exchange"] == "certwright.tasks.exchange"


def test_a_broken_package_stops_nothing_else_and_helpers_are_no_plugins(
    installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "_shared" not in catalog.names("tasks")
    assert "ghost" not in catalog.names("tasks")
    assert "third_party_broken cannot be loaded: RuntimeError: broken" in caplog.text


@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("fax", "No module named 'no_such_fax_driver'", "Install the library"),
        ("telex", "RuntimeError: line noise", "Tell its author"),
        ("pigeon", "has 0 classes of that kind", "Tell its author"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_listed_as_unavailable(
    name: str, reason: str, hint: str, installed: Path
) -> None:
    assert name in catalog.names("tasks")
    with pytest.raises(ConfigurationError, match=f"The task '{name}' is unavailable") as caught:
        catalog.plugin("tasks", name)
    assert reason in caught.value.message
    assert hint in caught.value.hint


def test_a_name_that_is_no_plugin_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        catalog.plugin("tasks", "exchnage")
    assert caught.value.hint == "Did you mean exchange?"
    with pytest.raises(ConfigurationError) as caught:
        catalog.plugin("issuers", "zzz")
    assert "acme" in caught.value.hint


def test_what_pages_say_of_a_plugin_in_a_sentence_has_no_marks_of_its_documentation() -> None:
    for kind in catalog.TITLES:
        for name in catalog.names(kind):
            if not catalog.members(kind, name):
                assert not re.search(r"[*`]", catalog.plugin(kind, name).sentence), name


def test_a_credential_may_have_the_name_of_each_dns_provider_that_needs_one() -> None:
    def is_refused(name: str) -> bool:
        with suppress(ConfigurationError):
            dns.check_name(name)
            return False
        return True

    assert [*filter(is_refused, catalog.names("dns"))] == ["manual"]


def test_the_command_line_has_it_all_from_its_parameters(site_packages: Path) -> None:
    def certwright(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "certwright", *arguments],
            env={**os.environ, "PYTHONPATH": str(site_packages), "CERTWRIGHT_DATA": str(site_packages / "data")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    shown = certwright("task", "add", "mail", "printer", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--printer" in shown.stdout
    assert "Name of the printer." in shown.stdout
    missing = certwright("task", "add", "mail", "fax", "--paper", "A4")
    assert missing.returncode == 2
    assert "No module named 'no_such_fax_driver'" in missing.stderr
    assert "Traceback" not in missing.stderr
    listed = certwright("task", "add", "mail", "--help")
    assert listed.returncode == 0, listed.stderr
    assert "Puts the certificate on a printer." in listed.stdout
    assert "unavailable" in listed.stdout
