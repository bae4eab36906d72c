"""A program for the `script` task that writes down when it was run, and fails when it is told to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """#!/bin/sh
here=$(dirname "$0")
echo "$1 $CERTWRIGHT_EVENT" >> "$here/ran"
env > "$here/environment"
echo "$1 with ${CERTWRIGHT_SECRET:-no secret}"
[ ! -e "$here/broken-$1" ]
"""


@dataclass(frozen=True, slots=True)
class Scripts:
    """A folder that programs may be run from, with one that is given a name as its argument."""

    folder: Path

    @classmethod
    def written(cls, folder: Path) -> "Scripts":
        """In a folder of their own in `folder`."""
        made = folder / "scripts"
        made.mkdir(mode=0o755)
        program = made / "program"
        program.write_text(_PROGRAM)
        program.chmod(0o755)
        return cls(made)

    def params(self, name: str, **changed: Any) -> dict[str, Any]:
        """Parameters of a task that runs it under this name."""
        return {"program": str(self.folder / "program"), "arguments": name, **changed}

    @property
    def ran(self) -> list[str]:
        """What it was run for since it was last looked: the name, and the event."""
        file = self.folder / "ran"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    @property
    def environment(self) -> dict[str, str]:
        """What it was told the last time."""
        lines = (self.folder / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def break_(self, *names: str) -> None:
        """Have it fail under these names."""
        for name in names:
            (self.folder / f"broken-{name}").touch()

    def mend(self) -> None:
        """Have it succeed again."""
        for file in self.folder.glob("broken-*"):
            file.unlink()
