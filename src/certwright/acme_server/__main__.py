"""``python -m certwright.acme_server [--config FILE]``: the server as a process of its own.

The file is a JSON object of `config.AcmeServerConfig`; durations are seconds or ISO 8601. Once the server
answers, one line of JSON tells ``directory`` and ``ca_file``; SIGTERM or SIGINT ends it.
"""

import argparse
import json
import signal
import sys
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from certwright.acme_server.config import AcmeServerConfig
from certwright.acme_server.server import AcmeServer


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal; 2 if the configuration cannot be read or the port cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m certwright.acme_server", description="An ACME test CA.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON; see certwright.acme_server.config")
    file: Path | None = parser.parse_args(arguments).config
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before any thread starts, so that every thread inherits it and sigwait gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        text = file.read_bytes() if file else b"{}"
        config = TypeAdapter(AcmeServerConfig).validate_json(text, extra="forbid")
        server = AcmeServer(config)
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"The ACME server cannot start: {error}\n")
        return 2
    with server:
        sys.stdout.write(json.dumps({"directory": server.directory_url, "ca_file": str(server.ca_file)}) + "\n")
        sys.stdout.flush()
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
