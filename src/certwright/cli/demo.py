"""`certwright demo`: the whole main job in a world of its own."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the world running and say how to look at it.")] = False,
) -> None:
    """Run the whole main job against a simulated Exchange server and a real ACME server, here, on loopback."""
    from certwright.sandbox import demo as run  # noqa: PLC0415 - loads the simulator

    raise typer.Exit(run(keep=keep))
