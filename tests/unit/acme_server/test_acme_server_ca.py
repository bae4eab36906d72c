import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from certwright.acme_server import PROFILES, CaConfig, CertificateAuthority, KeyType, Profile
from certwright.acme_server.ca import Chain, pem
from certwright.acme_server.identifiers import Identifier

CLASSIC, TLSSERVER = PROFILES["classic"], PROFILES["tlsserver"]


def accepted(chain: Chain, root: x509.Certificate, name: str, at: datetime | None = None) -> None:
    """Return if the Web PKI's rules, as cryptography has them, accept the chain."""
    builder = PolicyBuilder().store(Store([root])).time(at or datetime.now(UTC))
    builder.build_server_verifier(x509.DNSName(name)).verify(chain[0], list(chain[1:]))


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    return certificate.extensions.get_extension_for_class(kind)


@pytest.mark.parametrize("key_type", list(KeyType))
def test_chains_of_all_key_types_are_accepted(key_type: KeyType) -> None:
    ca = CertificateAuthority(CaConfig(root_key=key_type, intermediate_keys=(key_type,)))
    made = ca.issue_directly(["mail.contoso.test"], key_type)
    accepted(made.chain, ca.roots[0], "mail.contoso.test")
    with pytest.raises(VerificationError):
        accepted(made.chain, ca.roots[0], "other.contoso.test")
    assert made.certificate.public_key() == made.private_key.public_key()
    assert load_pem_private_key(made.private_key_pem, None).public_key() == made.private_key.public_key()


def test_openssl_accepts_the_chain_strictly(tmp_path: Path) -> None:
    ca = CertificateAuthority()
    made = ca.issue_directly(["mail.contoso.test"], KeyType.RSA_2048)
    (tmp_path / "root.pem").write_bytes(ca.root_pem)
    (tmp_path / "chain.pem").write_bytes(made.chain_pem)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "mail.contoso.test"]
    root, chain = str(tmp_path / "root.pem"), str(tmp_path / "chain.pem")
    files = ["-CAfile", root, "-untrusted", chain, chain]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_classic_has_a_common_name_and_rsa_keys_encipher() -> None:
    ca = CertificateAuthority()
    by_rsa, by_ecdsa = (
        ca.issue_directly(["a.contoso.test"], key_type, profile=CLASSIC).certificate
        for key_type in (KeyType.RSA_2048, KeyType.ECDSA_P256)
    )
    assert by_rsa.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "a.contoso.test"
    assert not extension(by_rsa, x509.SubjectAlternativeName).critical
    assert extension(by_rsa, x509.KeyUsage).value.key_encipherment
    assert not extension(by_ecdsa, x509.KeyUsage).value.key_encipherment


def test_tlsserver_has_neither() -> None:
    made = CertificateAuthority().issue_directly(["a.contoso.test"], KeyType.RSA_2048, profile=TLSSERVER).certificate
    assert not list(made.subject)
    assert extension(made, x509.SubjectAlternativeName).critical  # RFC 5280 section 4.2.1.6
    assert not extension(made, x509.KeyUsage).value.key_encipherment


def test_a_leaf_has_the_extensions_of_a_servers_certificate() -> None:
    ca = CertificateAuthority()
    leaf, intermediate = ca.issue_directly(["a.contoso.test"]).chain
    constraints, usage = extension(leaf, x509.BasicConstraints), extension(leaf, x509.KeyUsage)
    assert (constraints.value.ca, constraints.critical) == (False, True)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert list(extension(leaf, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    own = extension(leaf, x509.SubjectKeyIdentifier).value.digest
    assert own == x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()).digest
    upper = extension(intermediate, x509.SubjectKeyIdentifier).value.digest
    assert extension(leaf, x509.AuthorityKeyIdentifier).value.key_identifier == upper


def test_lifetimes_count_both_ends() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    made = CertificateAuthority(clock=lambda: now).issue_directly(["a.contoso.test"], profile=TLSSERVER).certificate
    assert made.not_valid_before_utc == now - timedelta(hours=1)
    assert made.not_valid_after_utc == made.not_valid_before_utc + timedelta(days=45, seconds=-1)


def test_a_certificate_of_seconds_is_valid_when_it_is_issued() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    short = {"short": Profile(description="", lifetime=timedelta(seconds=20))}
    ca = CertificateAuthority(CaConfig(profiles=short), clock=lambda: now)
    made = ca.issue_directly(["a.contoso.test"], profile=short["short"]).certificate
    assert made.not_valid_before_utc < now < made.not_valid_after_utc <= now + timedelta(seconds=20)


def test_old_certificates_can_be_made() -> None:
    ca, now = CertificateAuthority(), datetime.now(UTC).replace(microsecond=0)
    start, end = now - timedelta(days=90), now - timedelta(days=1)
    made = ca.issue_directly(["a.contoso.test", "127.0.0.1", "::1"], not_before=start, not_after=end)
    assert (made.certificate.not_valid_before_utc, made.certificate.not_valid_after_utc) == (start, end)
    accepted(made.chain, ca.roots[0], "a.contoso.test", start + timedelta(days=1))
    addresses = extension(made.certificate, x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["127.0.0.1", "::1"]


def test_intermediates_take_turns_and_have_names_of_their_own() -> None:
    ca = CertificateAuthority(CaConfig(intermediate_keys=(KeyType.ECDSA_P256, KeyType.RSA_2048)))
    issuers = [ca.issue_directly(["a.contoso.test"]).certificate.issuer.rfc4514_string() for _ in range(4)]
    assert issuers[0] == issuers[2] != issuers[1] == issuers[3]
    assert issuers[0].startswith("CN=Certwright Test CA E1,")
    assert issuers[1].startswith("CN=Certwright Test CA R2,")


def test_the_alternate_root_cross_signs_every_intermediate() -> None:
    ca = CertificateAuthority(CaConfig(alternate_root=True, intermediate_keys=(KeyType.ECDSA_P256,) * 2))
    first, second = ca.roots
    assert first.subject != second.subject
    for _ in range(2):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        made = ca.issue(key, [Identifier("dns", "a.contoso.test")], CLASSIC)
        for chain, root in zip(made.chains, (first, second), strict=True):
            accepted(chain, root, "a.contoso.test")
    assert ca.root_pem == pem(first)


def test_a_name_too_long_for_a_common_name_is_left_to_the_others() -> None:
    ca, long = CertificateAuthority(), "x" * 60 + ".contoso.test"
    key = rsa.generate_private_key(65537, 2048).public_key()
    for names, common_name in (([long, "b.contoso.test"], "b.contoso.test"), ([long], None)):
        made = ca.issue(key, [Identifier("dns", name) for name in names], CLASSIC).certificate
        found = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert [attribute.value for attribute in found] == ([common_name] if common_name else [])


def test_keys_do_not_show_in_a_repr() -> None:
    made = CertificateAuthority().issue_directly(["a.contoso.test"])
    assert "key" not in repr(made)
