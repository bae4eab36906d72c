"""The simulated Exchange as the probe sees it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from certwright.exchange_simulator import ExchangeOrganisation, ServerSpec
from certwright.probe import WEB_PATHS, Health, Target, Trust, attempt_sign_in, look_at_web, probe, probe_all
from certwright.probe.outside import outside_script, public_targets, read_outside_report
from peers.exchange_shell import TestAuthority

pytestmark = pytest.mark.e2e
NAME = "mail.contoso.test"
HOST = "127.0.0.1"


def test_the_simulated_exchange_is_healthy() -> None:
    authority = TestAuthority()
    endpoint = authority.issue("ex01.contoso.test", address=HOST)
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", smtp_fqdn="ex01.contoso.test")
    with ExchangeOrganisation(
        [spec], tls_chain=endpoint.chain_pem, tls_key=endpoint.key_pem, username="admin", password="the password"
    ) as organisation:
        ports = organisation["EX01"].ports
        target = Target(*ports[443], server_name=NAME)
        answers = look_at_web(target, WEB_PATHS)
        found = attempt_sign_in(target)
        smtp = probe(Target(*ports[25], "smtp", expected_name=NAME))
    assert {answer.health for answer in answers} == {Health.GOOD}
    assert found.health is Health.GOOD, found.evidence
    assert smtp.greeting is not None
    assert smtp.greeting.ehlo_name == "ex01.contoso.test"
    assert smtp.greeting.banner.startswith("ex01.contoso.test Microsoft ESMTP MAIL Service ready")


def test_it_is_seen_from_outside_as_it_is_from_here(tmp_path: Path) -> None:
    authority = TestAuthority()
    endpoint = authority.issue("ex01.contoso.test", address=HOST)
    served = authority.issue(NAME, rsa_key=True)
    spec = ServerSpec(name="EX01", fqdn="ex01.contoso.test", smtp_fqdn=NAME)
    program = tmp_path / "certwright-outside.py"
    with ExchangeOrganisation(
        [spec], tls_chain=endpoint.chain_pem, tls_key=endpoint.key_pem, username="admin", password="the password"
    ) as organisation:
        server = organisation["EX01"]
        server.add_certificate(served.pfx("a one-time password"), "a one-time password")
        standard = public_targets(HOST, NAME)
        targets = [replace(target, port=server.ports[target.port][1]) for target in standard]
        expected = served.certificate.fingerprint(hashes.SHA256()).hex()
        here = probe_all(targets, Trust((authority.root,)), expected)
        program.write_text(outside_script(targets, expected, []))
        done = subprocess.run(
            [sys.executable, "-S", "-I", program, "--json"],
            env={**os.environ, "SSL_CERT_FILE": str(authority.write_root(tmp_path))},
            capture_output=True,
            timeout=100,
            check=False,
        )
    assert [(seen.matches_expected, seen.trusted, seen.covers_name, seen.failure) for seen in here] == [
        (True, True, True, None)
    ] * 8
    assert done.returncode == 0, done.stdout
    assert [row.verdict for row in read_outside_report(done.stdout).rows] == ["ok"] * 8
