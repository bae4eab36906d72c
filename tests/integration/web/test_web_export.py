"""The current version as a file in the browser: without its key for everybody, with it for who may."""

import re
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificates

from certwright.domain.access import Role
from certwright.domain.audit import Action
from certwright.domain.certificates import pem
from certwright.domain.keys import private_key_pem
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.engine.audit import entries
from certwright.sdk.context import Credential
from peers.exchange_task import NAMES, Authority
from world.web import House

ISSUED = Authority("Contoso Issuing CA", Authority()).issue()


def issued(house: House, *, with_key: bool = True) -> tuple[ManagedCertificate, CertificateVersion]:
    assert ISSUED.key
    managed = house.managed(*NAMES)
    chain = pem(ISSUED.chain).decode()
    version = CertificateVersion(
        managed_id=managed.id, issuer="le", chain_pem=chain, fingerprint="", issued_at=datetime.now(UTC)
    )
    with house.engine.store.write() as unit:
        unit.versions.add(version, private_key_pem(ISSUED.key) if with_key else None)
    return managed, version


def test_without_its_key_everybody_takes_it_and_nothing_is_noted(house: House) -> None:
    managed, _ = issued(house)
    viewer = house.signed_in(Role.VIEWER)
    before = entries(house.engine)
    seen = viewer.get(f"/certificates/{managed.id}/export")
    assert seen.status == 200
    assert "Download it with its key" not in seen.words
    assert "needs a permission of its own (keys)" in seen.words
    leaf, above, _root = ISSUED.chain
    file = viewer.get(f"/certificates/{managed.id}/files/der")
    assert (file.status, load_der_x509_certificate(file.body)) == (200, leaf)
    assert file.headers["Content-Disposition"] == 'attachment; filename="mail.contoso.test.der"'
    file = viewer.get(f"/certificates/{managed.id}/files/p7b")
    assert pkcs7.load_der_pkcs7_certificates(file.body) == [above]
    assert viewer.get(f"/certificates/{managed.id}/files/pem").status == 404
    assert entries(house.engine) == before


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_the_key_is_refused_to_who_may_not_take_it(house: House, role: Role) -> None:
    managed, _ = issued(house)
    seen = house.signed_in(role).post(f"/certificates/{managed.id}/export", form="pem")
    assert (seen.status, "&#39;keys&#39;" in seen.words) == (403, True)
    assert Action.EXPORTED not in {entry.action for entry in entries(house.engine)}


@pytest.mark.parametrize("form", ["pfx-legacy", "pfx-modern"])
def test_a_password_is_made_shown_once_and_opens_the_file(house: House, form: str) -> None:
    managed, version = issued(house)
    browser = house.signed_in()
    seen = browser.get(f"/certificates/{managed.id}/export")
    assert seen.headers["Cache-Control"] == "no-store"
    (made,) = re.findall(r'<code id="made">([a-z2-9-]{29})</code>', seen.text)
    assert made not in browser.get(f"/certificates/{managed.id}/export").text, "it is another one each time"
    file = browser.post(f"/certificates/{managed.id}/export", form=form, whose="made", made=made)
    assert (file.status, file.headers["Content-Type"]) == (200, "application/x-pkcs12")
    assert file.headers["Cache-Control"] == "no-store"
    assert file.headers["Content-Disposition"] == 'attachment; filename="mail.contoso.test.pfx"'
    found = load_pkcs12(file.body, made.encode())
    assert found.key
    assert found.key.public_key() == ISSUED.chain[0].public_key()
    told = entries(house.engine)[0]
    assert (told.action, told.actor.name, told.subject.id) == (Action.EXPORTED, "administrator", managed.id)
    assert told.after == {"files": ["mail.contoso.test.pfx"], "version": version.id}
    assert made not in str(entries(house.engine))


def test_one_s_own_password_is_typed_twice(house: House) -> None:
    managed, _ = issued(house)
    browser, at = house.signed_in(), f"/certificates/{managed.id}/export"
    own = {"form": "pfx-modern", "whose": "own", "password": " s3cr3t "}
    seen = browser.post(at, **own, again="s3cr3t")
    assert (seen.status, "The two passwords differ." in seen.words) == (422, True)
    assert "s3cr3t" not in seen.text
    assert '<option value="own" selected>' in seen.text
    seen = browser.post(at, form="pfx-modern", whose="own")
    assert (seen.status, "A PFX needs a password." in seen.words) == (422, True)
    assert "Say in which form" in browser.post(at, form="docx").words
    assert Action.EXPORTED not in {entry.action for entry in entries(house.engine)}
    assert load_pkcs12(browser.post(at, **own, again=" s3cr3t ").body, b" s3cr3t ").key


def test_the_password_of_the_certificate_s_credential_can_be_taken(house: House) -> None:
    managed, _ = issued(house)
    with house.engine.store.write() as unit:
        unit.credentials.add("pfx", Credential("pfx", "", "kept here"))
        stored = unit.managed.get(managed.id)
        unit.managed.update(stored.model_copy(update={"pfx_password_credential": "pfx"}))
    browser, at = house.signed_in(), f"/certificates/{managed.id}/export"
    seen = browser.get(at)
    assert "that of the credential pfx" in seen.words
    assert "kept here" not in seen.text
    assert load_pkcs12(browser.post(at, form="pfx-legacy", whose="credential").body, b"kept here").key


def test_as_pem_it_is_one_file_with_the_key_first(house: House) -> None:
    managed, _ = issued(house)
    body = house.signed_in().post(f"/certificates/{managed.id}/export", form="pem").body
    assert load_pem_private_key(body, None).public_key() == ISSUED.chain[0].public_key()
    assert load_pem_x509_certificates(body) == list(ISSUED.chain)


def test_a_key_that_is_not_here_cannot_be_taken(house: House) -> None:
    managed, _ = issued(house, with_key=False)
    browser, at = house.signed_in(), f"/certificates/{managed.id}/export"
    for form in ("pem", "pfx-modern"):
        seen = browser.post(at, form=form, whose="made", made="x")
        assert "made from your own signing request" in seen.words


def test_what_was_never_issued_is_told(house: House) -> None:
    managed = house.managed(*NAMES)
    assert "It was never issued." in house.signed_in().get(f"/certificates/{managed.id}/export").words
