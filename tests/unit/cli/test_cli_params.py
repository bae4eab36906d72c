"""Options are made from a plugin's parameters: each kind of field, and what was typed read back into the model."""

import importlib
from functools import cache
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import BeforeValidator, Field
from typer.testing import CliRunner

from certwright.cli.app import app as cli
from certwright.cli.params import given, options
from certwright.engine import catalog
from certwright.sdk.params import Params, names_field, read_params


def _words(value: Any) -> Any:
    return tuple(value.split(",")) if isinstance(value, str) else value


class Sample(Params):
    """One field of each kind."""

    name: str = Field(description="A text.")
    count: int = Field(default=3, description="A number.")
    share: float = Field(default=0.5, description="A share.")
    keep: bool | None = Field(default=None, description="A switch.")
    forced: bool = Field(default=False, description="Another switch.")
    servers: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(default=(), description="A list.")
    services: Annotated[tuple[Literal["IIS", "SMTP"], ...] | None, BeforeValidator(_words)] = Field(
        default=None, description="Choices."
    )
    relays: tuple[str, ...] = names_field("Names.")
    endpoint: str | dict[str, str] | None = Field(default=None, description="One, or one for each.")
    auth: Literal["basic"] = Field(default="basic", description="How.")


def _read(*arguments: str) -> Sample:
    """What a command makes of its arguments."""
    read: list[Sample] = []
    app = typer.Typer()

    def command(**values: Any) -> None:
        read.append(read_params(Sample, given(Sample, values), "the sample"))

    parameters = options(Sample)
    command.__signature__ = importlib.import_module("inspect").Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    app.command()(command)
    ended = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return read[0]


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ([], "count", 3),
        (["--count", "7"], "count", 7),
        (["--share", "0.25"], "share", 0.25),
        (["--keep"], "keep", True),
        (["--no-keep"], "keep", False),
        ([], "keep", None),
        (["--forced"], "forced", True),
        (["--no-forced"], "forced", False),
        (["--server", "a", "--server", "b"], "servers", ("a", "b")),
        (["--servers", "a,b"], "servers", ("a", "b")),
        (["--server", "a, b", "--servers", "c"], "servers", ("a", "b", "c")),
        (["--services", "IIS,SMTP"], "services", ("IIS", "SMTP")),
        (["--services", "IIS", "--services", "SMTP"], "services", ("IIS", "SMTP")),
        (["--relay", "a, Inc. relay", "--relays", "b"], "relays", ("a, Inc. relay", "b")),
        (["--endpoint", "https://a/"], "endpoint", "https://a/"),
        (
            ["--endpoint", "a=https://a/?x=1", "--endpoint", "b=https://b/"],
            "endpoint",
            {"a": "https://a/?x=1", "b": "https://b/"},
        ),
        (["--auth", "basic"], "auth", "basic"),
    ],
)
def test_what_is_typed_is_what_the_model_reads(arguments: list[str], field: str, value: object) -> None:
    assert getattr(_read("--name", "n", *arguments), field) == value


def test_a_url_with_a_query_is_no_mapping() -> None:
    """What is before the first = would be a server's name."""
    assert _read("--name", "n", "--endpoint", "https://a/PowerShell/?x=1").endpoint == "https://a/PowerShell/?x=1"


def test_help_shows_descriptions_and_defaults() -> None:
    shown = {p.name: p.annotation.__metadata__[0].help for p in options(Sample)}
    assert shown["name"] == "A text. [required]"
    assert shown["count"] == "A number. [default: 3]"
    assert shown["keep"] == "A switch."
    assert shown["auth"] == "How. [default: basic]"


@pytest.mark.parametrize("kind", ["issuers", "solvers", "tasks"])
def test_every_plugins_parameters_become_options(kind: catalog.Kind) -> None:
    for name in catalog.names(kind):
        model = catalog.plugin(kind, name).params
        made = options(model)
        assert [p.name for p in made] == list(model.model_fields)
        assert all(p.annotation.__metadata__[0].help for p in made)


GROUPS: list[tuple[catalog.Kind, str, str, str]] = [
    ("issuers", "issuer", "add", ""),
    ("solvers", "validation", "set", ""),
    ("tasks", "task", "add", ""),
    ("tasks", "task", "change", ""),
    ("dns", "credential", "add", "dns:"),
]


@cache
def _commands() -> Any:
    return typer.main.get_command(cli)


def _plugin_command(*words: str) -> Any:
    found = _commands()
    for word in words:
        found = found.get_command(None, word)
    return found


def _arrives(command: Any, *arguments: str) -> dict[str, Any]:
    """What was typed, by parameter."""
    with command.make_context("it", list(arguments), resilient_parsing=True) as context:
        return {name: value for name, value in context.params.items() if value}


@pytest.mark.parametrize(("kind", "group", "verb", "prefix"), GROUPS)
def test_every_option_of_every_plugin_command_arrives_as_its_own_parameter(
    kind: catalog.Kind, group: str, verb: str, prefix: str
) -> None:
    plugins = [f"{n}:{m}" if m else n for n in catalog.names(kind) for m in catalog.members(kind, n) or [""]]
    for plugin in plugins:
        command = _plugin_command(group, verb, f"{prefix}{plugin}")
        named = [p for p in command.params if p.param_type_name == "option"]
        fields = set(catalog.plugin(kind, plugin).params.model_fields)
        assert fields <= {p.name.removesuffix("_file") for p in named} | {p.name for p in named}
        for parameter in named:
            if parameter.name == "help":
                continue
            for spelling in parameter.opts:
                arrived = _arrives(command, spelling, *([] if parameter.is_flag else ["7"]))
                assert list(arrived) == [parameter.name], (plugin, spelling)


def test_help_keeps_what_stands_in_square_brackets() -> None:
    shown = " ".join(CliRunner().invoke(cli, ["validation", "set", "x", "dns", "--help"]).output.split())
    assert "[default: all names that no other rule fits]" in shown
    assert "[required]" in shown
