"""Generate the reference pages from the code: plugins from their modules, commands from the command line, metrics.

`python docs/generate.py` writes them; `--check` fails if one of them is not what the code says.
"""

import importlib
import inspect
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import typer
from fastapi.routing import APIRoute

from certwright.api import PREFIX, RESOURCES
from certwright.api.access import Needs
from certwright.cli.app import EPILOG, app
from certwright.engine import catalog
from certwright.server.metrics import METRICS
from certwright.settings import KNOWN

HERE = Path(__file__).parent
MARK = "<!-- Made by `make docs` from the code; edit the code. -->"


def pages() -> Iterator[tuple[Path, str]]:
    """Path and text of every generated page."""
    for kind in get_args(catalog.Kind):
        for name, module in sorted(catalog.names(kind).items()):
            members = [catalog.plugin(kind, f"{name}:{member}") for member in catalog.members(kind, name)]
            page = members_page(module, members) if members else plugin_page(kind, catalog.plugin(kind, name))
            yield HERE / kind / f"{name}.md", page
    yield HERE / "guide" / "commands.md", commands_page()
    yield HERE / "guide" / "metrics.md", metrics_page()
    yield HERE / "guide" / "api-operations.md", operations_page()
    yield HERE / "guide" / "settings-list.md", settings_page()


def plugin_page(kind: catalog.Kind, plugin: catalog.Plugin) -> str:
    """A plugin's docstring and the table of its parameters."""
    head = f"{MARK}\n# {plugin.name} ({catalog.TITLES[kind]})\n\n{plugin.page}\n"
    if kind == "dns":
        head += _rate(plugin.cls)
    return f"{head}\n## Parameters\n\n{_table(plugin, plugin.params.model_fields)}"


def members_page(module: str, members: Sequence[catalog.Plugin]) -> str:
    """The docstring of a module that stands for many plugins, what all of them take, and what each takes."""
    first = members[0].params.model_fields
    common = [name for name in first if all(name in each.params.model_fields for each in members)]
    name, page = module.rpartition(".")[2], inspect.getdoc(importlib.import_module(module))
    parts = [f"{MARK}\n# {name}\n\n{page}\n\n## Parameters of all\n\n{_table(members[0], common)}"]
    for each in members:
        own = [name for name in each.params.model_fields if name not in common]
        parts.append(f"\n## {each.name}\n\n{each.page}\n\n{_table(each, own)}")
    return "".join(parts)


def _rate(provider: type[Any]) -> str:
    """How often a DNS provider asks; nothing if it says so in its parameters, or asks nobody."""
    rate = provider.per_second
    often = "once" if rate == 1 else f"{rate} times"
    return "" if isinstance(rate, property) else f"\nCertwright asks it at most {often} a second.\n"


def _table(plugin: catalog.Plugin, names: Collection[str]) -> str:
    schemas = plugin.params.model_json_schema().get("properties", {})
    rows = "\n".join(
        f"| `{name}` | {_shape(schemas[name])} | {_default(name, schemas[name], plugin)} "
        f"| {schemas[name].get('description', '')}{_needs(schemas[name])} |"
        for name in names
    )
    return f"| Name | Kind | Default | Meaning |\n|---|---|---|---|\n{rows}\n"


def _needs(schema: dict[str, Any]) -> str:
    if not (needs := schema.get("onlyWith")):
        return ""
    values = " or ".join(f"`{value}`" for value in needs["values"])
    return " ".join([f" Only with `{needs['parameter']}`", values]).rstrip() + "."


def _shape(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - one for each kind
    if "anyOf" in schema:
        return " or ".join(_shape(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("writeOnly"):
        return "secret"
    if "credential" in schema:
        return "credential"
    if schema.get("type") == "array":
        return f"list of {_shape(schema['items'])}"
    if schema.get("type") == "object":
        return "name=value"
    plain = {"string": "text", "boolean": "yes or no", "integer": "number", "number": "number"}
    return plain.get(schema.get("type", ""), "text")


def _default(name: str, schema: dict[str, Any], plugin: catalog.Plugin) -> str:
    if plugin.params.model_fields[name].is_required():
        return "required"
    value = schema.get("default")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`" if value not in (None, "") else ""


def commands_page() -> str:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    context = root.make_context("certwright", [], resilient_parsing=True)
    every = "Every command takes `--data`, `--settings` (see [settings](settings.md)) and `--json`."
    head = f"{MARK}\n# Commands\n\n{every} {EPILOG}\n"
    return head + "".join(_command(root, context, "certwright"))


def _command(command: Any, context: Any, path: str) -> Iterator[str]:
    for name in sorted(command.list_commands(context)):
        child = command.get_command(context, name)
        full = f"{path} {name}"
        inner = type(context)(child, info_name=name, parent=context)
        if hasattr(child, "list_commands"):
            arguments = "".join(f" {p.metavar}" for p in child.params if p.param_type_name == "argument")
            yield from _command(child, inner, full + arguments)
            continue
        usage = " ".join([full, *child.collect_usage_pieces(inner)])
        records = [p.get_help_record(inner) for p in child.params if p.name not in ("data", "settings_file", "as_json")]
        rows = "".join(f"- `{record[0]}` {record[1]}\n" for record in records if record)
        yield f"\n## {full}\n\n`{usage}`\n\n{(child.help or '').strip()}\n" + (f"\n{rows}" if rows else "")


def operations_page() -> str:
    """Every operation of the API with the permission that it takes."""
    rows = []
    for route in (route for resource in RESOURCES for route in resource.router.routes if isinstance(route, APIRoute)):
        (guard,) = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
        summary = (inspect.getdoc(route.endpoint) or "").partition("\n")[0]
        (method,) = route.methods or {""}
        rows.append(f"| `{method} {PREFIX}{route.path_format}` | {guard.permission} | {summary} |\n")
    head = f"{MARK}\n# Operations of the API\n\nMore about them: [the API](api.md).\n\n"
    return head + "| Operation | Permission | |\n|---|---|---|\n" + "".join(rows)


def metrics_page() -> str:
    """Every metric with its labels."""
    rows = "".join(
        f"| `{metric.name}{'_total' if kind == 'counter' else ''}` | {kind} "
        f"| {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |\n"
        for metric in METRICS.values()
        for kind in [metric.kind.__name__.removesuffix("MetricFamily").lower()]
    )
    head = f"{MARK}\n# Metrics\n\nWhat `/metrics` tells; what it is for is in [observability](observability.md).\n"
    return f"{head}\n| Name | Kind | Labels | Meaning |\n|---|---|---|---|\n{rows}"


def settings_page() -> str:
    """Every setting with what it takes."""
    rows = "".join(
        f"| `{known.name}` | {known.allowed} | {known.default} | {known.meaning} |\n" for known in KNOWN.values()
    )
    head = f"{MARK}\n# All settings\n\nWhere they are set: [settings](settings.md).\n"
    return f"{head}\n| Setting | Takes | Default | Meaning |\n|---|---|---|---|\n{rows}"


def main() -> int:
    """Write or check; the exit code."""
    stale = [path for path, text in pages() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path} is not what the code says: run make docs\n")
        return 1 if stale else 0
    for path, text in pages():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
