"""Facts of certificates, and the order of chains."""

import hashlib
import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from certwright.domain.certificates import (
    CLIENT_AUTHENTICATION,
    MAX_CHAIN,
    MAX_FILE,
    SERVER_AUTHENTICATION,
    CertificateFacts,
    key_matches,
    load_certificates,
    order_chain,
    pem,
)
from certwright.domain.errors import ConfigurationError, InvalidMaterial
from certwright.domain.keys import KeyType
from unit.domain.workshop import START, Authority, damaged, der, ec_key, general_names, leaf, request, rsa_key

MAIL = leaf("mail.contoso.com", "*.contoso.com", "192.0.2.1", "2001:db8::1")


def test_facts_are_what_the_certificate_says() -> None:
    facts = CertificateFacts.of(MAIL)
    assert facts.subject == facts.issuer == "CN=mail.contoso.com"
    assert facts.common_name == facts.issuer_common_name == "mail.contoso.com"
    assert [str(name) for name in facts.names] == ["mail.contoso.com", "*.contoso.com", "192.0.2.1", "2001:db8::1"]
    assert (facts.not_before, facts.not_after) == (START, START + timedelta(days=90))
    assert facts.lifetime == timedelta(days=90)
    assert int(facts.serial, 16) == MAIL.serial_number
    assert facts.thumbprint == hashlib.sha1(der(MAIL), usedforsecurity=False).hexdigest().upper()
    assert facts.sha256 == hashlib.sha256(der(MAIL)).hexdigest()
    assert facts.key == KeyType.ECDSA_P256
    assert facts.is_self_signed
    assert not facts.is_ca


def test_validity_includes_both_ends() -> None:
    facts = CertificateFacts.of(MAIL)
    tick = timedelta(microseconds=1)
    assert [facts.is_valid_at(at) for at in (facts.not_before - tick, facts.not_before)] == [False, True]
    assert [facts.is_valid_at(at) for at in (facts.not_after, facts.not_after + tick)] == [True, False]


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        (general_names(["mail.contoso.com"]), "MAIL.contoso.com", True),
        (general_names(["*.contoso.com"]), "a.b.contoso.com", False),
        (general_names(["192.0.2.1"]), "192.0.2.1", True),
        ([x509.DNSName("192.0.2.1")], "192.0.2.1", False),  # an address is covered by an address only
        ([x509.DNSName("[2001:db8::1]")], "2001:db8::1", False),
        ([x509.DNSName(" mail.contoso.com")], "mail.contoso.com", False),
        ([x509.DNSName("mail.contoso.com.")], "mail.contoso.com", False),
        ([x509.DNSName("EX01_OLD"), x509.DNSName("EX01")], "ex01", True),
        ([x509.RFC822Name("mail.contoso.com")], "mail.contoso.com", False),
        ([x509.UniformResourceIdentifier("mail.contoso.com")], "mail.contoso.com", False),
        ([], "mail.contoso.com", False),
    ],
)
def test_only_alternative_names_of_the_right_type_cover_a_host(
    names: list[x509.GeneralName], host: str, expected: bool
) -> None:
    certificate = Authority("ca").certify("mail.contoso.com", ec_key(), names=names)
    assert CertificateFacts.of(certificate).covers(host) is expected


def test_the_common_name_covers_nothing() -> None:
    facts = CertificateFacts.of(Authority("ca").certify("mail.contoso.com", ec_key()))
    assert facts.common_name == "mail.contoso.com"
    assert not facts.names
    assert not facts.covers("mail.contoso.com")


@pytest.mark.parametrize(
    ("usages", "client", "server"),
    [
        ((), True, True),
        (("1.3.6.1.5.5.7.3.1",), False, True),
        (("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"), True, True),
        (("2.5.29.37.0",), True, True),
        (("1.2.3.4",), False, False),
    ],
)
def test_a_certificate_is_good_for_what_it_lists_and_for_all_if_it_lists_nothing(
    usages: tuple[str, ...], client: bool, server: bool
) -> None:
    facts = CertificateFacts.of(Authority("ca").certify("mail", ec_key(), usages=usages))
    assert facts.extended_key_usage == usages
    assert facts.allows(CLIENT_AUTHENTICATION) is client
    assert facts.allows(SERVER_AUTHENTICATION) is server


def test_what_a_certificate_is_good_for_is_not_guessed_where_it_was_not_kept() -> None:
    kept = TypeAdapter(CertificateFacts).dump_python(CertificateFacts.of(MAIL), mode="json")
    del kept["extended_key_usage"]
    facts = TypeAdapter(CertificateFacts).validate_python(kept)
    assert facts.extended_key_usage is None
    assert facts.allows(CLIENT_AUTHENTICATION) is None


def test_a_certificate_in_any_script_is_read() -> None:
    facts = CertificateFacts.of(Authority("Prüfstelle Ω").certify("メール", rsa_key()))
    assert (facts.common_name, facts.issuer_common_name) == ("メール", "Prüfstelle Ω")
    assert facts.key == KeyType.RSA_2048


def test_a_key_that_we_do_not_make_is_other() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    facts = CertificateFacts.of(Authority("ca").certify("x", key))
    assert facts.key == "other"


def _with_serial(serial: bytes) -> bytes:
    """A certificate whose serial number is these four bytes: its signature no longer fits, which is not read here."""
    data = der(Authority("ca").certify("x", ec_key(), serial=0x41414141))
    assert data.count(b"\x02\x04AAAA") == 1
    return data.replace(b"\x02\x04AAAA", b"\x02\x04" + serial)


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@pytest.mark.parametrize(
    ("serial", "shown"),
    [(b"\xfe\xff\xff\x00", "-1000100"), (b"\x80\x00\x00\x00", "-80000000"), (b"\x00\x80\x00\x01", "800001")],
)
def test_odd_serial_numbers_are_read(serial: bytes, shown: str) -> None:
    (certificate,) = load_certificates(_with_serial(serial))
    assert CertificateFacts.of(certificate).serial == shown


def test_twice_the_same_extension_leaves_no_names() -> None:
    first = Authority("ca").certify("x", ec_key(), names=general_names(["mail.contoso.com"]))
    basic, alternative = bytes.fromhex("0603551d13"), bytes.fromhex("0603551d11")  # their object identifiers
    (certificate,) = load_certificates(der(first).replace(basic, alternative))
    facts = CertificateFacts.of(certificate)
    assert facts.names == ()
    assert not facts.is_ca


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@given(st.binary(max_size=200) | damaged(der(MAIL)) | damaged(pem([MAIL])))
@example(b"")
@example(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
def test_any_bytes_are_certificates_with_facts_or_a_configuration_error(data: bytes) -> None:
    try:
        found = load_certificates(data)
    except ConfigurationError:
        return
    for certificate in found:
        facts = CertificateFacts.of(certificate)
        assert len(facts.thumbprint) == 40
        assert len(facts.sha256) == 64
        facts.covers("mail.contoso.com")
        key_matches(ec_key(), certificate)
    with suppress(ConfigurationError):
        assert order_chain([*found, MAIL])


def test_pem_and_der_are_read_alike_and_other_blocks_passed_over() -> None:
    root = Authority("root").root()
    text = (
        b"Bag Attributes\n    friendlyName: x\n"
        + pem([MAIL])
        + b"-----BEGIN X-----\nAAAA\n-----END X-----\n"
        + pem([root])
    )
    assert load_certificates(text) == [MAIL, root]
    assert load_certificates(text.replace(b"\n", b"\r\n")) == [MAIL, root]
    assert load_certificates(der(MAIL)) == [MAIL]


def test_too_many_certificates_and_huge_files_are_refused() -> None:
    assert len(load_certificates(pem([MAIL] * MAX_CHAIN))) == MAX_CHAIN
    with pytest.raises(InvalidMaterial, match="11 certificates; a chain has at most 10"):
        load_certificates(pem([MAIL] * (MAX_CHAIN + 1)))
    with pytest.raises(InvalidMaterial, match=f"{MAX_FILE} are the most"):
        load_certificates(b"-----BEGIN CERTIFICATE-----\n" * 1_000_000)
    with pytest.raises(InvalidMaterial, match="11 certificates"):
        order_chain([leaf(f"x{i}.com") for i in range(MAX_CHAIN + 1)])


class TestChains:
    root, intermediate, old_root = Authority("Root"), Authority("Intermediate"), Authority("Old Root")
    server = intermediate.certify("mail.contoso.com", ec_key(), names=general_names(["mail.contoso.com"]))
    issuing = root.issuer_certificate(intermediate)
    anchor = root.root()
    cross = old_root.issuer_certificate(root)
    old_anchor = old_root.root()

    @pytest.mark.parametrize("given_order", list(itertools.permutations(range(3))))
    def test_whatever_the_order_given_the_leaf_comes_first(self, given_order: tuple[int, ...]) -> None:
        chain = [self.server, self.issuing, self.anchor]
        assert order_chain([chain[i] for i in given_order]) == chain

    def test_duplicates_and_strangers_are_left_out(self) -> None:
        stranger = Authority("Stranger").root()
        given_certificates = [self.issuing, self.server, stranger, self.issuing, self.server]
        assert order_chain(given_certificates) == [self.server, self.issuing]

    @pytest.mark.parametrize("given_order", list(itertools.permutations(range(5))))
    def test_a_cross_sign_leads_on_to_the_root_that_is_known(self, given_order: tuple[int, ...]) -> None:
        everything = [self.server, self.issuing, self.anchor, self.cross, self.old_anchor]
        ordered = order_chain([everything[i] for i in given_order])
        assert ordered == [self.server, self.issuing, self.cross, self.old_anchor]

    def test_a_root_that_was_renewed_is_there_once(self) -> None:
        renewed = self.root.root()
        assert order_chain([renewed, self.server, self.anchor, self.issuing]) == [self.server, self.issuing, renewed]

    def test_two_authorities_that_certify_each_other_end(self) -> None:
        back = self.root.issuer_certificate(self.old_root)
        assert order_chain([self.server, self.issuing, self.cross, back]) == [
            self.server,
            self.issuing,
            self.cross,
            back,
        ]

    def test_a_chain_with_a_gap_ends_there(self) -> None:
        assert order_chain([self.old_anchor, self.server, self.issuing]) == [self.server, self.issuing]

    def test_the_same_name_with_another_key_is_not_the_issuer(self) -> None:
        impostor = Authority("Root").issuer_certificate(Authority("Intermediate"))
        assert order_chain([self.server, impostor, self.issuing]) == [self.server, self.issuing]

    def test_a_self_signed_certificate_is_a_chain(self) -> None:
        assert order_chain([MAIL]) == [MAIL]
        assert order_chain([self.anchor]) == [self.anchor]

    @pytest.mark.parametrize("count", [0, 2])
    def test_a_chain_has_one_leaf(self, count: int) -> None:
        servers = [self.intermediate.certify(f"ex0{i}.contoso.com", ec_key()) for i in range(count)]
        with pytest.raises(InvalidMaterial, match=f"{count} of the {count} certificates"):
            order_chain(servers)


def test_a_key_belongs_to_what_was_made_for_it() -> None:
    ours, theirs = ec_key(), ec_key()
    for thing in (Authority("ca").certify("x", ours), request("x", key=ours)):
        assert key_matches(ours, thing)
        assert not key_matches(theirs, thing)
        assert not key_matches(rsa_key(), thing)


def test_pem_keeps_the_order() -> None:
    root = Authority("root").root()
    assert pem([MAIL, root]) == MAIL.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)


def test_dates_far_away_are_read() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    start = datetime(1950, 1, 1, tzinfo=UTC)
    facts = CertificateFacts.of(Authority("ca").certify("x", ec_key(), start=start, lifetime=end - start))
    assert (facts.not_before, facts.not_after) == (start, end)
