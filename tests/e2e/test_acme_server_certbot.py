"""certbot, from PyPI, as its users run it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certwright.acme_server import AcmeServer, AcmeServerConfig, CaConfig, KeyType
from certwright.acme_server.renewal_info import certificate_identifier
from peers.acme_server import loopback_config
from peers.ports import free_port

pytestmark = pytest.mark.e2e
CERTBOT = Path(sys.executable).with_name("certbot")


@dataclass(frozen=True, slots=True)
class Certbot:
    server: AcmeServer
    folder: Path
    http_port: int

    def run(self, *arguments: str, status: int = 0) -> str:
        """certbot's output; ``status`` is the exit code expected."""
        folders = [f"--{name}-dir={self.folder / name}" for name in ("config", "work", "logs")]
        common = ["--non-interactive", f"--server={self.server.directory_url}", *folders]
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(self.server.ca_file)}
        done = subprocess.run(
            [CERTBOT, *arguments, *common], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def register(self, *arguments: str) -> None:
        self.run("register", "--agree-tos", "--email=admin@contoso.test", *arguments)

    def certonly(self, *names: str, status: int = 0, options: tuple[str, ...] = ()) -> str:
        wanted = [f"--domain={name}" for name in names]
        standalone = ("--standalone", f"--http-01-port={self.http_port}", "--http-01-address=127.0.0.1")
        return self.run("certonly", *standalone, *wanted, *options, status=status)

    def chain(self, name: str) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates((self.folder / "config/live" / name / "fullchain.pem").read_bytes())


def certbot(config: AcmeServerConfig, folder: Path) -> tuple[AcmeServer, Certbot]:
    port = free_port()
    server = AcmeServer(loopback_config(config, http_port=port))
    return server, Certbot(server, folder, port)


def test_certbot_registers_gets_renews_and_revokes(tmp_path: Path) -> None:
    server, client = certbot(AcmeServerConfig(), tmp_path)
    with server:
        client.register()
        client.certonly("mail.contoso.test", "autodiscover.contoso.test")
        first, *_ = client.chain("mail.contoso.test")
        client.run("renew", "--force-renewal", "--no-random-sleep-on-renew")
        second, intermediate = client.chain("mail.contoso.test")
        assert [issued.certificate for issued in server.issued] == [first, second]
        second.verify_directly_issued_by(intermediate)
        client.run("revoke", "--cert-name=mail.contoso.test", "--reason=superseded")
        revocations = [issued.revocation for issued in server.issued]
        assert revocations[0] is None
        assert revocations[1] is not None
        assert revocations[1].reason == 4
        assert {issued.account_url for issued in server.issued} == {server.issued[0].account_url}


def test_certbot_chooses_a_profile_and_a_chain_and_binds_an_external_account(tmp_path: Path) -> None:
    config = AcmeServerConfig(
        external_account_required=True,
        external_account_keys={"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
        ca=CaConfig(alternate_root=True, intermediate_keys=(KeyType.RSA_2048,)),
    )
    server, client = certbot(config, tmp_path)
    with server:
        key = config.external_account_keys["kid-1"]
        client.register("--eab-kid=kid-1", f"--eab-hmac-key={key}")
        options = ("--preferred-profile=tlsserver", "--preferred-chain=Certwright Test CA Root 2", "--key-type=rsa")
        client.certonly("mail.contoso.test", options=options)
        leaf, intermediate = client.chain("mail.contoso.test")
        assert not list(leaf.subject)
        intermediate.verify_directly_issued_by(server.ca.roots[1])


def test_certbot_renews_when_the_server_says_so(tmp_path: Path) -> None:
    # certbot asks again only after Retry-After.
    server, client = certbot(AcmeServerConfig(finalize_delay=0.5, renewal_info_retry_after=0), tmp_path)
    with server:
        client.register()
        client.certonly("mail.contoso.test")
        leaf, *_ = client.chain("mail.contoso.test")
        client.run("renew", "--no-random-sleep-on-renew")
        assert len(server.issued) == 1
        start = leaf.not_valid_before_utc
        server.set_renewal_window(leaf, start, start + timedelta(minutes=30), "https://ca.contoso.test/incident")
        client.run("renew", "--no-random-sleep-on-renew")
        assert len(server.issued) == 2
        assert server.issued[0].certificate_id == certificate_identifier(leaf)


def test_certbot_shows_what_the_server_refuses(tmp_path: Path) -> None:
    server, client = certbot(AcmeServerConfig(forbidden_domains=("bank.test",)), tmp_path)
    with server:
        client.register()
        told = client.certonly("www.bank.test", "mail.contoso.test", status=1)
        assert "This CA does not issue for www.bank.test: forbidden by policy" in told
        wrong_port = Certbot(server, tmp_path, free_port())
        told = wrong_port.certonly("mail.contoso.test", status=1)
        assert "cannot be reached at 127.0.0.1" in told
        assert not server.issued


def test_certbot_gets_a_certificate_for_an_address_and_minds_no_challenge_that_it_does_not_know(tmp_path: Path) -> None:
    server, client = certbot(AcmeServerConfig(caa_identities=("ca.contoso.test",)), tmp_path)
    with server:
        client.register()
        client.certonly("mail.contoso.test", options=("--ip-address=127.0.0.1", "--preferred-profile=shortlived"))
        (issued,) = server.issued
    assert {name.value for name in issued.identifiers} == {"mail.contoso.test", "127.0.0.1"}
