from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import InvalidMaterial
from certwright.probe import ProblemKind, Trust
from certwright.probe.chain import judge, lenient_parsing, name_problem
from unit.probe.pki import DAY, NOW, WEAK_KEY, Issued, issue

ROOT = issue("Root", ca=True)
MIDDLE = issue("Middle", ROOT, ca=True)
LEAF = issue("mail.contoso.test", MIDDLE)
CLIENT_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SERVER_TOO = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
SIGNS_NOTHING = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def verdict(sent: Sequence[Issued], *roots: Issued) -> list[ProblemKind]:
    trust = Trust(tuple(root.certificate for root in roots))
    return [problem.kind for problem in judge([issued.certificate for issued in sent], trust, NOW)]


@pytest.mark.parametrize(
    "sent",
    [
        [LEAF, MIDDLE],
        [LEAF, MIDDLE, ROOT],
        [LEAF, ROOT, issue("Somebody else", ca=True), MIDDLE],
    ],
)
def test_a_chain_to_a_trusted_root_is_accepted_whatever_else_is_sent(sent: list[Issued]) -> None:
    assert verdict(sent, issue("Another root", ca=True), ROOT) == []


def test_a_trusted_intermediate_needs_no_root() -> None:
    assert verdict([LEAF], MIDDLE) == []


def test_a_self_signed_certificate_that_is_trusted_itself_is_accepted() -> None:
    own = issue("ex01.contoso.test")
    assert verdict([own], ROOT, own) == []


def test_a_self_signed_certificate_is_called_that() -> None:
    assert verdict([issue("ex01.contoso.test")], ROOT) == [ProblemKind.SELF_SIGNED]


def test_a_leaf_without_its_issuer_misses_an_intermediate() -> None:
    assert verdict([LEAF], ROOT) == [ProblemKind.MISSING_INTERMEDIATE]


@pytest.mark.parametrize("sent", [[LEAF, MIDDLE], [LEAF, MIDDLE, ROOT]])
def test_a_chain_to_somebody_unknown_has_an_unknown_issuer(sent: list[Issued]) -> None:
    assert verdict(sent, issue("Another root", ca=True)) == [ProblemKind.UNKNOWN_ISSUER]


def test_a_root_of_the_same_name_with_another_key_is_unknown() -> None:
    assert verdict([LEAF, MIDDLE], issue("Root", ca=True)) == [ProblemKind.UNKNOWN_ISSUER]


def test_no_trusted_roots_trust_nobody() -> None:
    assert verdict([LEAF, MIDDLE, ROOT]) == [ProblemKind.UNKNOWN_ISSUER]


def test_an_expired_leaf_is_judged_as_if_it_were_in_date_too() -> None:
    old = issue("mail.contoso.test", MIDDLE, start=NOW - 20 * DAY, end=NOW - 10 * DAY)
    middle = issue("Middle", ROOT, ca=True, key=MIDDLE.key, start=NOW - 30 * DAY)
    root = issue("Root", ca=True, key=ROOT.key, start=NOW - 30 * DAY)
    assert verdict([old, middle], root) == [ProblemKind.EXPIRED]
    assert verdict([old], root) == [ProblemKind.EXPIRED, ProblemKind.MISSING_INTERMEDIATE]


def test_a_leaf_of_the_future_is_not_yet_valid() -> None:
    early = issue("mail.contoso.test", ROOT, start=NOW + DAY / 2, end=NOW + DAY)
    assert verdict([early], ROOT) == [ProblemKind.NOT_YET_VALID]


def test_an_expired_intermediate_is_named() -> None:
    middle = issue("Old middle", ROOT, ca=True, start=NOW - 20 * DAY, end=NOW - 10 * DAY)
    (problem,) = judge(
        [issue("mail.contoso.test", middle).certificate, middle.certificate], Trust((ROOT.certificate,)), NOW
    )
    assert problem.kind is ProblemKind.EXPIRED
    assert "Old middle" in problem.message


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ([issue("mail.contoso.test", no := issue("Not an authority", ROOT)), no], "must be asserted in a CA"),
        (
            [
                issue("mail.contoso.test", no := issue("X", ROOT, ca=True, extensions=[(SIGNS_NOTHING, True)])),
                no,
            ],
            "may not sign",
        ),
        ([issue("mail.contoso.test", ROOT, extensions=[(CLIENT_ONLY, False)])], "not for TLS servers"),
        ([issue("mail.contoso.test", no := issue("Weak", ROOT, ca=True, key=WEAK_KEY)), no], "RSA"),
        (
            [
                issue(
                    "mail.contoso.test",
                    no := issue(
                        "Y", ROOT, ca=True, extensions=[(x509.NameConstraints([x509.DNSName("b.test")], None), True)]
                    ),
                ),
                no,
            ],
            "name constraints",
        ),
    ],
)
def test_what_a_verifier_rejects_is_told_in_its_words(sent: list[Issued], why: str) -> None:
    (problem,) = judge([issued.certificate for issued in sent], Trust((ROOT.certificate,)), NOW)
    assert problem.kind is ProblemKind.REJECTED
    assert why in problem.message


def test_extensions_that_only_the_web_pki_demands_may_be_missing() -> None:
    assert verdict([issue("mail.contoso.test", ROOT, extensions=[(SERVER_TOO, True)])], ROOT) == []


def test_names_are_compared_as_clients_do() -> None:
    facts = CertificateFacts.of(LEAF.certificate)
    assert name_problem(facts, "MAIL.contoso.test") is None
    problem = name_problem(facts, "autodiscover.contoso.test")
    assert problem is not None
    assert problem.message == "The certificate is not for autodiscover.contoso.test: it names mail.contoso.test."


def test_trust_is_read_from_pem() -> None:
    pem = b"".join(issued.certificate.public_bytes(Encoding.PEM) for issued in (ROOT, MIDDLE))
    assert Trust.of_pem(pem).roots == (ROOT.certificate, MIDDLE.certificate)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_pem_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(InvalidMaterial, match="cannot be read"):
        Trust.of_pem(data)


def test_the_system_may_keep_its_roots_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roots.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    assert Trust.system().roots == (ROOT.certificate,)


def test_the_system_may_keep_its_roots_in_a_folder_of_hashed_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = ROOT.certificate.public_bytes(Encoding.PEM)
    files = {"ce5e74ef.0": pem, "ce5e74ef.1": b"damaged", "ce5e74ef.2": b"\xff", "README": b"", "root.pem": pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert Trust.system().roots == (ROOT.certificate,)


def test_a_system_without_roots_trusts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    assert Trust.system().roots == ()


def test_an_odd_serial_number_is_no_reason_to_warn() -> None:
    """Some well-known roots have one."""
    version, one, zero = b"\xa0\x03\x02\x01\x02", b"\x02\x01\x01", b"\x02\x01\x00"
    even = issue("Odd root", ca=True, serial=1).certificate.public_bytes(Encoding.DER)
    odd = even.replace(version + one, version + zero)
    with pytest.warns(CryptographyDeprecationWarning):
        x509.load_der_x509_certificate(odd)
    with lenient_parsing():
        assert x509.load_der_x509_certificate(odd).serial_number == 0
