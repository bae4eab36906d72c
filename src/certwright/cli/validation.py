"""`certwright validation`: how the names of a managed certificate are proved."""

from typing import Annotated, Any

import typer

from certwright.cli.params import PluginGroup, given, options
from certwright.cli.session import Session, command
from certwright.cli.show import table
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Validation, choose, unused
from certwright.engine.catalog import Plugin
from certwright.sdk.fields import in_line
from certwright.sdk.params import read_params

app = typer.Typer(help="How the names of a managed certificate are proved.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--for",
        metavar="RULE",
        help="For which names: mail.contoso.com, *.contoso.com (one level), .contoso.com (and all under it); may be "
        "given several times [default: all names that no other rule fits].",
    ),
]


def _build(group: typer.Typer, plugin: Plugin) -> None:
    challenges = sorted(plugin.cls.types)

    @command(group, plugin.name, signature=options(plugin.params), help=plugin.page.split("\n\n")[0])
    def put(session: Session, context: typer.Context, rules: Rules = None, **values: Any) -> None:
        from certwright.engine.validations import put_validation  # noqa: PLC0415 - loads the store

        certificate = context.parent.params["certificate"] if context.parent else ""
        params = given(plugin.params, values)
        parts = {"challenge": challenges[0], "solver": plugin.name, "params": params, "names": tuple(rules or ())}
        wanted = read_params(Validation, parts, "the validation")
        _show(session, put_validation(session.engine, certificate, wanted))


class _SetGroup(PluginGroup):
    kind = "solvers"
    build = staticmethod(_build)


set_app = typer.Typer(
    cls=_SetGroup, help="Choose how names are proved.", no_args_is_help=True, subcommand_metavar="SOLVER [OPTIONS]"
)


@set_app.callback()
def set_root(certificate: Reference) -> None:
    """Choose a solver for all names or some; `certwright validation set CERT SOLVER --help` lists its parameters."""


app.add_typer(set_app, name="set")


@command(app, "list")
def list_validations(session: Session, certificate: Reference) -> None:
    """List the names with the validation that each of them uses."""
    with session.engine.store.read() as unit:
        managed = unit.managed.get(certificate)
    _show(session, managed)


@command(app, "remove")
def remove(session: Session, certificate: Reference, rules: Rules = None) -> None:
    """Remove the validation with exactly these rules."""
    from certwright.engine.validations import remove_validation  # noqa: PLC0415 - loads the store

    _show(session, remove_validation(session.engine, certificate, rules or ()))


def _show(session: Session, managed: ManagedCertificate) -> None:
    chosen = [(i, choose(managed.validations, i)) for i in managed.identifiers]
    idle = unused(managed.validations, managed.identifiers)
    rows = [(i.unicode, v) for i, v in chosen] + [("fits none of the names", v) for v in idle]
    session.emit(
        {
            "names": [{"name": str(i), "validation": v.model_dump(mode="json")} for i, v in chosen],
            "validations": [v.model_dump(mode="json") for v in managed.validations],
            "unused": [v.model_dump(mode="json") for v in idle],
        },
        lambda console: console.print(
            table(
                ["Name", "Proved by", "Rule", "Parameters"],
                [[name, v.title, ", ".join(v.names) or "all other names", _params(v)] for name, v in rows],
            )
        ),
    )


def _params(validation: Validation) -> str:
    return ", ".join(f"{name}: {in_line(value)}" for name, value in validation.params.items())
