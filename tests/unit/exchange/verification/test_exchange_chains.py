"""Whether a port sends the certificate together with that of its issuer, and what a person is told if it does not."""

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from certwright.exchange.verification import chains
from certwright.exchange.verification.ports import Port, Sight
from certwright.exchange.verification.verify import served
from certwright.probe import Endpoint, Observation
from peers.exchange_task import NAME, Authority

ROOT = Authority()
POLICY = Authority("Contoso Policy CA", beneath=ROOT)
VERSION = Authority("Contoso Issuing CA", beneath=POLICY).issue()
LEAF, ISSUING, UPPER, TOP = VERSION.chain
OTHER = ROOT.issue()
IIS = Port("ex01.contoso.test", "IIS", Endpoint("10.0.0.1", 443))
FRONT = Port(NAME, "IIS", Endpoint("10.0.0.9", 443), shared=True)


def sight(*sent: x509.Certificate, at: Port = IIS) -> Sight:
    der = tuple(certificate.public_bytes(Encoding.DER) for certificate in sent)
    leaf = {LEAF: VERSION.facts, OTHER.chain[0]: OTHER.facts}[sent[0]]
    return Sight(at, Observation(at.target(NAME), chain=der, leaf=leaf))


def gap(*sent: x509.Certificate, issuers: Sequence[x509.Certificate] = (ISSUING, UPPER)) -> chains.Gap | None:
    return chains.gap(sight(*sent), VERSION.facts.sha256, issuers)


def test_the_certificate_of_its_issuer_must_be_sent() -> None:
    assert gap(LEAF) == gap(LEAF, UPPER) == gap(LEAF, LEAF) == chains.Gap(IIS, "CN=Contoso Issuing CA")


@pytest.mark.parametrize("sent", [(LEAF, ISSUING), (LEAF, ISSUING, UPPER, TOP), (LEAF, UPPER, ISSUING)])
def test_what_is_above_it_may_be_missing(sent: tuple[x509.Certificate, ...]) -> None:
    assert gap(*sent) is None


def test_nothing_is_missed_that_was_not_imported_nor_on_another_certificate() -> None:
    assert gap(LEAF, issuers=()) is None
    assert gap(OTHER.chain[0]) is None
    assert chains.gap(Sight(IIS, Observation(IIS.target(NAME))), VERSION.facts.sha256, [ISSUING]) is None


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_whatever_is_sent_is_judged(rest: list[bytes]) -> None:
    seen = Observation(IIS.target(NAME), chain=(LEAF.public_bytes(Encoding.DER), *rest), leaf=VERSION.facts)
    found = chains.gap(Sight(IIS, seen), VERSION.facts.sha256, [ISSUING])
    assert found is None or not rest


def test_the_plan_hears_of_it() -> None:
    issuers = [ISSUING, UPPER]
    assert served([sight(LEAF)], VERSION.facts.sha256, issuers)[IIS.server].alone
    assert not served([sight(LEAF, ISSUING)], VERSION.facts.sha256, issuers)[IIS.server].alone
    assert not served([sight(LEAF)], VERSION.facts.sha256)[IIS.server].alone


def test_a_person_is_told_what_where_and_the_next_step() -> None:
    gaps = [chains.Gap(IIS, "CN=R12"), chains.Gap(FRONT, "CN=R12")]
    server, front = chains.findings(gaps, "Contoso mail")
    assert server.message.startswith("ex01.contoso.test sends the certificate at 10.0.0.1:443 without")
    assert "CN=R12" in server.message
    assert "    certwright certificate export 'Contoso mail' --format p7b\n    certutil -addstore CA" in server.remedy
    assert front.subject == NAME
    assert "    certwright certificate export 'Contoso mail' --format fullchain" in front.remedy
    assert "certutil" not in front.remedy
    told = "\n".join(chains.person_adds((server, front), "Contoso mail").explain())
    assert "ex01.contoso.test, mail.contoso.test" in told
    assert server.message in told
