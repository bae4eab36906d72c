"""The command line against Pebble in strict mode: from an empty folder to an exported certificate, and a renewal."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from peers.pebble import Pebble, pebble
from peers.ports import free_port
from world.site import Site

pytestmark = pytest.mark.e2e
NAMES = ("mail.contoso.com", "autodiscover.contoso.com")
MAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def issuer(ca: Pebble) -> list[str]:
    directory = ["--directory", ca.directory_url, "--email", "postmaster@contoso.com"]
    return ["issuer", "add", "acme", "pebble", *directory, "--ca-file", str(ca.ca_file), "--agree-tos"]


def listener(port: int) -> list[str]:
    return ["--http-address", f"127.0.0.1:{port}", "--http-check-via", f"127.0.0.1:{port}"]


def test_a_certificate_is_requested_exported_and_renewed(tmp_path: Path) -> None:
    site, port = Site(tmp_path), free_port()
    with pebble(tmp_path / "pebble", nonce_reject=20, authz_reuse=50, http_port=port) as ca:
        site.cli("init", code=0)
        site.cli(*issuer(ca), code=0)
        site.cli("certificate", "new", *NAMES, "--issuer", "pebble", "--key", "ecdsa-p256", *listener(port), code=0)
        site.cli("certificate", "test", NAMES[0], code=0)
        first = json.loads(site.cli("certificate", "request", NAMES[0], "--json", code=0).out)
        site.cli("certificate", "request", NAMES[0], code=3)
        again = json.loads(site.cli("certificate", "renew", NAMES[0], "--force", "--json", code=0).out)
        site.cli("certificate", "export", NAMES[0], "--to", str(tmp_path / "out"), code=0)
        exported = x509.load_pem_x509_certificate((tmp_path / "out" / f"{NAMES[0]}.cert.pem").read_bytes())
        site.cli("certificate", "revoke", NAMES[0], "--reason", "superseded", "--yes", code=0)
        status = ca.certificate_status(exported.serial_number)["Status"]
    assert again[0]["issued"]["id"] != first["issued"]["id"]
    assert exported.public_bytes(Encoding.PEM).decode() in again[0]["issued"]["chain_pem"]
    assert status == "Revoked"


def test_an_external_account_and_a_preferred_chain_of_three(tmp_path: Path) -> None:
    site, port = Site(tmp_path), free_port()
    accounts = {"customer-1": MAC_KEY}
    with pebble(
        tmp_path / "pebble", external_accounts=accounts, alternate_roots=2, chain_length=3, http_port=port
    ) as ca:
        wanted = x509.load_pem_x509_certificate(ca.root(2)).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0]
        site.cli("init", code=0)
        refused = site.cli(*issuer(ca), code=2)
        site.cli(*issuer(ca), "--eab-kid", "customer-1", "--eab-key-file", "-", given=f"{MAC_KEY}\n", code=0)
        options = ["--issuer", "pebble", "--preferred-chain", str(wanted.value), "--key", "ecdsa-p256", *listener(port)]
        site.cli("certificate", "new", *NAMES, *options, code=0)
        issued = json.loads(site.cli("certificate", "request", NAMES[0], "--json", code=0).out)["issued"]
    chain = x509.load_pem_x509_certificates(issued["chain_pem"].encode())
    assert "external account" in refused.err
    assert len(chain) == 4
    assert chain[-1].issuer.get_attributes_for_oid(NameOID.COMMON_NAME) == [wanted]
