"""PKCS#12 files, read back by `cryptography` and, where it is installed, by the openssl command."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.domain.errors import InvalidMaterial
from certwright.domain.formats import PfxCipher, intermediates, pkcs7_bytes, pkcs12_bytes
from certwright.domain.keys import load_private_key
from unit.domain.workshop import Authority, ec_key, general_names

ROOT, INTERMEDIATE, OLD_ROOT = Authority("Root"), Authority("Intermediate"), Authority("Old Root")
KEY = ec_key()
SERVER = INTERMEDIATE.certify("mail.contoso.com", KEY, names=general_names(["mail.contoso.com"]))
CHAIN = [SERVER, ROOT.issuer_certificate(INTERMEDIATE), OLD_ROOT.issuer_certificate(ROOT), OLD_ROOT.root()]


@pytest.mark.parametrize("cipher", PfxCipher)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
@settings(max_examples=8)  # a PFX is slow by design
def test_what_is_written_is_read_back(cipher: PfxCipher, password: str) -> None:
    data = pkcs12_bytes(KEY, CHAIN, password, cipher, "mail — Büro")
    found = pkcs12.load_pkcs12(data, password.encode())
    assert found.cert is not None
    assert found.cert.certificate == SERVER
    assert found.cert.friendly_name == "mail — Büro".encode()
    assert [other.certificate for other in found.additional_certs] == CHAIN[1:3]
    assert load_private_key(data, password.encode()).private_numbers() == KEY.private_numbers()


def test_the_issuers_alone_are_written_without_the_root() -> None:
    data = pkcs7_bytes(intermediates([*CHAIN, CHAIN[1]]))
    assert set(pkcs7.load_der_pkcs7_certificates(data)) == {*CHAIN[1:3]}
    with pytest.raises(InvalidMaterial, match="no certificate of an issuer"):
        pkcs7_bytes(intermediates([SERVER, OLD_ROOT.root()]))


@pytest.mark.parametrize(
    ("cipher", "mac", "encryption"),
    [
        (PfxCipher.LEGACY, "MAC: sha1,", "pbeWithSHA1And3-KeyTripleDES-CBC"),
        (PfxCipher.MODERN, "MAC: sha256,", "PBES2, PBKDF2, AES-256-CBC, Iteration 50000, PRF hmacWithSHA256"),
    ],
)
@pytest.mark.parametrize("password", ["secret", "pässwörd", "密码", "🔑 key", "-passin"])
def test_openssl_reads_it_and_finds_the_ciphers(
    tmp_path: Path, cipher: PfxCipher, mac: str, encryption: str, password: str
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("the openssl command is not installed")
    file = tmp_path / "mail.pfx"
    file.write_bytes(pkcs12_bytes(KEY, CHAIN, password, cipher, "mail"))
    legacy = ["-legacy"] if cipher is PfxCipher.LEGACY and _openssl_knows_legacy() else []
    done = subprocess.run(
        ["openssl", "pkcs12", "-in", file, "-nodes", "-info", "-passin", "stdin", *legacy],
        input=f"{password}\n",
        capture_output=True,
        encoding="utf-8",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=True,
        timeout=60,
    )
    assert mac in done.stderr
    assert set(re.findall(r"(?:Encrypted data|Keybag): (.*)", done.stderr)) == {
        encryption + (", Iteration 50000" if cipher is PfxCipher.LEGACY else "")
    }
    assert re.findall(r"subject=CN ?= ?(.*)", done.stdout) == ["mail.contoso.com", "Intermediate", "Root"]
    assert done.stdout.count("BEGIN PRIVATE KEY") == 1


def _openssl_knows_legacy() -> bool:
    """OpenSSL 3 keeps 3DES in a provider of its own; older ones have no such option."""
    told = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True, timeout=60).stdout
    return not told.startswith(("OpenSSL 0.", "OpenSSL 1."))


def test_a_certificate_given_twice_is_written_once() -> None:
    data = pkcs12_bytes(KEY, [SERVER, SERVER, CHAIN[1], CHAIN[1]], "x", PfxCipher.MODERN, "mail")
    found = pkcs12.load_pkcs12(data, b"x")
    assert [other.certificate for other in found.additional_certs] == [CHAIN[1]]


def test_a_self_signed_certificate_of_its_own_is_written() -> None:
    alone = Authority("ex01", KEY).certify("ex01", KEY)
    found = pkcs12.load_pkcs12(pkcs12_bytes(KEY, [alone], "x", PfxCipher.LEGACY, "ex01"), b"x")
    assert found.cert is not None
    assert found.cert.certificate == alone


def test_the_key_must_belong_to_the_leaf() -> None:
    with pytest.raises(InvalidMaterial, match="does not belong"):
        pkcs12_bytes(ec_key(), CHAIN, "x", PfxCipher.MODERN, "mail")


@pytest.mark.parametrize("cipher", PfxCipher)
def test_a_pfx_has_a_password(cipher: PfxCipher) -> None:
    with pytest.raises(InvalidMaterial, match="password of the PFX file is empty"):
        pkcs12_bytes(KEY, CHAIN, "", cipher, "mail")
