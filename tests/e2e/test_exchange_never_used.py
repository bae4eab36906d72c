"""A version that was imported and never used is not taken for what the next one replaces."""

from pathlib import Path

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.exchange_simulator.faults import Fail
from world.contoso import OUTBOUND, PASSWORD, PUBLIC, USERNAME, contoso
from world.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_after_a_deployment_that_was_refused_and_taken_back_the_renewal_replaces_what_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site").initialise()
    site.cli(
        "credential", "add", "exchange", "exchange", "--username", USERNAME, "--password-file", "-",
        given=PASSWORD, code=0,
    )  # fmt: skip
    with contoso(tmp_path / "exchange", ["EX01", "EX02"]) as organisation:
        ca, (first, _) = organisation.ca, organisation.servers
        site.cli(
            "exchange", "setup", "--json", "--email", "postmaster@contoso.test", *organisation.reach_options,
            *(word for port in organisation.verify for word in ("--verify", port)),
            "--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file),
            "--http-address", ca.http_address, "--http-check-via", ca.http_address,
            code=0,
        )  # fmt: skip
        site.cli("exchange", "acknowledge", OUTBOUND, code=0)
        site.cli("certificate", "request", PUBLIC, code=0)
        first.faults.inject(Fail("Access is denied."), "Enable-ExchangeCertificate", times=None)
        site.cli("exchange", "apply", PUBLIC, "--yes", code=1)
        unused = CertificateFacts.of(ca.server.issued[-1].certificate)
        assert not first.state.certificates[unused.thumbprint].services
        first.faults.heal()

        site.cli("certificate", "renew", PUBLIC, "--force", code=4)
        site.cli("exchange", "apply", PUBLIC, "--yes", code=0)
        new = CertificateFacts.of(ca.server.issued[-1].certificate)
        assert new.thumbprint != unused.thumbprint
        assert set(organisation.served().values()) == {new.sha256}
        stored = first.state.certificates[new.thumbprint]
        assert set(organisation.connectors.values()) == {stored.tls_certificate_name}
        told = site.cli("exchange", "verify", PUBLIC, code=0)
        assert "IMAP" in told.out
