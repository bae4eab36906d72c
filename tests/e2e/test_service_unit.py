"""The systemd unit of the guide is what systemd understands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from peers.debian import require

pytestmark = pytest.mark.e2e
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "service.md"


def test_the_unit_is_understood(tmp_path: Path) -> None:
    require("systemd")
    (unit,) = re.findall(r"^```ini\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
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
