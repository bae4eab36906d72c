"""The command line, one file per command group.

Exit codes: 0 done, 1 failed, 2 usage, 3 not due or nothing to do, 4 waiting for a person, 130 stopped with nothing
begun that stays.
"""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from certwright.cli import streams  # noqa: PLC0415 - importing the package stays free of Typer

        streams.prepare()
        from certwright.cli import session  # noqa: PLC0415 - as above
        from certwright.cli.app import app  # noqa: PLC0415 - as above

        session.start(app, sys.argv[1:])
    except KeyboardInterrupt:  # while the libraries were loaded, or at the very end
        sys.stderr.write("Stopped.\n")
        sys.exit(130)
