"""The systemd unit of the guide is what systemd understands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from certwright.server.readiness import STALLED_SECONDS
from peers.debian import require

pytestmark = pytest.mark.e2e
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "service.md"


def unit_of_the_guide() -> str:
    (unit,) = re.findall(r"^```ini\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert isinstance(unit, str)
    return unit


def test_the_watchdog_is_more_patient_than_a_scheduler_that_waits_for_a_store_that_is_away() -> None:
    unit = unit_of_the_guide()
    assert "Type=notify\n" in unit
    (minutes,) = re.findall(r"^WatchdogSec=(\d+)min$", unit, re.MULTILINE)
    assert int(minutes) * 60 >= STALLED_SECONDS


def test_the_unit_is_understood(tmp_path: Path) -> None:
    require("systemd")
    unit = unit_of_the_guide()
    program = shutil.which("true")
    assert program
    text = unit.replace("/opt/certwright/.venv/bin/certwright serve", program).replace("User=certwright", "User=root")
    (tmp_path / "certwright.service").write_text(text)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "certwright.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in (told.stdout + told.stderr).splitlines() if "certwright.service" in line]
    assert not ours, told.stderr
    assert told.returncode == 0, told.stderr
