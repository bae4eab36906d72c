"""Command-line options made from a plugin's parameters model: one source for both."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from certwright.domain.errors import ConfigurationError
from certwright.engine import catalog
from certwright.sdk.params import Params


class PluginGroup(typer.core.TyperGroup):
    """A group with one command for each plugin of `kind`, made when it is asked for."""

    kind: catalog.Kind
    build: Callable[[typer.Typer, catalog.Plugin], None]

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the interface
        """The names of the plugins; none of them is imported."""
        return sorted(catalog.names(self.kind))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the interface
        """The command of one plugin, or None."""
        if cmd_name not in catalog.names(self.kind):
            return None
        app = typer.Typer(add_completion=False)
        try:
            plugin = catalog.plugin(self.kind, cmd_name)
        except ConfigurationError as error:
            _refuse(app, cmd_name, " ".join(error.explain()))
        else:
            type(self).build(app, plugin)
        return typer.main.get_command(app)


def _refuse(app: typer.Typer, name: str, reason: str) -> None:
    """A command that only says why there is no such plugin here."""

    @app.command(name, help=reason, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def refuse() -> None:
        raise typer.BadParameter(reason)


def options(model: type[Params]) -> list[inspect.Parameter]:
    """An option for each field; one that is not given stays out, so that the model's default holds."""
    return [_option(name, field) for name, field in model.model_fields.items()]


def given(model: type[Params], values: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed for the fields of `model`, as the model reads it."""
    typed = {name: values[name] for name in model.model_fields if values.get(name) not in (None, [], ())}
    return {name: _shape(model.model_fields[name], value) for name, value in typed.items()}


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    kinds = _kinds(field.annotation)
    flag = f"--{name.replace('_', '-')}"
    help_text = f"{field.description or ''}{_default(field)}"
    if bool in kinds:
        declared: Any = Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=help_text)]
    elif kinds & {list, tuple, dict, frozenset}:
        flags = [flag.removesuffix("s")] if name.endswith("s") and name != "services" else []
        declared = Annotated[list[str] | None, typer.Option(*flags, flag, help=help_text)]
    else:
        kind = int if int in kinds else float if float in kinds else str
        declared = Annotated[kind | None, typer.Option(flag, help=help_text)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=declared)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return " [required]"
    value = field.get_default(call_default_factory=False)
    if value in (None, "", (), []) or isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return f" [default: {value}]"


def _shape(field: FieldInfo, value: Any) -> Any:
    kinds = _kinds(field.annotation)
    if not isinstance(value, list | tuple):
        return value
    pieces = [piece.strip() for text in cast("Iterable[str]", value) for piece in text.split(",") if piece.strip()]
    if dict in kinds and all("=" in piece and "/" not in piece.partition("=")[0] for piece in pieces):
        return dict(piece.split("=", 1) for piece in pieces)
    if kinds & {list, tuple, frozenset}:
        return pieces
    return ",".join(pieces)


def _kinds(annotation: Any) -> set[type[Any]]:
    """The plain types that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return set().union(*(_kinds(part) for part in get_args(annotation)))
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin is not None:
        return {dict if origin is Mapping else origin}
    return {annotation} if isinstance(annotation, type) else set()
