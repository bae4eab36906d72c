"""The command line, one file per command group.

Exit codes: 0 done, 1 failed, 2 usage, 3 not due or nothing to do, 4 waiting for a person.
"""

import sys


def main() -> None:
    """Run the command line."""
    from certwright.cli.app import app  # noqa: PLC0415 - importing the package stays free of Typer

    app(prog_name="certwright", args=sys.argv[1:])
