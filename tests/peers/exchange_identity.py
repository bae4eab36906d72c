"""Clients that sign in by NTLM or Kerberos: pypsrp, inside TLS or not, and curl, which shares no code with it."""

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from peers.debian import require


@contextmanager
def opened(
    url: str, auth: str, *, root: Path | None = None, configuration: str = "Microsoft.Exchange", **options: Any
) -> Iterator[RunspacePool]:
    """A runspace pool at `url`; over http its messages are sealed, unless `options` say otherwise."""
    parts = urlsplit(url)
    wsman = WSMan(
        parts.hostname or "",
        port=parts.port,
        ssl=parts.scheme == "https",
        path=parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else ""),
        auth=auth,
        connection_timeout=10,
        read_timeout=20,
        operation_timeout=10,
        **{"cert_validation": str(root), "no_proxy": True, **options},
    )
    with closing(wsman):
        pool = RunspacePool(wsman, configuration_name=configuration)
        pool.open()
        yield pool
        pool.close()


def call(pool: RunspacePool, cmdlet: str, **parameters: Any) -> list[dict[str, Any]]:
    """The properties of each object that `cmdlet` gives; RuntimeError with the first error record, if there is one."""
    shell = PowerShell(pool)
    shell.add_cmdlet(cmdlet).add_parameters(parameters)
    objects = shell.invoke()
    shell.close()
    if shell.streams.error:
        raise RuntimeError(str(shell.streams.error[0]))
    return [{**o.adapted_properties, **o.extended_properties} for o in objects]


def curl(url: str, scheme: str, credential: str) -> int:
    """The status of the last answer when curl signs in at `url` and sends nothing.

    Args:
        url: Where.
        scheme: curl's option, ``--ntlm`` or ``--negotiate``.
        credential: Name and password with a colon between; a colon alone for tickets.
    """
    require("curl")
    quiet = ["curl", "--silent", "--noproxy", "*", "--max-time", "20", "--output", "/dev/null"]
    done = subprocess.run(
        [*quiet, "--write-out", "%{http_code}", scheme, "--config", "-", "--data", "", url],
        input=f'user = "{credential.replace(chr(92), chr(92) * 2)}"\n',
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return int(done.stdout)
