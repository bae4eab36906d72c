"""What every deployment task plugin keeps."""

import inspect
import json
import subprocess
import sys

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.engine import catalog
from certwright.sdk.params import Params, read_params
from certwright.sdk.task import Task

TASKS = sorted(catalog.names("tasks"))
HEAVY = ("pypsrp", "psrpcore", "requests", "fastapi", "starlette", "sqlalchemy", "asyncssh", "smbprotocol")


def test_there_are_tasks() -> None:
    assert "exchange" in TASKS


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_documented_and_complete(name: str) -> None:
    plugin = catalog.plugin("tasks", name)
    assert len(plugin.page.splitlines()) > 1
    assert issubclass(plugin.cls, Task)
    assert not inspect.isabstract(plugin.cls)
    assert issubclass(plugin.params, Params)


@pytest.mark.parametrize("name", TASKS)
def test_every_parameter_is_described_for_forms_flags_and_documentation(name: str) -> None:
    params = catalog.plugin("tasks", name).params
    assert all(field.description for field in params.model_fields.values())
    schema = params.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("name", TASKS)
def test_an_unknown_parameter_is_named_but_its_value_is_not_shown(name: str) -> None:
    params = catalog.plugin("tasks", name).params
    with pytest.raises(ConfigurationError) as caught:
        read_params(params, {"no_such_parameter": "canary"}, "the task")
    told = "\n".join(caught.value.explain())
    assert "no_such_parameter" in told
    assert "canary" not in told


@pytest.mark.parametrize("name", TASKS)
def test_its_parameters_import_without_heavy_libraries(name: str) -> None:
    module = catalog.names("tasks")[name]
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
