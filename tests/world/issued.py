"""An installation for a simulated organisation whose certificate is issued, but not deployed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from world.contoso import OUTBOUND, PASSWORD, USERNAME, Contoso, contoso
from world.site import Site


@contextmanager
def issued(folder: Path) -> Iterator[tuple[Contoso, Site, str]]:
    """Two servers, the installation, and the managed certificate's id."""
    with contoso(folder / "exchange", ("EX01", "EX02")) as organisation:
        home = folder / "site"
        home.mkdir()
        site = Site(home).initialise()
        site.cli(
            "credential", "add", "exchange", "exchange", "--username", USERNAME, "--password-file", "-",
            given=PASSWORD, code=0,
        )  # fmt: skip
        ca = organisation.ca
        made = site.cli(
            "exchange", "setup", "--json", "--email", "postmaster@contoso.test", *organisation.reach_options,
            *(word for port in organisation.verify for word in ("--verify", port)),
            "--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file),
            "--http-address", ca.http_address, "--http-check-via", ca.http_address,
            code=0,
        )  # fmt: skip
        managed = json.loads(made.out)["id"]
        site.cli("certificate", "request", managed, code=0)
        site.cli("exchange", "acknowledge", OUTBOUND, code=0)
        yield organisation, site, managed
