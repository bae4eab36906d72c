"""The command line, one file per command group."""


def main() -> None:
    """Run the command line."""
