"""Generate the reference pages from the code: plugins from their modules, commands from the command line.

`python docs/generate.py` writes them; `--check` fails if one of them is not what the code says.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer

from certwright.cli.app import EPILOG, app
from certwright.engine import catalog

HERE = Path(__file__).parent
MARK = "<!-- Made by `make docs` from the code; edit the code. -->"


def pages() -> Iterator[tuple[Path, str]]:
    """Path and text of every generated page."""
    for kind in get_args(catalog.Kind):
        for name in sorted(catalog.names(kind)):
            yield HERE / kind / f"{name}.md", plugin_page(kind, catalog.plugin(kind, name))
    yield HERE / "guide" / "commands.md", commands_page()


def plugin_page(kind: str, plugin: catalog.Plugin) -> str:
    """A plugin's docstring and the table of its parameters."""
    rows = "\n".join(
        f"| `{name}` | {_shape(schema)} | {_default(name, schema, plugin)} | {schema.get('description', '')} |"
        for name, schema in plugin.params.model_json_schema().get("properties", {}).items()
    )
    head = f"{MARK}\n# {plugin.name} ({kind.removesuffix('s')})\n\n{plugin.page}\n"
    return f"{head}\n## Parameters\n\n| Name | Kind | Default | Meaning |\n|---|---|---|---|\n{rows}\n"


def _shape(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - one for each kind
    if "anyOf" in schema:
        return " or ".join(_shape(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
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
    head = f"{MARK}\n# Commands\n\nEvery command takes `--data` (or `CERTWRIGHT_DATA`) and `--json`. {EPILOG}\n"
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
        records = [p.get_help_record(inner) for p in child.params if p.name not in ("data", "as_json")]
        rows = "".join(f"- `{record[0]}` {record[1]}\n" for record in records if record)
        yield f"\n## {full}\n\n`{usage}`\n\n{(child.help or '').strip()}\n" + (f"\n{rows}" if rows else "")


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
