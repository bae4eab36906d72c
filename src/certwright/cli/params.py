"""Command-line options made from a plugin's parameters model: one source for both."""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import typer
from pydantic.fields import FieldInfo

from certwright.cli.secret import read_secret
from certwright.domain.errors import ConfigurationError
from certwright.engine import catalog
from certwright.sdk.fields import is_list, kinds, shaped
from certwright.sdk.params import OnlyWith, Params, secret_names


class PluginGroup(typer.core.TyperGroup):
    """A group with one command for each plugin of `kind`, made when it is asked for, and some of its `own`."""

    kind: catalog.Kind
    prefix: str = ""
    build: Callable[[typer.Typer, catalog.Plugin], None]
    own: ClassVar[Mapping[str, Callable[[typer.Typer], None]]] = types.MappingProxyType({})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the interface
        """The names of the plugins; none of them is imported."""
        return [*self.own, *(f"{self.prefix}{name}" for name in sorted(catalog.names(self.kind)))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the interface
        """The command of one plugin, or None."""
        app = typer.Typer(add_completion=False, rich_markup_mode=None)  # help has words in square brackets
        if cmd_name in self.own:
            self.own[cmd_name](app)
            return typer.main.get_command(app)
        name = cmd_name.removeprefix(self.prefix)
        if name.partition(":")[0] not in catalog.names(self.kind) or not cmd_name.startswith(self.prefix):
            return None
        try:
            plugin = catalog.plugin(self.kind, name)
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


def options(model: type[Params], required: str = "[required]") -> list[inspect.Parameter]:
    """An option for each field; one that is not given stays out, so that the model's default holds.

    `required` is what is said of a field that the model cannot do without.
    """
    hidden = secret_names(model)
    return [_option(name, model, required) for name in model.model_fields if name not in hidden]


def secret_options(model: type[Params]) -> list[inspect.Parameter]:
    """An option for the file that holds each secret field; what is needed and has no file is asked for."""
    return [_secret_option(name, model.model_fields[name]) for name in secret_names(model)]


def secrets_given(model: type[Params], values: Mapping[str, Any]) -> dict[str, str]:
    """The secret fields: from their files, or asked for where the model cannot do without.

    Raises:
        ConfigurationError: if one is needed and nobody can be asked.
    """
    files = {name: values.get(f"{name}_file") for name in secret_names(model)}
    return {
        name: read_secret(file, name.replace("_", " "))
        for name, file in files.items()
        if file is not None or model.model_fields[name].is_required()
    }


def _secret_option(name: str, field: FieldInfo) -> inspect.Parameter:
    asked = " Without it you are asked." if field.is_required() else ""
    help_text = f"{field.description or ''} In a file; - is standard input.{asked}"
    declared = Annotated[
        str | None, typer.Option(f"--{name.replace('_', '-')}-file", metavar="FILE", help=help_text.strip())
    ]
    return inspect.Parameter(f"{name}_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=declared)


def given(model: type[Params], values: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed for the fields of `model`, as the model reads it."""
    typed = {name: values[name] for name in model.model_fields if values.get(name) not in (None, [], ())}
    return {
        name: shaped(model.model_fields[name], value) if isinstance(value, list | tuple) else value
        for name, value in typed.items()
    }


def _option(name: str, model: type[Params], required: str) -> inspect.Parameter:
    field = model.model_fields[name]
    allowed = kinds(field.annotation)
    flag = f"--{name.replace('_', '-')}"
    needs = OnlyWith.of(field)
    told = f"{field.description or ''}{f' Only with {needs}.' if needs else ''}"
    help_text = f"{told}{f' {required}' if field.is_required() else _default(field)}"
    metavar = name.rpartition("_")[2].upper()
    if bool in allowed:
        declared: Any = Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=help_text)]
    elif is_list(field):
        single = name.removesuffix("s")
        has_single = name not in (single, "address", "services") and single not in model.model_fields
        flags = [flag.removesuffix("s")] if has_single else []
        one = metavar.removesuffix("S") if flags else metavar
        declared = Annotated[list[str] | None, typer.Option(*flags, flag, metavar=one, help=help_text)]
    else:
        kind = int if int in allowed else float if float in allowed else str
        declared = Annotated[kind | None, typer.Option(flag, metavar=metavar, help=help_text)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=declared)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=False)
    if value in (None, "", (), []) or isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return f" [default: {value}]"
