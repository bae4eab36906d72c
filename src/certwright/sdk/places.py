"""Where the administrator of this machine lets programs be run and files be written, whatever parameters name."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Programs are run from the folders `scripts` alone, and files are written below the folders `files` alone."""

    scripts: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()


NOWHERE = Places()
