"""A test's function in a Python of its own, with libraries and an environment that the tests' process has not got."""

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).parents[1]


class Raised(Exception):
    """What the function raised: its type's name, and its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


def run_fresh(
    function: Callable[..., Any],
    *arguments: Any,
    environment: Mapping[str, str],
    libraries: Path | None = None,
    timeout: float = 120,
) -> Any:
    """Call ``function`` of a test module with ``arguments`` in a new process; both ways as JSON.

    Raises:
        Raised: The function raised.
        RuntimeError: The process ended otherwise.
    """
    paths = [str(p) for p in (libraries, _TESTS) if p] + [p for p in [os.environ.get("PYTHONPATH")] if p]
    order = [inspect.getfile(function), function.__name__, arguments]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "peers.fresh"],
        input=json.dumps(order),
        env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}:\n{done.stderr[-4000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "raised" in answer:
        raise Raised(*answer["raised"])
    return answer["returned"]


def _main() -> None:
    path, name, arguments = json.load(sys.stdin)
    spec = importlib.util.spec_from_file_location("scene", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["scene"] = module
    spec.loader.exec_module(module)
    try:
        answer = {"returned": getattr(module, name)(*arguments)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
        answer = {"raised": (type(error).__name__, str(error))}
    print(json.dumps(answer))  # noqa: T201 - this is how the process answers


if __name__ == "__main__":
    _main()
